"""Photos in and out: pixels as they are displayed, at their own depth, with what belongs to them."""

from __future__ import annotations

import os
import struct
from collections.abc import Iterator
from contextlib import contextmanager
from numbers import Real
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO, Protocol, TypeAlias

import numpy as np

from edgedrag.runtime.errors import InputError
from edgedrag.runtime.files import check_file, write_aside
from edgedrag.runtime.photo import exif as exif_data
from edgedrag.runtime.photo import icc as icc_profile
from edgedrag.runtime.photo import xmp as xmp_packet
from edgedrag.runtime.photo.encode import BY_SUFFIX, encode, format_to_write
from edgedrag.runtime.photo.formats import open_stored
from edgedrag.runtime.photo.limits import MAX_MEGAPIXELS
from edgedrag.runtime.photo.pixels import Picture, as_rgb8, colour_and_alpha, describe, is_grey
from edgedrag.runtime.photo.plugins import EXIF_LEFT_OUT, MissingCodec, is_image, limit_error, open_image
from edgedrag.runtime.photo.stored import Stored, upright
from edgedrag.runtime.trace import span

if TYPE_CHECKING:
    from PIL import Image

__all__ = [
    "MAX_MEGAPIXELS",
    "SUFFIXES",
    "HasPicture",
    "Picture",
    "Source",
    "as_picture",
    "as_rgb8",
    "check_output",
    "colour_and_alpha",
    "describe",
    "encode_picture",
    "is_lossless",
    "load_picture",
    "save_picture",
]

BYTES_PER_PIXEL = 10  # of memory for each pixel of the limit, while a photo is opened
SUFFIXES = tuple(BY_SUFFIX)
# What Pillow's parsers raise for a damaged file: no check of theirs stands before most of what they read.
DAMAGE = (
    OSError,
    ValueError,
    SyntaxError,
    EOFError,
    LookupError,
    TypeError,
    ArithmeticError,
    RuntimeError,
    struct.error,
)


class HasPicture(Protocol):
    """A Photo, an Edit or a Change."""

    @property
    def picture(self) -> Picture: ...


Source: TypeAlias = "str | os.PathLike[str] | bytes | BinaryIO | Image.Image | np.ndarray"  # of a picture


def load_picture(source: Source, max_megapixels: float = MAX_MEGAPIXELS, argument: str = "photo") -> Picture:
    """Read a picture's file, or take a picture that is in memory; docs/photos.md lists the formats.

    A fault outside the pixels is no error: what is faulty is left out, and `Picture.warnings` says so.

    Args:
        source: a path, a file opened for reading bytes, the file's bytes, a Pillow image, or an array as in `Picture`.
        max_megapixels: larger pictures are refused before they are decoded, and so are those that would take more than
            10 bytes of memory for each of these pixels.
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
    if is_image(source):
        with _damage_as_input_error(argument):
            return _decoded(argument, open_image(source), max_megapixels)
    name, data = _read(source, argument)
    if not data:
        raise InputError(f"{name}: the file is empty")
    with _damage_as_input_error(name), span("decode picture", "decode"):
        return _decoded(name, open_stored(name, data), max_megapixels)


@contextmanager
def _damage_as_input_error(name: str) -> Iterator[None]:
    """Raise what Pillow and OpenCV raise for a damaged picture as InputError."""
    try:
        yield
    except MissingCodec as error:
        raise MissingCodec(f"{name}: {error}") from None
    except InputError:
        raise
    except limit_error():
        raise InputError(f"{name}: has more pixels than are read of such a file; save it as PNG or JPEG") from None
    except MemoryError:
        raise InputError(f"{name}: opening it takes more memory than there is") from None
    except DAMAGE as error:
        raise InputError(f"{name}: damaged or cut short ({error})") from None


def _decoded(name: str, stored: Stored, max_megapixels: float) -> Picture:
    """A file's picture, checked before it is decoded."""
    _check_size(name, stored.size, max_megapixels)
    warnings: list[str] = []
    exif, orientation = stored.exif, None
    if exif:
        try:
            exif, orientation = exif_data.upright(exif)
        except ValueError:
            exif = None
            warnings.append(EXIF_LEFT_OUT)
    xmp = stored.xmp
    if xmp and not xmp_packet.is_sound(xmp):
        xmp = None
        warnings.append("its XMP is damaged and is left out")
    if xmp:
        xmp, xmp_orientation = xmp_packet.upright(xmp)
        orientation = orientation or xmp_orientation
    orientation = stored.container_orientation or orientation or 1
    _check_memory(name, stored, orientation, max_megapixels)
    pixels = upright(stored.decode(), orientation)
    icc = stored.icc or None
    fault = icc_profile.fault(icc, is_grey(pixels)) if icc else None
    if fault:
        icc = None
        warnings.append(f"its colour profile {fault} and is left out")
    density = stored.density
    if density and orientation > 4:
        density = (density[1], density[0], density[2])
    sentences = tuple(f"{name}: {warning}" for warning in [*stored.warnings, *warnings])
    return Picture(pixels, icc, exif or None, xmp or None, stored.png_chunks, density, stored.lossy, warnings=sentences)


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


