"""WebP files (RFC 9649): chunks outside the pixels are read here, and the decoder gets the others alone."""

from __future__ import annotations

import io
import struct
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

import numpy as np

from edgedrag.runtime.photo.stored import Stored, opencv_decode

if TYPE_CHECKING:
    from PIL import Image

ALPHA, ANIMATION = 0x10, 0x02  # flags of VP8X
OPENCV_BYTES = 64  # OpenCV refuses shorter files, such as those of one pixel
PIXELS = (b"VP8 ", b"VP8L", b"ALPH", b"ANIM", b"ANMF")


def read_chunks(data: bytes) -> Iterator[tuple[bytes, bytes]]:
    """Kind and content of the chunks, as far as they go; the last one may be cut short."""
    at = 12
    while at + 8 <= len(data):
        kind, length = struct.unpack_from("<4sI", data, at)
        yield kind, data[at + 8 : at + 8 + length]
        at += 8 + length + length % 2


def open_webp(data: bytes) -> Stored:
    """A WebP file; raises ValueError where its header is damaged."""
    chunks = list(read_chunks(data))
    found: dict[bytes, bytes] = {}
    for kind, body in chunks:
        found.setdefault(kind, body)
    header = found.get(b"VP8X", b"")
    flags = header[0] if len(header) >= 10 else 0
    size, alpha = _size(found, header)
    alpha = alpha or bool(flags & ALPHA)
    wanted = [(kind, body) for kind, body in chunks if kind in PIXELS]
    if len(header) >= 10:
        wanted.insert(0, (b"VP8X", bytes([flags & (ALPHA | ANIMATION)]) + header[1:10]))
    plain = _riff(wanted)
    animated = bool(flags & ANIMATION)
    decode: Callable[[], Image.Image | np.ndarray] = lambda: opencv_decode(plain)  # noqa: E731
    if animated:
        decode = lambda: _first_frame(plain)  # noqa: E731
    warnings = ["it is animated, and the first picture alone is read"] if animated else []
    return Stored(
        "WebP",
        size,
        decode,
        decoding=20 if animated else 8,
        held=4 if animated else 0,
        result=4 if alpha else 3,
        icc=found.get(b"ICCP"),
        exif=found.get(b"EXIF"),
        xmp=found.get(b"XMP "),
        lossy=b"VP8L" not in found,
        warnings=warnings,
    )


def _size(found: dict[bytes, bytes], header: bytes) -> tuple[tuple[int, int], bool]:
    """Width and height, and whether a lossless picture says that it has alpha."""
    if len(header) >= 10:
        return (1 + int.from_bytes(header[4:7], "little"), 1 + int.from_bytes(header[7:10], "little")), False
    lossy, lossless = found.get(b"VP8 ", b""), found.get(b"VP8L", b"")
    if len(lossy) >= 10:
        width, height = struct.unpack_from("<HH", lossy, 6)
        return (width & 0x3FFF, height & 0x3FFF), False
    if len(lossless) >= 5:
        bits = int.from_bytes(lossless[1:5], "little")
        return (1 + (bits & 0x3FFF), 1 + (bits >> 14 & 0x3FFF)), bool(bits >> 28 & 1)
    raise ValueError("its header is damaged")


def _riff(chunks: list[tuple[bytes, bytes]]) -> bytes:
    body = b"".join(
        struct.pack("<4sI", kind, len(content)) + content + b"\0" * (len(content) % 2) for kind, content in chunks
    )
    return (struct.pack("<4sI4s", b"RIFF", 4 + len(body), b"WEBP") + body).ljust(OPENCV_BYTES, b"\0")


def _first_frame(plain: bytes) -> Image.Image:
    from PIL.WebPImagePlugin import WebPImageFile

    image = WebPImageFile(io.BytesIO(plain))
    image.load()
    return image


def encode_webp(pixels: np.ndarray, icc: bytes | None, exif: bytes | None, xmp: bytes | None) -> bytes:
    """A lossless WebP file of pixels uint8 as in `Picture`."""
    from PIL import Image

    out = io.BytesIO()
    metadata = {name: value for name, value in (("icc_profile", icc), ("exif", exif), ("xmp", xmp)) if value}
    Image.fromarray(pixels).save(out, "WEBP", lossless=True, exact=True, quality=30, **metadata)
    return out.getvalue()
