"""The pixels of a JPEG, PNG or WebP file or a Pillow image, as they are displayed and at their own depth."""

from __future__ import annotations

import io
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

import cv2
import numpy as np
from PIL import Image

from edgedrag.runtime.errors import InputError

if TYPE_CHECKING:
    from PIL.ImageFile import ImageFile

ORIENTATION_TAG = 0x0112


def open_image(name: str, data: bytes) -> ImageFile:
    """An image whose pixels are not decoded yet.

    Not by `Image.open`, whose limit of pixels is the whole process's to set.
    """
    kind = _format_of(data)
    try:
        if kind is not None:
            return kind(io.BytesIO(data))
    except SyntaxError:  # Pillow's sign for a header that is not this format's
        pass
    raise InputError(f"{name}: not an image; JPEG, PNG and WebP are read")


def _format_of(data: bytes) -> type[ImageFile] | None:
    """Pillow's class for a file, by its first bytes. Imported here: they take 17 ms, and a file has one format."""
    if data.startswith(b"\xff\xd8\xff"):
        from PIL.JpegImagePlugin import JpegImageFile

        return JpegImageFile
    if data.startswith(b"\x89PNG\r\n\x1a\n"):
        from PIL.PngImagePlugin import PngImageFile

        return PngImageFile
    if data.startswith(b"RIFF") and data[8:12] == b"WEBP":
        from PIL.WebPImagePlugin import WebPImageFile

        return WebPImageFile
    return None


@contextmanager
def damage_as_input_error(name: str) -> Iterator[None]:
    """Raise what Pillow and OpenCV raise for a damaged picture as InputError."""
    try:
        yield
    except Image.DecompressionBombError:  # Pillow's own limit, which it applies to WebP whoever opens it
        raise InputError(f"{name}: has more pixels than are read of a WebP file; save it as PNG or JPEG") from None
    except (OSError, ValueError, SyntaxError, EOFError) as error:
        raise InputError(f"{name}: damaged or cut short ({error})") from None


def decode(image: Image.Image, data: bytes = b"") -> tuple[np.ndarray, bytes | None, bytes | None]:
    """An image's pixels, upright, its ICC profile and its EXIF without the orientation; `data` is its file, if any.

    The pixels are as `Picture` has them.
    """
    deep_png = image.format == "PNG" and data[24] == 16  # bit depth in the PNG header
    icc = image.info.get("icc_profile")
    exif = image.getexif()
    orientation = exif.pop(ORIENTATION_TAG, 1)
    if image.mode == "CMYK":
        icc = None  # describes inks, and the pixels become RGB
    image.load()  # also where OpenCV decodes: Pillow notices files that are cut short
    if deep_png:
        pixels = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_UNCHANGED)
        if pixels is None:
            raise ValueError("a 16-bit PNG that OpenCV cannot decode")
        if pixels.ndim == 3:
            pixels = np.ascontiguousarray(pixels[..., [2, 1, 0, 3][: pixels.shape[2]]])
    elif image.mode.startswith("I;16"):
        pixels = np.asarray(image).astype(np.uint16)
    elif image.mode in ("I", "F"):
        raise ValueError(f"pixels of mode {image.mode} have no known range; convert them to L, RGB or I;16")
    else:
        pixels = np.asarray(image.convert(_plain_mode(image)))
    return np.ascontiguousarray(_upright(pixels, orientation)), icc, exif.tobytes() if len(exif) else None


def _plain_mode(image: Image.Image) -> str:
    """The mode among L, LA, RGB and RGBA that holds the image without loss."""
    grey = image.mode in ("1", "L", "LA", "La")
    return ("L" if grey else "RGB") + ("A" if image.has_transparency_data else "")


def _upright(pixels: np.ndarray, orientation: int) -> np.ndarray:
    """Apply an EXIF orientation, 1 to 8."""
    if orientation in (5, 6, 7, 8):
        pixels = pixels.swapaxes(0, 1)
    if orientation in (3, 4, 7, 8):
        pixels = pixels[::-1]
    if orientation in (2, 3, 6, 7):
        pixels = pixels[:, ::-1]
    return pixels
