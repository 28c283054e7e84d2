"""PNG files: chunks outside the pixels are read here, and the decoder gets the pixels' chunks alone.

So a fault in an ancillary chunk costs that chunk and not the photo. PNG (Third Edition), W3C, section numbers below.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from threading import Thread

import numpy as np

from edgedrag.runtime.photo.stored import STRIP, Stored, opencv_decode

SIGNATURE = b"\x89PNG\r\n\x1a\n"
COLOUR_CHUNKS = (b"cICP", b"cHRM", b"gAMA", b"sRGB")
TEXT_CHUNKS = (b"tEXt", b"zTXt", b"iTXt")
XMP_KEYWORD = b"XML:com.adobe.xmp"
MAX_TEXT = 1 << 20  # bytes of an inflated text chunk; Pillow and libpng refuse files with longer ones
MAX_PROFILE = 1 << 24  # bytes of an inflated ICC profile
DEPTHS = {0: (1, 2, 4, 8, 16), 2: (8, 16), 3: (1, 2, 4, 8), 4: (8, 16), 6: (8, 16)}  # 11.2.1
CHANNELS = {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}
LAST_FILTER = 4  # 9.2
PASSES = ((0, 0, 8, 8), (4, 0, 8, 8), (0, 4, 4, 8), (2, 0, 4, 4), (0, 2, 2, 4), (1, 0, 2, 2), (0, 1, 1, 2))  # 8.1


@dataclass(frozen=True)
class Chunk:
    """A chunk; `raw` is all of it, `body` its content; `sound` where its checksum is right."""

    kind: bytes
    body: memoryview
    raw: memoryview
    sound: bool


@dataclass(frozen=True)
class Header:
    """The IHDR chunk."""

    width: int
    height: int
    depth: int
    colour: int
    interlaced: bool

    @property
    def sample(self) -> int:
        """Bytes of a decoded sample."""
        return 2 if self.depth == 16 else 1

    def length(self) -> int:
        """Bytes of the inflated pixels, filter types included."""
        bits = self.depth * CHANNELS[self.colour]
        if not self.interlaced:
            return self.height * (1 + (self.width * bits + 7) // 8)
        total = 0
        for left, top, step_x, step_y in PASSES:
            width, height = -((left - self.width) // step_x), -((top - self.height) // step_y)
            total += height * (1 + (width * bits + 7) // 8) if width > 0 and height > 0 else 0
        return total


def read_chunks(data: bytes) -> Iterator[Chunk]:
    """The chunks of a PNG file, to its end marker or as far as they go."""
    view, at = memoryview(data), len(SIGNATURE)
    while at + 12 <= len(data):
        (length,) = struct.unpack_from(">I", data, at)
        kind = data[at + 4 : at + 8]
        end = at + 12 + length
        if end > len(data) or not kind.isalpha():
            return
        (checksum,) = struct.unpack_from(">I", data, end - 4)
        yield Chunk(kind, view[at + 8 : end - 4], view[at:end], zlib.crc32(view[at + 4 : end - 4]) == checksum)
        if kind == b"IEND":
            return
        at = end


def open_png(data: bytes) -> Stored:
    """A PNG file; raises ValueError where its pixels are damaged or missing."""
    chunks = list(read_chunks(data))
    header = _header(chunks)
    kinds = (b"PLTE", b"IDAT") if header.colour == 3 else (b"IDAT",)
    pixel_chunks = [chunk for chunk in chunks if chunk.kind in kinds]
    if not all(chunk.sound for chunk in pixel_chunks):
        raise ValueError("a wrong checksum in its pixels")
    metadata = _Metadata()
    for chunk in chunks:
        metadata.take(chunk)
    if chunks[-1].kind != b"IEND":
        metadata.warnings.append("its end is missing")
    key = metadata.transparency
    if key is not None and not _fits(key, header):
        metadata.warnings.append("its transparency (tRNS) is damaged and is left out")
        key = None
    wanted = [chunks[0], *pixel_chunks]
    if key is not None and header.colour == 3:
        wanted.insert(-sum(chunk.kind == b"IDAT" for chunk in wanted), key)
    opaque = header.colour == 3 or key is None
    colour = {0: 1, 2: 3, 3: 3, 4: 4, 6: 4}[header.colour] * header.sample  # OpenCV makes RGBA of grey with alpha
    result = {0: 1, 2: 3, 3: 3, 4: 2, 6: 4}[header.colour] * header.sample + (key is not None) * header.sample

    def decode() -> np.ndarray:
        end = b"\x00\x00\x00\x00IEND\xaeB`\x82"
        with _checked_meanwhile(header, (chunk.body for chunk in pixel_chunks if chunk.kind == b"IDAT")):
            pixels = opencv_decode(b"".join([SIGNATURE, *(chunk.raw for chunk in wanted), end]))
        if header.colour == 4:
            return np.ascontiguousarray(pixels[..., ::3])  # OpenCV repeats the grey
        return pixels if opaque or key is None else _with_alpha(pixels, bytes(key.body), header)

    return Stored(
        "PNG",
        (header.width, header.height),
        decode,
        decoding=max(2 * colour, colour + result if key or header.colour == 4 else 0),  # OpenCV holds them twice
        held=0,
        result=result,
        icc=metadata.icc,
        exif=metadata.exif,
        xmp=metadata.xmp,
        png_chunks=tuple(metadata.kept),
        density=metadata.density,
        warnings=metadata.warnings,
    )


def _header(chunks: list[Chunk]) -> Header:
    if not chunks or chunks[0].kind != b"IHDR" or len(chunks[0].body) != 13 or not chunks[0].sound:
        raise ValueError("its header is damaged")
    width, height, depth, colour, compression, filters, interlace = struct.unpack(">IIBBBBB", chunks[0].body)
    if depth not in DEPTHS.get(colour, ()) or compression or filters or interlace > 1:
        raise ValueError("its header is damaged")
    return Header(width, height, depth, colour, bool(interlace))


def _fits(key: Chunk, header: Header) -> bool:
    """Whether a tRNS chunk is one of this kind of picture."""
    return {0: len(key.body) == 2, 2: len(key.body) == 6, 3: 0 < len(key.body) <= 256}.get(header.colour, False)


@contextmanager
def _checked_meanwhile(header: Header, parts: Iterable[memoryview]) -> Iterator[None]:
    """Check the compressed pixels in a thread, as OpenCV decodes them; raises what is wrong with them at the end."""
    faults: list[Exception] = []

    def check() -> None:
        try:
            _check_pixels(header, parts)
        except Exception as fault:
            faults.append(fault)

    checker = Thread(target=check)
    checker.start()
    try:
        yield
    finally:
        checker.join()
        if faults:
            raise faults[0]


def _check_pixels(header: Header, parts: Iterable[memoryview]) -> None:
    """Raise ValueError where the compressed pixels are damaged or too few; OpenCV fills up what is missing."""
    inflate, missing, at = zlib.decompressobj(), header.length(), 0
    row = header.length() // header.height
    try:
        for part in parts:
            pending: bytes | memoryview = part
            while len(pending) and missing > 0:
                values = inflate.decompress(pending, 1 << 20)
                if not header.interlaced and max(values[-at % row :: row], default=0) > LAST_FILTER:
                    raise ValueError("its pixels are damaged")
                missing, at = missing - len(values), at + len(values)
                pending = inflate.unconsumed_tail
                if inflate.eof:
                    break
    except zlib.error as error:
        raise ValueError(f"its pixels are damaged: {error}") from None
    if missing > 0:
        raise ValueError("its pixels are cut short")


def _with_alpha(pixels: np.ndarray, key: bytes, header: Header) -> np.ndarray:
    """Grey or RGB pixels with an alpha channel that is 0 where they are the transparent colour (11.3.1.1)."""
    count = CHANNELS[header.colour]
    samples = np.frombuffer(key[: 2 * count], ">u2").astype(np.int64) & (2**header.depth - 1)
    if header.depth < 8:
        samples = samples * (255 // (2**header.depth - 1))
    colour = pixels.reshape(header.height, header.width, count)
    out = np.empty((header.height, header.width, count + 1), pixels.dtype)
    for top in range(0, header.height, STRIP):
        rows = slice(top, top + STRIP)
        out[rows, :, :count] = colour[rows]
        out[rows, :, count] = np.where((colour[rows] == samples).all(-1), 0, np.iinfo(pixels.dtype).max)
    return out


class _Metadata:
    """What the chunks outside the pixels hold; the first of a kind counts."""

    def __init__(self) -> None:
        self.icc: bytes | None = None
        self.exif: bytes | None = None
        self.xmp: bytes | None = None
        self.density: tuple[int, int, int] | None = None
        self.transparency: Chunk | None = None
        self.kept: list[tuple[bytes, bytes]] = []
        self.warnings: list[str] = []
        self._seen: set[bytes] = set()

    def take(self, chunk: Chunk) -> None:
        """Read a chunk, or say that it is left out."""
        kind, body = chunk.kind, bytes(chunk.body) if chunk.kind != b"IDAT" else b""
        if kind[:1].isupper():
            return
        name = kind.decode("ascii")
        if not chunk.sound:
            self.warnings.append(f"its {name} chunk has a wrong checksum and is left out")
        elif kind in TEXT_CHUNKS:
            self._take_text(kind, body)
        elif kind in self._seen:
            pass
        elif kind == b"iCCP":
            self.icc = _inflated(body.partition(b"\0")[2][1:], MAX_PROFILE)
            if self.icc is None:
                self.warnings.append("its colour profile (iCCP) is damaged and is left out")
        elif kind == b"eXIf":
            self.exif = body
        elif kind == b"tRNS":
            self.transparency = chunk
        elif kind in COLOUR_CHUNKS:
            self._take_fixed(kind, body, {b"cICP": 4, b"cHRM": 32, b"gAMA": 4, b"sRGB": 1}[kind])
        elif kind == b"pHYs":
            if len(body) == 9 and 0 not in struct.unpack(">II", body[:8]) and body[8] <= 1:
                self.density = struct.unpack(">IIB", body)
            else:
                self.warnings.append("its resolution (pHYs) is damaged and is left out")
        elif kind == b"acTL":
            self.warnings.append("it is animated, and the first picture alone is read")
        self._seen.add(kind)

    def _take_fixed(self, kind: bytes, body: bytes, length: int) -> None:
        if len(body) == length:
            self.kept.append((kind, body))
        else:
            self.warnings.append(f"its {kind.decode()} chunk is damaged and is left out")

    def _take_text(self, kind: bytes, body: bytes) -> None:
        keyword, _, rest = body.partition(b"\0")
        text = _text(kind, rest)
        shown = f"'{keyword[:79].decode('latin-1')}' ({kind.decode()})"
        if text is None or not keyword:
            self.warnings.append(f"its text {shown} is damaged or longer than 1 MB, and is left out")
        elif keyword in (b"Raw profile type exif", b"Raw profile type APP1"):  # ImageMagick's, before eXIf
            self.exif = self.exif or _raw_profile(text)
        elif keyword != XMP_KEYWORD:
            self.kept.append((kind, body))
        elif self.xmp is None:
            self.xmp = text


def _text(kind: bytes, rest: bytes) -> bytes | None:
    """A text chunk's text after its keyword; None where it is damaged or too long."""
    if kind == b"zTXt":
        return _inflated(rest[1:], MAX_TEXT)
    if kind == b"iTXt":
        flag = rest[:1]
        rest = rest[2:].partition(b"\0")[2].partition(b"\0")[2]
        if flag == b"\1":
            return _inflated(rest, MAX_TEXT)
    return rest if len(rest) <= MAX_TEXT else None


def _inflated(data: bytes, most: int) -> bytes | None:
    """Inflated data; None where it is damaged or longer than `most`."""
    inflate = zlib.decompressobj()
    try:
        out = inflate.decompress(data, most + 1)
    except zlib.error:
        return None
    return out if inflate.eof and len(out) <= most else None


def _raw_profile(text: bytes) -> bytes | None:
    """EXIF data that is written as a name, a length and hexadecimal digits."""
    try:
        return bytes.fromhex("".join(text.decode("latin-1").split()[2:]))
    except ValueError:
        return None