def _check_memory(name: str, stored: Stored, orientation: int, max_megapixels: float) -> None:
    needed, limit = stored.megabytes(orientation), max_megapixels * BYTES_PER_PIXEL
    if needed > limit:
        width, height = stored.size
        raise InputError(
            f"{name}: opening {width} x {height} pixels of this {stored.format} would take {needed:.0f} MB of memory, "
            f"more than the {limit:.0f} MB that the limit of {max_megapixels:g} megapixels leaves; make it smaller"
        )


def _check_array(pixels: np.ndarray, argument: str) -> None:
    if pixels.dtype not in (np.uint8, np.uint16):
        raise InputError(f"{argument}: an array of {pixels.dtype}; give uint8 or uint16")
    if not (pixels.ndim == 2 or (pixels.ndim == 3 and pixels.shape[2] in (2, 3, 4))) or 0 in pixels.shape:
        raise InputError(f"{argument}: an array of shape {pixels.shape}; give [H, W] or [H, W, 2, 3 or 4]")


def is_lossless(path: Path) -> bool:
    """Whether a file of this suffix holds the pixels exactly."""
    return BY_SUFFIX[path.suffix.lower()].lossless


def check_output(path: Path) -> None:
    """Raise InputError where a picture could not be written to `path`; called before any work is done."""
    format_to_write(path)
    check_file(path)


def save_picture(
    path: str | os.PathLike[str], picture: Picture | HasPicture | np.ndarray, mark: bool = True
) -> tuple[str, ...]:
    """Write a picture in the format of its suffix; the file appears whole or not at all.

    PNG, TIFF and WebP are lossless, JPEG and AVIF are not.

    Args:
        path: ends in .png, .webp, .tif, .tiff, .jpg, .jpeg or .avif.
        picture: a Photo, an Edit, a Picture, or an array as in `Picture`; a mask (bool [H, W]) is written as 0 and 255.
        mark: write into the XMP data of an edited picture that a trained model changed it.

    Returns:
        What the format cannot hold and was left out, a sentence each.

    Raises:
        InputError: a format that cannot hold the pixels, or a folder that cannot be written to.
    """
    if not isinstance(path, (str, os.PathLike)):
        raise InputError(f"path: {path!r:.80} is not a path")
    path = Path(os.fsdecode(path))
    check_output(path)
    data, left_out = _encode(path, as_picture(picture), mark)
    write_aside(path, data)
    return left_out


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


def encode_picture(path: Path, picture: Picture, mark: bool = True) -> bytes:
    """The bytes of a file in the format of `path`'s suffix; raises InputError where that cannot hold the pixels."""
    return _encode(path, picture, mark)[0]


def _encode(path: Path, picture: Picture, mark: bool) -> tuple[bytes, tuple[str, ...]]:
    with span(f"encode {path.suffix[1:].lower()}", "encode"):
        return encode(path, picture, mark)
