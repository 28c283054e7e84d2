"""TIFF files (TIFF 6.0): the first page is read, by Pillow or at 16 bits by OpenCV; files are written here.

The decoder gets a directory with the tags of the pixels alone. Pillow writes no 16-bit RGB, and OpenCV no profile.
"""

from __future__ import annotations

import io
import struct
import zlib
from typing import TYPE_CHECKING

import numpy as np

from edgedrag.runtime.photo.exif import (
    LONG,
    ORIENTATION,
    RATIONAL,
    SHORT,
    Directory,
    Entry,
    order_of,
    read_directory,
    write_directory,
    write_exif,
)
from edgedrag.runtime.photo.stored import INKS, Stored, opencv_decode, pillow_bytes

if TYPE_CHECKING:
    from PIL import Image

KIND, WIDTH, HEIGHT, BITS, COMPRESSION, PHOTOMETRIC, STRIPS, SAMPLES = 254, 256, 257, 258, 259, 262, 273, 277
ROWS, STRIP_BYTES, X_DENSITY, Y_DENSITY, PLANES, UNIT, PREDICTOR, EXTRA = 278, 279, 282, 283, 284, 296, 317, 338
SUB_FILES, XMP, ICC, DNG_VERSION = 330, 700, 34675, 0xC612
PIXELS = {WIDTH, HEIGHT, BITS, COMPRESSION, PHOTOMETRIC, 266, STRIPS, SAMPLES, ROWS, STRIP_BYTES, PLANES, 292, 293}
PIXELS |= {PREDICTOR, 320, 322, 323, 324, 325, 332, EXTRA, 339, 347, *range(512, 522), 529, 530, 531, 532}
# Of the document, the camera, dates and people; the rest of a first directory is how the pixels are stored.
DESCRIPTIVE = {269, 270, 271, 272, 285, 305, 306, 315, 316, 18246, 18249, 33432, 40091, 40092, 40093, 40094, 40095}
BYTE, UNDEFINED = 1, 7
LOSSY = (6, 7, 34892, 50001)  # compressions of the JPEG family and WebP
INCH, CENTIMETRE = 0.0254, 0.01  # metres
STRIP = 1 << 20  # bytes of pixels in a strip
RAW = "a camera's raw file, or a reduced picture of one; develop it and save it as PNG, TIFF or JPEG"


def open_tiff(data: bytes) -> Stored:
    """A TIFF file; raises ValueError or SyntaxError where its header is damaged or of a form that is not read."""
    if data[2:4] in (b"\x2b\0", b"\0\x2b"):
        raise ValueError("BigTIFF is not read; save it as TIFF of less than 4 GB")
    order, directory = order_of(data), read_directory(data)
    values = {entry.tag: entry for entry in directory.entries}
    if DNG_VERSION in values or (SUB_FILES in values and _number(values.get(KIND), order) & 1):
        raise ValueError(RAW)
    plain = _pixels_alone(data, order, directory)
    from PIL.TiffImagePlugin import TiffImageFile

    image = TiffImageFile(io.BytesIO(plain))
    bits = image.tag_v2.get(BITS, (1,))
    deep = image.mode in ("RGB", "RGBA") and isinstance(bits, tuple) and max(bits) == 16
    held, result = (0, 2 * len(image.getbands())) if deep else pillow_bytes(image)

    def decode() -> Image.Image | np.ndarray:
        if deep:
            return opencv_decode(plain)
        image.load()
        return image

    orientation = _number(values.get(ORIENTATION), order)
    warnings = ["it has several pages, and the first alone is read"] if directory.next else []
    inks = image.mode == "CMYK"
    return Stored(
        "TIFF",
        image.size,
        decode,
        decoding=2 * max(held, result),
        held=held,
        result=result,
        container_orientation=orientation if 1 <= orientation <= 8 else None,
        icc=None if inks else _value(values.get(ICC)),
        exif=_exif(directory, order),
        xmp=_value(values.get(XMP)),
        density=_density(values, order),
        lossy=image.tag_v2.get(COMPRESSION, 1) in LOSSY,
        warnings=[*warnings, *([INKS] if inks else [])],
    )


def _pixels_alone(data: bytes, order: str, directory: Directory) -> bytes:
    """The file with one directory behind it that has the tags of the pixels alone."""
    at = len(data) + len(data) % 2
    alone = Directory([entry for entry in directory.entries if entry.tag in PIXELS])
    header = data[:4] + struct.pack(order + "I", at)
    return b"".join([header, data[8:], b"\0" * (at - len(data)), write_directory(alone, order, at)])


def _value(entry: Entry | None) -> bytes | None:
    return None if entry is None else bytes(entry.value)


