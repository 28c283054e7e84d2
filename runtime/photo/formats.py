"""Which format a file has, by its first bytes, and which module opens it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from edgedrag.runtime.errors import InputError
from edgedrag.runtime.photo.jpeg import open_jpeg
from edgedrag.runtime.photo.plugins import open_avif, open_bmp, open_gif, open_heic
from edgedrag.runtime.photo.png_read import SIGNATURE, open_png
from edgedrag.runtime.photo.stored import Stored
from edgedrag.runtime.photo.tiff import open_tiff
from edgedrag.runtime.photo.webp import open_webp

AVIF_BRANDS = {b"avif", b"avis"}
HEIC_BRANDS = {b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"hevm", b"hevs"}


@dataclass(frozen=True)
class Format:
    """A format that is read, or that is known and not read where `open` is None."""

    name: str
    open: Callable[[bytes], Stored] | None = None


JPEG, PNG, WEBP = Format("JPEG", open_jpeg), Format("PNG", open_png), Format("WebP", open_webp)
TIFF, AVIF, HEIC = Format("TIFF", open_tiff), Format("AVIF", open_avif), Format("HEIC", open_heic)
GIF, BMP = Format("GIF", open_gif), Format("BMP", open_bmp)
READ = (JPEG, PNG, WEBP, TIFF, AVIF, HEIC, GIF, BMP)
BEGINNINGS: tuple[tuple[bytes, Format], ...] = (
    (b"\xff\xd8\xff", JPEG),
    (SIGNATURE, PNG),
    (b"GIF87a", GIF),
    (b"GIF89a", GIF),
    (b"II*\0", TIFF),
    (b"MM\0*", TIFF),
    (b"II\x2b\0", TIFF),
    (b"MM\0\x2b", TIFF),
    (b"BM", BMP),
    (b"\xff\x0a", Format("JPEG XL")),
    (b"\0\0\0\x0cJXL ", Format("JPEG XL")),
    (b"\0\0\0\x0cjP  ", Format("JPEG 2000")),
    (b"\xff\x4f\xff\x51", Format("JPEG 2000")),
    (b"8BPS", Format("Photoshop")),
    (b"%PDF-", Format("PDF")),
    (b"FUJIFILMCCD-RAW", Format("camera raw")),
)


def format_of(data: bytes) -> Format | None:
    """The format of a file; None where it is none that is known."""
    if data[:4] == b"RIFF" and data[8:12] == b"WEBP":
        return WEBP
    if data[4:8] == b"ftyp":
        return _container_format(data)
    return next((format for beginning, format in BEGINNINGS if data.startswith(beginning)), None)


def _container_format(data: bytes) -> Format | None:
    """AVIF or HEIC, by the brands of an ISO base media file."""
    length = min(int.from_bytes(data[:4], "big"), 256)
    brands = [data[8:12], *(data[at : at + 4] for at in range(16, length - 3, 4))]
    for brand in brands:  # the major brand is the first
        if brand in AVIF_BRANDS:
            return AVIF
        if brand in HEIC_BRANDS:
            return HEIC
    return HEIC if brands[0] in (b"mif1", b"msf1") else None


def open_stored(name: str, data: bytes) -> Stored:
    """A file that is opened and not decoded.

    Raises:
        InputError: it is not of a format that is read.
        ValueError, SyntaxError, OSError: its header is damaged.
    """
    format = format_of(data)
    read = ", ".join(each.name for each in READ)
    if format is None:
        raise InputError(f"{name}: not an image that is known here; {read} are read")
    if format.open is None:
        raise InputError(f"{name}: a {format.name} file is not read; save it as one of {read}")
    return format.open(data)
