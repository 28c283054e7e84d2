"""Photos in and out: pixels as they are displayed, at their own depth, with what belongs to them."""

from __future__ import annotations

import io
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from PIL import Image, ImageFile
from PIL.JpegImagePlugin import JpegImageFile
from PIL.PngImagePlugin import PngImageFile
from PIL.WebPImagePlugin import WebPImageFile

from edgedrag.runtime.errors import InputError
from edgedrag.runtime.files import check_file, write_aside
from edgedrag.runtime.trace import span

MAX_MEGAPIXELS = 100.0
SUFFIXES = (".png", ".webp", ".jpg", ".jpeg")
ORIENTATION_TAG = 0x0112


@dataclass(frozen=True)
class Picture:
    """Pixels [H, W] (grey), [H, W, 2] (grey, alpha), [H, W, 3] (RGB) or [H, W, 4] (RGBA), uint8 or uint16.

    `icc` and `exif` are kept from the file to be written again; the orientation is already applied.
    """

    pixels: np.ndarray
    icc: bytes | None = None
    exif: bytes | None = None


def load_picture(source: str | Path | bytes | np.ndarray, max_megapixels: float = MAX_MEGAPIXELS) -> Picture:
    """Read a JPEG, PNG or WebP file, by its path or from its bytes, or take an array.

    Raises:
        InputError: not a file, not such an image, damaged, too large, or an array of another form.
    """
    if isinstance(source, np.ndarray):
        return Picture(_checked_array(source, max_megapixels))
    path = "photo" if isinstance(source, bytes) else Path(source)
    try:
        data = source if isinstance(source, bytes) else Path(source).read_bytes()
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror})") from None
    if not data:
        raise InputError(f"{path}: the file is empty")
    read_header = _format_of(data)
    if read_header is None:
        raise InputError(f"{path}: not an image; JPEG, PNG and WebP are read")
    try:
        with read_header(io.BytesIO(data)) as image:
            _check_size(path, image.size, max_megapixels)
            with span("decode picture", "decode"):
                return _decode(image, data)
    except Image.DecompressionBombError:  # Pillow's own limit, which it applies to WebP whoever opens it
        raise InputError(f"{path}: has more pixels than are read of a WebP file; save it as PNG or JPEG") from None
    except (OSError, ValueError, SyntaxError, EOFError) as error:
        raise InputError(f"{path}: damaged or cut short ({error})") from None


def _format_of(data: bytes) -> type[ImageFile.ImageFile] | None:
    """Pillow's class for a file, by its first bytes.

    Not `Image.open`: its limit of pixels is one for the whole process, and ours is of each call.
    """
    if data.startswith(b"\xff\xd8\xff"):
        return JpegImageFile
    if data.startswith(b"\x89PNG\r\n\x1a\n"):
        return PngImageFile
    return WebPImageFile if data.startswith(b"RIFF") and data[8:12] == b"WEBP" else None


def _check_size(name: object, size: tuple[int, int], max_megapixels: float) -> None:
    if size[0] * size[1] > max_megapixels * 1e6:
        raise InputError(
            f"{name}: {size[0]} x {size[1]} pixels are more than the limit of {max_megapixels:g} megapixels"
        )


def _checked_array(pixels: np.ndarray, max_megapixels: float) -> np.ndarray:
    if pixels.dtype not in (np.uint8, np.uint16):
        raise InputError(f"photo: an array of {pixels.dtype}; give uint8 or uint16")
    if not (pixels.ndim == 2 or (pixels.ndim == 3 and pixels.shape[2] in (2, 3, 4))) or 0 in pixels.shape:
        raise InputError(f"photo: an array of shape {pixels.shape}; give [H, W] or [H, W, 2, 3 or 4]")
    _check_size("photo", (pixels.shape[1], pixels.shape[0]), max_megapixels)
    return pixels.copy()


def _decode(image: ImageFile.ImageFile, data: bytes) -> Picture:
    deep = image.format == "PNG" and data[24] == 16  # bit depth in the PNG header
    icc = image.info.get("icc_profile")
    exif = image.getexif()
    orientation = exif.pop(ORIENTATION_TAG, 1)
    if image.mode == "CMYK":
        icc = None  # describes inks, and the pixels become RGB
    image.load()  # also where OpenCV decodes: Pillow notices files that are cut short
    if deep:
        pixels = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_UNCHANGED)
        if pixels is None:
            raise InputError("a 16-bit PNG that OpenCV cannot decode")
        if pixels.ndim == 3:
            pixels = np.ascontiguousarray(pixels[..., [2, 1, 0, 3][: pixels.shape[2]]])
    else:
        pixels = np.asarray(image.convert(_plain_mode(image)))
    return Picture(np.ascontiguousarray(_upright(pixels, orientation)), icc, exif.tobytes() if len(exif) else None)


