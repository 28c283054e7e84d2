"""Photos in and out: pixels as they are displayed, at their own depth, with what belongs to them."""

from __future__ import annotations

import io
import os
from dataclasses import dataclass
from numbers import Real
from pathlib import Path
from typing import BinaryIO, Protocol

import cv2
import numpy as np
from PIL import Image

from edgedrag.runtime.errors import InputError
from edgedrag.runtime.files import check_file, write_aside
from edgedrag.runtime.photo.decode import damage_as_input_error, decode, open_image
from edgedrag.runtime.trace import span

MAX_MEGAPIXELS = 100.0
SUFFIXES = (".png", ".webp", ".jpg", ".jpeg")


@dataclass(frozen=True, eq=False, repr=False)
class Picture:
    """Pixels [H, W] (grey), [H, W, 2] (grey, alpha), [H, W, 3] (RGB) or [H, W, 4] (RGBA), uint8 or uint16.

    `icc` and `exif` are kept from the file to be written again; the orientation is already applied.
    """

    pixels: np.ndarray
    icc: bytes | None = None
    exif: bytes | None = None

    def __repr__(self) -> str:
        kept = [name for name, value in (("ICC profile", self.icc), ("EXIF", self.exif)) if value]
        return f"<Picture {', '.join([describe(self.pixels), *kept])}>"


class HasPicture(Protocol):
    """A Photo, an Edit or a Change."""

    @property
    def picture(self) -> Picture: ...


Source = str | os.PathLike[str] | bytes | BinaryIO | Image.Image | np.ndarray  # what a picture is loaded from


def load_picture(source: Source, max_megapixels: float = MAX_MEGAPIXELS, argument: str = "photo") -> Picture:
    """Read a JPEG, PNG or WebP file, or take a picture that is in memory.

    Args:
        source: a path, a file opened for reading bytes, the file's bytes, a Pillow image, or an array as in `Picture`.
        max_megapixels: larger pictures are refused before they are decoded.
        argument: what errors call a source that has no path.

    Raises:
        InputError: not a file, not such an image, damaged, too large, or an array of another form.
    """
    if isinstance(max_megapixels, bool) or not isinstance(max_megapixels, Real) or not max_megapixels > 0:
        raise InputError(f"max_megapixels: {max_megapixels!r:.80} is not a number above 0")
    if isinstance(source, np.ndarray):
        _check_array(source, argument)
        _check_size(argument, source.shape[1::-1], max_megapixels)
        return Picture(np.array(source))
    if isinstance(source, Image.Image):
        _check_size(argument, source.size, max_megapixels)
        with damage_as_input_error(argument):
            return Picture(*decode(source.copy()))
    name, data = _read(source, argument)
    if not data:
        raise InputError(f"{name}: the file is empty")
    with damage_as_input_error(name), open_image(name, data) as image:
        _check_size(name, image.size, max_megapixels)
        with span("decode picture", "decode"):
            return Picture(*decode(image, data))


def _read(source: object, argument: str) -> tuple[str, bytes]:
    """A file's name for errors, and its bytes."""
    if isinstance(source, (bytes, bytearray, memoryview)):
        return argument, bytes(source)
    name = argument
    try:
        if isinstance(source, (str, os.PathLike)):
            name = os.fsdecode(source)
            return name, Path(name).read_bytes()
        data = source.read()  # type: ignore[attr-defined]
    except AttributeError:
        kind = type(source).__name__
        raise InputError(
            f"{argument}: cannot be read from a {kind}; give a path, an open file, bytes, a Pillow image or an array"
        ) from None
    except (OSError, ValueError) as error:
        raise InputError(f"{name}: cannot be read ({getattr(error, 'strerror', None) or error})") from None
    if not isinstance(data, bytes):
        raise InputError(f"{argument}: the file gives {type(data).__name__}, not bytes; open it in mode 'rb'")
    return name, data


def _check_size(name: str, size: tuple[int, ...], max_megapixels: float) -> None:
    width, height = size
    if not width * height:
        raise InputError(f"{name}: {width} x {height} pixels, which is none")
    if width * height > max_megapixels * 1e6:
        raise InputError(f"{name}: {width} x {height} pixels are more than the limit of {max_megapixels:g} megapixels")


def _check_array(pixels: np.ndarray, argument: str) -> None:
    if pixels.dtype not in (np.uint8, np.uint16):
        raise InputError(f"{argument}: an array of {pixels.dtype}; give uint8 or uint16")
    if not (pixels.ndim == 2 or (pixels.ndim == 3 and pixels.shape[2] in (2, 3, 4))) or 0 in pixels.shape:
        raise InputError(f"{argument}: an array of shape {pixels.shape}; give [H, W] or [H, W, 2, 3 or 4]")


def describe(pixels: np.ndarray) -> str:
    """Size and form of a picture in words."""
    form = {1: "grey", 2: "grey with alpha", 3: "RGB", 4: "RGBA"}[1 if pixels.ndim == 2 else pixels.shape[2]]
    return f"{pixels.shape[1]} x {pixels.shape[0]} {form} {pixels.dtype}"


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


def save_picture(path: str | os.PathLike[str], picture: Picture | HasPicture | np.ndarray) -> None:
    """Write a picture in the format of its suffix; the file appears whole or not at all.

    PNG and WebP are lossless, JPEG is not.

    Args:
        path: ends in .png, .webp, .jpg or .jpeg.
        picture: a Photo, an Edit, a Picture, or an array as in `Picture`; a mask (bool [H, W]) is written as 0 and 255.

    Raises:
        InputError: a format that cannot hold the pixels, or a folder that cannot be written to.
    """
    if not isinstance(path, (str, os.PathLike)):
        raise InputError(f"path: {path!r:.80} is not a path")
    path = Path(os.fsdecode(path))
    check_output(path)
    write_aside(path, encode_picture(path, as_picture(picture)))


def as_picture(picture: Picture | HasPicture | np.ndarray) -> Picture:
    """What is to be saved, as a Picture; raises InputError where it is none."""
    if isinstance(picture, np.ndarray):
        pixels = picture.astype(np.uint8) * 255 if picture.dtype == bool else picture
        _check_array(pixels, "picture")
        return Picture(pixels)
    picture = picture if isinstance(picture, Picture) else getattr(picture, "picture", picture)
    if not isinstance(picture, Picture):
        raise InputError(f"picture: give a Photo, an Edit, a Picture or an array, not a {type(picture).__name__}")
    return picture


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
