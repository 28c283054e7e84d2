"""JPEG files: segments outside the pixels are read and written here, and the decoder gets the others alone.

ITU-T T.81, JFIF 1.02, and the EXIF, XMP and ICC specifications of what is in APP1 and APP2.
"""

from __future__ import annotations

import hashlib
import io
import struct
from collections.abc import Iterator
from typing import TYPE_CHECKING

import numpy as np

from edgedrag.runtime.photo.stored import INKS, STRIP, Stored, rows

if TYPE_CHECKING:
    from PIL import Image

SOI, EOI = b"\xff\xd8", b"\xff\xd9"
EXIF, XMP, LONG_XMP = b"Exif\0\0", b"http://ns.adobe.com/xap/1.0/\0", b"http://ns.adobe.com/xmp/extension/\0"
ICC = b"ICC_PROFILE\0"
MAX_SEGMENT = 65533  # bytes of content
MAX_EXIF, MAX_XMP = MAX_SEGMENT - len(EXIF), MAX_SEGMENT - len(XMP)
ICC_PART = MAX_SEGMENT - len(ICC) - 2
SOS, APP0, APP1, APP2, APP14, APP15, COM = 0xDA, 0xE0, 0xE1, 0xE2, 0xEE, 0xEF, 0xFE
PROGRESSIVE = (0xC2, 0xC6, 0xCA, 0xCE)
PADS = (b"\x55", b"\x92")  # scan data that no encoder would write at a scan's end
INCH = 0.0254  # metres
LONG_XMP_LEFT_OUT = "the second part of its XMP is left out"


def read_segments(data: bytes) -> Iterator[tuple[int, int, int]]:
    """Marker, and where its segment begins and ends, up to the first scan's, which ends with the file."""
    at = len(SOI)
    while True:
        at = data.find(b"\xff", at)  # decoders skip what lies between segments too
        if at < 0 or at + 4 > len(data):
            return
        marker = data[at + 1]
        if marker in (0x00, 0x01, 0xFF) or 0xD0 <= marker <= 0xD9:
            at += 1 if marker == 0xFF else 2
            continue
        if marker == SOS:
            yield marker, at, len(data)
            return
        end = at + 2 + max(struct.unpack_from(">H", data, at + 2)[0], 2)
        if end > len(data):
            return
        yield marker, at, end
        at = end


def open_jpeg(data: bytes) -> Stored:
    """A JPEG file; raises SyntaxError or ValueError where its header is damaged."""
    metadata, wanted, progressive = _Metadata(), [SOI], False
    for marker, begin, end in read_segments(data):
        if APP0 <= marker <= APP15:
            metadata.take(marker, data[begin + 4 : end])
        if marker in (APP0, APP14) or (marker != COM and not APP0 < marker <= APP15):
            wanted.append(data[begin:end])
        progressive |= marker in PROGRESSIVE
    plain = b"".join(wanted)
    from PIL.JpegImagePlugin import JpegImageFile

    image = JpegImageFile(io.BytesIO(plain))
    channels = len(image.getbands())
    held, result = (1, 1) if channels == 1 else (4, 3)
    if image.mode == "CMYK":
        metadata.warnings.append(INKS)

    def decode() -> Image.Image:
        try:
            return _loaded(plain)
        except OSError:
            if plain.endswith(EOI):
                raise
        metadata.warnings.append("its end marker is missing")
        return _without_end(plain)

    return Stored(
        "JPEG",
        image.size,
        decode,
        decoding=held + 2 * channels * progressive,  # libjpeg keeps a progressive file's coefficients
        held=held,
        result=result,
        icc=None if image.mode == "CMYK" else metadata.icc(),  # of CMYK it describes inks, and the pixels become RGB
        exif=metadata.exif,
        xmp=metadata.xmp,
        density=metadata.density,
        lossy=True,
        warnings=metadata.warnings,
    )


def _loaded(plain: bytes) -> Image.Image:
    from PIL.JpegImagePlugin import JpegImageFile

    image = JpegImageFile(io.BytesIO(plain))
    image.load()
    return image