def _plain_mode(image: Image.Image) -> str:
    """The mode among L, LA, RGB and RGBA that holds the image without loss."""
    transparent = "transparency" in image.info
    if image.mode in ("1", "L"):
        return "LA" if transparent else "L"
    if image.mode in ("LA", "RGBA"):
        return image.mode
    return "RGBA" if transparent else "RGB"


def _upright(pixels: np.ndarray, orientation: int) -> np.ndarray:
    """Apply an EXIF orientation, 1 to 8."""
    if orientation in (5, 6, 7, 8):
        pixels = pixels.swapaxes(0, 1)
    if orientation in (3, 4, 7, 8):
        pixels = pixels[::-1]
    if orientation in (2, 3, 6, 7):
        pixels = pixels[:, ::-1]
    return pixels


def colour_and_alpha(pixels: np.ndarray) -> tuple[np.ndarray, np.ndarray | None]:
    """Split a picture into colour [H, W, 1 or 3] and alpha [H, W, 1] or None; both are views."""
    if pixels.ndim == 2:
        return pixels[..., None], None
    channels = pixels.shape[2]
    return (pixels, None) if channels == 3 else (pixels[..., : channels - 1], pixels[..., channels - 1 :])


def as_rgb8(pixels: np.ndarray) -> np.ndarray:
    """Any picture's colour as uint8 RGB [H, W, 3]; a view where it can be."""
    colour, _ = colour_and_alpha(pixels)
    if colour.dtype == np.uint16:
        colour = (colour >> 8).astype(np.uint8)
    return cv2.merge([colour] * 3) if colour.shape[2] == 1 else colour


def is_lossless(path: Path) -> bool:
    """Whether a file of this suffix holds the pixels exactly."""
    return path.suffix.lower() in (".png", ".webp")


def check_output(path: Path) -> None:
    """Raise InputError where a picture could not be written to `path`; called before any work is done."""
    if path.suffix.lower() not in SUFFIXES:
        raise InputError(f"{path}: write to one of {', '.join(SUFFIXES)}")
    check_file(path)


def save_picture(path: str | Path, picture: Picture) -> None:
    """Write a picture in the format of its suffix; the file appears whole or not at all.

    PNG and WebP are lossless, JPEG is not.

    Raises:
        InputError: a format that cannot hold the pixels, or a folder that cannot be written to.
    """
    path = Path(path)
    check_output(path)
    write_aside(path, encode_picture(path, picture))


def encode_picture(path: Path, picture: Picture) -> bytes:
    """The bytes of a file in the format of `path`'s suffix; raises InputError where that cannot hold the pixels."""
    with span(f"encode {path.suffix[1:].lower()}", "encode"):
        return _encode(path, picture)


def _encode(path: Path, picture: Picture) -> bytes:
    suffix, pixels = path.suffix.lower(), picture.pixels
    if suffix == ".png":
        return _encode_png(path, picture)
    if pixels.dtype != np.uint8:
        raise InputError(f"{path}: this format holds 8 bits a channel, the photo has 16; write a .png")
    out = io.BytesIO()
    extra = {k: v for k, v in (("icc_profile", picture.icc), ("exif", picture.exif)) if v}
    if suffix == ".webp":
        Image.fromarray(pixels).save(out, "WEBP", lossless=True, exact=True, quality=30, **extra)
    else:
        if colour_and_alpha(pixels)[1] is not None:
            raise InputError(f"{path}: JPEG holds no transparency, the photo has it; write a .png")
        Image.fromarray(pixels).save(out, "JPEG", quality=95, subsampling=0, **extra)
    return out.getvalue()


def _encode_png(path: Path, picture: Picture) -> bytes:
    pixels = picture.pixels
    if pixels.ndim == 3 and pixels.shape[2] == 2:  # OpenCV writes no grey with alpha
        out = io.BytesIO()
        extra = {k: v for k, v in (("icc_profile", picture.icc), ("exif", picture.exif)) if v}
        Image.fromarray(pixels, "LA").save(out, "PNG", compress_level=1, **extra)
        return out.getvalue()
    if pixels.ndim == 3:
        pixels = pixels[..., [2, 1, 0, 3][: pixels.shape[2]]]
    kinds, chunks = [], []
    for kind, chunk in ((cv2.IMAGE_METADATA_ICCP, picture.icc), (cv2.IMAGE_METADATA_EXIF, picture.exif)):
        if chunk:
            kinds.append(kind)
            chunks.append(np.frombuffer(chunk.removeprefix(b"Exif\x00\x00"), np.uint8))
    done, data = cv2.imencodeWithMetadata(".png", np.ascontiguousarray(pixels), kinds, chunks)
    if not done:
        raise InputError(f"{path}: OpenCV cannot write this picture as PNG")
    return data.tobytes()