def _number(entry: Entry | None, order: str) -> int:
    """The first value of a SHORT or LONG entry; 0 where there is none."""
    if entry is None or entry.type not in (SHORT, LONG):
        return 0
    return int(struct.unpack_from(order + ("H" if entry.type == SHORT else "I"), entry.value)[0])


def _exif(directory: Directory, order: str) -> bytes | None:
    """What describes the photo, as EXIF data."""
    found = Directory([entry for entry in directory.entries if entry.tag in DESCRIPTIVE], directory.children)
    return write_exif(found, order) if found.entries or found.children else None


def _density(values: dict[int, Entry], order: str) -> tuple[int, int, int] | None:
    pair = []
    for tag in (X_DENSITY, Y_DENSITY):
        entry = values.get(tag)
        if entry is None or entry.type != RATIONAL:
            return None
        above, below = struct.unpack_from(order + "II", entry.value)
        pair.append(above / below if below else 0.0)
    unit = _number(values.get(UNIT), order) or 2
    if unit not in (2, 3) or not all(0 < value < 1e6 for value in pair):
        return None
    scale = INCH if unit == 2 else CENTIMETRE
    x, y = (max(round(value / scale), 1) for value in pair)
    return x, y, 1


def encode_tiff(
    pixels: np.ndarray,
    icc: bytes | None = None,
    exif: bytes | None = None,
    xmp: bytes | None = None,
    density: tuple[int, int, int] | None = None,
) -> bytes:
    """A TIFF file of pixels as in `Picture`: Deflate with horizontal differences, in strips.

    Raises:
        ValueError: EXIF data that is none.
    """
    order, described = ("<", Directory()) if exif is None else (order_of(exif), read_directory(exif))
    channels = 1 if pixels.ndim == 2 else pixels.shape[2]
    bits = pixels.dtype.itemsize * 8
    rows = max(STRIP // max(pixels[:1].nbytes, 1), 1)
    strips = [_strip(pixels[top : top + rows], order) for top in range(0, len(pixels), rows)]
    lengths = [len(strip) for strip in strips]
    starts = [8 + sum(lengths[:number]) for number in range(len(lengths))]
    tags: dict[int, tuple[int, list[int]]] = {
        WIDTH: (LONG, [pixels.shape[1]]),
        HEIGHT: (LONG, [len(pixels)]),
        BITS: (SHORT, [bits] * channels),
        COMPRESSION: (SHORT, [8]),
        PHOTOMETRIC: (SHORT, [1 if channels < 3 else 2]),
        STRIPS: (LONG, starts),
        SAMPLES: (SHORT, [channels]),
        ROWS: (LONG, [rows]),
        STRIP_BYTES: (LONG, lengths),
        PLANES: (SHORT, [1]),
        PREDICTOR: (SHORT, [2]),
    }
    if channels in (2, 4):
        tags[EXTRA] = (SHORT, [2])  # alpha that the colours are not multiplied by
    entries = [_entry(tag, type_, numbers, order) for tag, (type_, numbers) in tags.items()]
    entries += [entry for entry in described.entries if entry.tag in DESCRIPTIVE]
    entries += [] if icc is None else [Entry(ICC, UNDEFINED, len(icc), icc)]
    entries += [] if xmp is None else [Entry(XMP, BYTE, len(xmp), xmp)]
    if density is not None and density[2]:
        pairs = [struct.pack(order + "II", round(value * INCH * 1000), 1000) for value in density[:2]]
        entries += [Entry(X_DENSITY, RATIONAL, 1, pairs[0]), Entry(Y_DENSITY, RATIONAL, 1, pairs[1])]
        entries.append(_entry(UNIT, SHORT, [2], order))
    at = 8 + sum(lengths)
    header = (b"II*\0" if order == "<" else b"MM\0*") + struct.pack(order + "I", at + at % 2)
    directory = write_directory(Directory(entries, described.children), order, at + at % 2)
    return b"".join([header, *strips, b"\0" * (at % 2), directory])


def _entry(tag: int, type_: int, numbers: list[int], order: str) -> Entry:
    form = f"{order}{len(numbers)}{'H' if type_ == SHORT else 'I'}"
    return Entry(tag, type_, len(numbers), struct.pack(form, *numbers))


def _strip(pixels: np.ndarray, order: str) -> bytes:
    """Rows compressed: the first pixel of each, then differences, modulo the values' range."""
    differences = pixels.copy()
    differences[:, 1:] -= pixels[:, :-1]
    return zlib.compress(differences.astype(f"{order}u{pixels.dtype.itemsize}").tobytes(), 6)
