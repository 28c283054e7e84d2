"""A picture's file that is opened and not decoded yet, and its pixels as they are displayed."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

import cv2
import numpy as np

if TYPE_CHECKING:
    from PIL import Image

STRIP = 256  # rows that are converted at a time
ORIENTATION_TAG = 0x0112
INKS = "its colours are those of inks (CMYK) and become RGB, without their profile"
EIGHT_BITS = "it has more than 8 bits a channel, and 8 of them are read"
# Warnings of pixels that are read, but not as they are stored.
CONVERTED: dict[Literal["inks", "eight_bits"], str] = {"inks": INKS, "eight_bits": EIGHT_BITS}


@dataclass(frozen=True)
class Stored:
    """What a file's format module found; `decode` gives the pixels as stored.

    Attributes:
        format: its name.
        size: width and height in pixels.
        decode: gives a Pillow image, loaded, or an array as in `Picture`; raises what the decoders raise.
        decoding, held, result: memory in bytes a pixel: most while `decode` runs, what its Pillow image holds (0
            for an array), and of the array that is made of it.
        container_orientation: the orientation that is left to apply where the format says it outside the EXIF data,
            which then does not count.
        icc, exif, xmp, png_chunks, density, lossy: as in `Picture`, but as they are in the file.
        warnings: what is left out, as "its gAMA chunk is damaged and is left out"; complete after `decode`.
    """

    format: str
    size: tuple[int, int]
    decode: Callable[[], Image.Image | np.ndarray]
    decoding: float
    held: float
    result: float
    container_orientation: int | None = None
    icc: bytes | None = None
    exif: bytes | None = None
    xmp: bytes | None = None
    png_chunks: tuple[tuple[bytes, bytes], ...] = ()
    density: tuple[int, int, int] | None = None
    lossy: bool = False
    warnings: list[str] = field(default_factory=list)

    def megabytes(self, orientation: int) -> float:
        """The most memory that decoding and turning the pixels takes, in MB."""
        turned = self.result if orientation != 1 and not self.held else 0
        return self.size[0] * self.size[1] * max(self.decoding, self.held + self.result + turned) / 1e6


def pillow_bytes(image: Image.Image) -> tuple[int, int]:
    """Bytes that a pixel takes in a Pillow image, and in the array of it."""
    held = {"1": 1, "L": 1, "P": 1}.get(image.mode, 2 if image.mode.startswith("I;16") else 4)
    return held, 2 if image.mode.startswith("I;16") else len(_plain_mode(image))


def upright(source: Image.Image | np.ndarray, orientation: int) -> np.ndarray:
    """Decoded pixels as an array as in `Picture`, with an EXIF orientation, 1 to 8, applied.

    An image is converted in strips: Pillow holds 4 bytes for an RGB pixel, and a whole copy would take as much again.
    """
    if isinstance(source, np.ndarray):
        return np.ascontiguousarray(_turned(source, orientation))
    convert = _converter(source)
    first = convert(rows(source, 0, 1))
    shape = (source.height, source.width, *first.shape[2:])
    out = np.empty(shape if orientation < 5 else (shape[1], shape[0], *shape[2:]), first.dtype)
    stored = _turned(out, {6: 8, 8: 6}.get(orientation, orientation))
    for top in range(0, source.height, STRIP):
        bottom = min(top + STRIP, source.height)
        stored[top:bottom] = convert(rows(source, top, bottom))
    return out


def rows(image: Image.Image, top: int, bottom: int) -> Image.Image:
    """Rows of an image; `crop` would hold Pillow's limit of pixels, which is the whole process's, against them."""
    from PIL import Image

    return image.resize((image.width, bottom - top), Image.Resampling.NEAREST, (0, top, image.width, bottom))


def _converter(image: Image.Image) -> Callable[[Image.Image], np.ndarray]:
    if image.mode.startswith("I;16"):
        return lambda strip: np.asarray(strip).astype(np.uint16)
    if image.mode in ("I", "F"):
        raise ValueError(f"pixels of mode {image.mode} have no known range; convert them to L, RGB or I;16")
    mode = _plain_mode(image)
    return lambda strip: np.asarray(strip if strip.mode == mode else strip.convert(mode))


def _plain_mode(image: Image.Image) -> str:
    """The mode among L, LA, RGB and RGBA that holds the image without loss."""
    grey = image.mode in ("1", "L", "LA", "La")
    return ("L" if grey else "RGB") + ("A" if image.has_transparency_data else "")


def _turned(pixels: np.ndarray, orientation: int) -> np.ndarray:
    """A view with an EXIF orientation, 1 to 8, applied."""
    if orientation in (5, 6, 7, 8):
        pixels = pixels.swapaxes(0, 1)
    if orientation in (3, 4, 7, 8):
        pixels = pixels[::-1]
    if orientation in (2, 3, 6, 7):
        pixels = pixels[:, ::-1]
    return pixels


def opencv_decode(data: bytes) -> np.ndarray:
    """A file's pixels by OpenCV, grey, RGB or RGBA, at their own depth; raises ValueError where it cannot."""
    level = cv2.utils.logging.getLogLevel()
    cv2.utils.logging.setLogLevel(0)  # OpenCV reports a damaged file on stderr, in many lines
    try:
        pixels = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_UNCHANGED)
    except cv2.error:
        pixels = None
    finally:
        cv2.utils.logging.setLogLevel(level)
    if pixels is None:
        raise ValueError("its pixels cannot be decoded")
    if pixels.ndim == 3:
        code = cv2.COLOR_BGR2RGB if pixels.shape[2] == 3 else cv2.COLOR_BGRA2RGBA
        for top in range(0, len(pixels), STRIP):  # in place: a whole copy would double the memory
            pixels[top : top + STRIP] = cv2.cvtColor(pixels[top : top + STRIP], code)
    return pixels
