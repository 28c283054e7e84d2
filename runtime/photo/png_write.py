"""PNG files written: pixels by OpenCV, and the chunks around them."""

from __future__ import annotations

import struct
import zlib

import cv2
import numpy as np

from edgedrag.runtime.photo.png_read import SIGNATURE, XMP_KEYWORD

HEADER_END = len(SIGNATURE) + 25  # of IHDR, before which no other chunk may be
UP = 2  # the filter type of differences from the row above


def encode_png(
    pixels: np.ndarray,
    icc: bytes | None = None,
    exif: bytes | None = None,
    xmp: bytes | None = None,
    density: tuple[int, int, int] | None = None,
    chunks: tuple[tuple[bytes, bytes], ...] = (),
) -> bytes:
    """A PNG file of pixels as in `Picture`; raises ValueError where OpenCV cannot write it."""
    extra = list(chunks)
    if icc is not None:
        extra.append((b"iCCP", b"ICC profile\0\0" + zlib.compress(icc)))
    if density is not None:
        extra.append((b"pHYs", struct.pack(">IIB", *density)))
    if exif is not None:
        extra.append((b"eXIf", exif))
    if xmp is not None:
        extra.append((b"iTXt", XMP_KEYWORD + b"\0\0\0\0\0" + xmp))
    data = _grey_alpha(pixels) if pixels.ndim == 3 and pixels.shape[2] == 2 else _by_opencv(pixels)
    inserted = [_chunk(kind, body) for kind, body in extra]
    return b"".join([data[:HEADER_END], *inserted, data[HEADER_END:]])


def _by_opencv(pixels: np.ndarray) -> bytes:
    if pixels.ndim == 3:
        pixels = pixels[..., [2, 1, 0, 3][: pixels.shape[2]]]
    done, data = cv2.imencode(".png", np.ascontiguousarray(pixels))
    if not done:
        raise ValueError("OpenCV cannot write this picture as PNG")
    return data.tobytes()


def _grey_alpha(pixels: np.ndarray) -> bytes:
    """A file of grey with alpha, which OpenCV does not write."""
    height, width = pixels.shape[:2]
    rows = np.ascontiguousarray(pixels, pixels.dtype.newbyteorder(">")).view(np.uint8).reshape(height, -1)
    filtered = np.empty((height, 1 + rows.shape[1]), np.uint8)
    filtered[:, 0] = UP
    filtered[0, 1:] = rows[0]
    np.subtract(rows[1:], rows[:-1], out=filtered[1:, 1:])
    header = struct.pack(">IIBBBBB", width, height, pixels.dtype.itemsize * 8, 4, 0, 0, 0)
    body = zlib.compress(filtered.data, 1)
    return SIGNATURE + _chunk(b"IHDR", header) + _chunk(b"IDAT", body) + _chunk(b"IEND", b"")


def _chunk(kind: bytes, body: bytes) -> bytes:
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(body, zlib.crc32(kind)))
