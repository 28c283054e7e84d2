"""AVIF, HEIC, GIF and BMP files by Pillow's plugins, and Pillow images that are in memory."""

from __future__ import annotations

import io
import struct
import sys
from typing import TYPE_CHECKING, TypeGuard

from edgedrag.runtime.errors import InputError
from edgedrag.runtime.extras import install_command
from edgedrag.runtime.photo.stored import EIGHT_BITS, INKS, ORIENTATION_TAG, Stored, pillow_bytes

if TYPE_CHECKING:
    from PIL import Image

ANIMATED = "it is animated, and the first picture alone is read"
EXIF_LEFT_OUT = "its EXIF data is damaged and is left out"
AV1_CONFIGURATION, HIGH_BIT_DEPTH = b"av1C", 0x40  # a box of an AVIF file; a bit of its third byte


class MissingCodec(InputError):
    """A format whose optional package is not installed."""


def open_avif(data: bytes) -> Stored:
    """An AVIF file; raises MissingCodec where Pillow was built without its codec."""
    from PIL.AvifImagePlugin import SUPPORTED, AvifImageFile

    if not SUPPORTED:
        raise MissingCodec("AVIF is not read here; install Pillow 11.3 or later, built with AVIF")
    try:
        image, warnings = AvifImageFile(io.BytesIO(data)), []
    except (SyntaxError, ValueError, struct.error):
        # Pillow writes the EXIF data anew where it does not agree with the container, and fails where it cannot.
        image, warnings = AvifImageFile(io.BytesIO(_with_empty_exif(data))), [EXIF_LEFT_OUT]
    stored = _stored("AVIF", image, 13, _orientation(image), lossy=True)
    stored.warnings.extend(warnings)
    at = data.find(AV1_CONFIGURATION, 0, 1 << 16)
    if 0 <= at < len(data) - 6 and data[at + 6] & HIGH_BIT_DEPTH:
        stored.warnings.append(EIGHT_BITS)
    return stored


def _with_empty_exif(data: bytes) -> bytes:
    """A file whose EXIF data has no entries; raises ValueError where it has none."""
    for header in (b"II*\0\x08\0\0\0", b"MM\0*\0\0\0\x08"):
        before, found, after = data.partition(header)
        if found:
            return before + header + bytes(6) + after[6:]
    raise ValueError("its header is damaged")


def open_heic(data: bytes) -> Stored:
    """A HEIC file; raises MissingCodec where pillow-heif is not installed."""
    try:
        from pillow_heif import HeifImageFile
    except ImportError:
        raise MissingCodec(f"HEIC is not read here; install pillow-heif with {install_command('heic')}") from None
    image = HeifImageFile(io.BytesIO(data))
    stored = _stored("HEIC", image, 16, 1, lossy=True)  # libheif turns it upright
    if image.info.get("bit_depth", 8) > 8:
        stored.warnings.append(EIGHT_BITS)
    return stored


def open_gif(data: bytes) -> Stored:
    """A GIF file."""
    from PIL.GifImagePlugin import GifImageFile

    return _stored("GIF", GifImageFile(io.BytesIO(data)), 8)


def open_bmp(data: bytes) -> Stored:
    """A BMP file."""
    from PIL.BmpImagePlugin import BmpImageFile

    return _stored("BMP", BmpImageFile(io.BytesIO(data)), 8)


def is_image(source: object) -> TypeGuard[Image.Image]:
    """Whether something is a Pillow image; where nobody has imported Pillow yet, nothing is."""
    pillow = sys.modules.get("PIL.Image")
    return pillow is not None and isinstance(source, pillow.Image)


def limit_error() -> type[Exception]:
    """What Pillow raises beyond its own limit of pixels, which it applies to TIFF and animations."""
    from PIL.Image import DecompressionBombError

    return DecompressionBombError


def open_image(image: Image.Image) -> Stored:
    """An image in memory, which stays as it is."""
    return _stored("image", image, 8)


def _stored(
    name: str, image: Image.Image, decoding: float, orientation: int | None = None, lossy: bool = False
) -> Stored:
    held, result = pillow_bytes(image)

    def decode() -> Image.Image:
        image.load()
        return image

    warnings = [ANIMATED] if getattr(image, "is_animated", False) else []
    if image.mode == "CMYK":
        warnings.append(INKS)
    info = image.info
    xmp = info.get("xmp", info.get("XML:com.adobe.xmp"))
    return Stored(
        name,
        image.size,
        decode,
        decoding=decoding,
        held=held,
        result=result,
        container_orientation=orientation,
        icc=info.get("icc_profile") if image.mode != "CMYK" else None,
        exif=_exif(image),
        xmp=xmp.encode() if isinstance(xmp, str) else xmp,
        lossy=lossy,
        warnings=warnings,
    )


def _exif(image: Image.Image) -> bytes | None:
    """The EXIF data as it is in the file, or as it was set in memory."""
    if image.info.get("exif"):
        return bytes(image.info["exif"])
    exif = image.getexif()
    return exif.tobytes() if len(exif) else None


def _orientation(image: Image.Image) -> int:
    """What Pillow makes of the container's own turn and flip, which count before the EXIF data's."""
    value = image.getexif().get(ORIENTATION_TAG, 1)
    return value if isinstance(value, int) and 1 <= value <= 8 else 1