def _without_end(plain: bytes) -> Image.Image:
    """The picture of a file that has no end marker; raises OSError where pixels are missing too.

    Pixels that are there do not depend on what follows them; those that are not are made of it.
    """
    digests = set()
    for pad in PADS:
        image = _loaded(plain.rstrip(b"\xff") + pad * 256 + EOI)
        digest = hashlib.sha256()
        for top in range(0, image.height, STRIP):
            digest.update(rows(image, top, min(top + STRIP, image.height)).tobytes())
        digests.add(digest.digest())
    if len(digests) > 1:
        raise OSError("its pixels are cut short")
    return image


class _Metadata:
    """What the segments outside the pixels hold; the first of a kind counts."""

    def __init__(self) -> None:
        self.exif: bytes | None = None
        self.xmp: bytes | None = None
        self.density: tuple[int, int, int] | None = None
        self.warnings: list[str] = []
        self._icc: list[bytes] = []

    def take(self, marker: int, body: bytes) -> None:
        """Read an application's segment."""
        if marker == APP0 and body.startswith(b"JFIF\0") and len(body) >= 12:
            self.density = self.density or _density(*struct.unpack_from(">BHH", body, 7))
        elif marker == APP1 and body.startswith(EXIF):
            self.exif = self.exif or body[len(EXIF) :]
        elif marker == APP1 and body.startswith(XMP):
            self.xmp = self.xmp or body[len(XMP) :]
        elif marker == APP1 and body.startswith(LONG_XMP):
            if LONG_XMP_LEFT_OUT not in self.warnings:
                self.warnings.append(LONG_XMP_LEFT_OUT)
        elif marker == APP2 and body.startswith(ICC):
            self._icc.append(body[len(ICC) :])

    def icc(self) -> bytes | None:
        """The colour profile, of all its segments."""
        if not self._icc:
            return None
        parts = {part[0]: part[2:] for part in self._icc if len(part) > 2}
        if len(parts) != len(self._icc) or sorted(parts) != list(range(1, self._icc[0][1] + 1)):
            self.warnings.append("its colour profile lacks a part and is left out")
            return None
        return b"".join(parts[number] for number in sorted(parts))


def _density(unit: int, x: int, y: int) -> tuple[int, int, int] | None:
    """A JFIF header's density as PNG has it."""
    if not x or not y or unit > 2 or (unit == 0 and x == y):
        return None
    scale = (1, 1 / INCH, 100)[unit]
    return round(x * scale), round(y * scale), int(unit > 0)


def encode_jpeg(
    pixels: np.ndarray,
    icc: bytes | None = None,
    exif: bytes | None = None,
    xmp: bytes | None = None,
    density: tuple[int, int, int] | None = None,
) -> bytes:
    """A JPEG file of pixels uint8 [H, W] or [H, W, 3], of `MAX_EXIF` and `MAX_XMP` bytes at most."""
    from PIL import Image

    out = io.BytesIO()
    Image.fromarray(pixels).save(out, "JPEG", quality=95, subsampling=0)
    data = out.getvalue()
    bodies = [] if exif is None else [(APP1, EXIF + exif)]
    bodies += [] if xmp is None else [(APP1, XMP + xmp)]
    if icc is not None:
        count = -(-len(icc) // ICC_PART)
        for number in range(count):
            part = icc[number * ICC_PART : (number + 1) * ICC_PART]
            bodies.append((APP2, ICC + bytes((number + 1, count)) + part))
    segments = [struct.pack(">BBH", 0xFF, marker, len(body) + 2) + body for marker, body in bodies]
    return b"".join([SOI, _jfif(density), *segments, data[2 + struct.unpack_from(">H", data, 4)[0] + 2 :]])


def _jfif(density: tuple[int, int, int] | None) -> bytes:
    """The JFIF header of a density."""
    x, y, unit = density or (1, 1, 0)
    if unit:
        x, y = round(x * INCH), round(y * INCH)
    if not (0 < x < 65536 and 0 < y < 65536):
        x, y, unit = 1, 1, 0
    return struct.pack(">HH5sHBHHBB", 0xFFE0, 16, b"JFIF\0", 0x0101, unit, x, y, 0, 0)
