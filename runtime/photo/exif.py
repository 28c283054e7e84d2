"""EXIF data, read and written without interpreting the values: what one camera writes, another reader may not grasp.

A TIFF header, then directories (IFDs) of entries: tag, type, count and value. Exif 2.32, section 4.6; TIFF 6.0.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass, field

ORIENTATION = 0x0112
DIRECTORIES = {0x8769: "Exif", 0x8825: "GPS", 0xA005: "Interoperability"}
TYPE_BYTES = {1: 1, 2: 1, 3: 2, 4: 4, 5: 8, 6: 1, 7: 1, 8: 2, 9: 4, 10: 8, 11: 4, 12: 8, 13: 4}
X_RESOLUTION, Y_RESOLUTION, RESOLUTION_UNIT, CENTIMETRE = 0x011A, 0x011B, 0x0128, 3
SHORT, LONG, RATIONAL = 3, 4, 5
PREFIX = b"Exif\0\0"


@dataclass
class Entry:
    """A value as its bytes, in the byte order of its file."""

    tag: int
    type: int
    count: int
    value: bytes | memoryview

    @property
    def size(self) -> int:
        """Bytes that it takes in a file."""
        return 12 + (len(self.value) + len(self.value) % 2 if len(self.value) > 4 else 0)


@dataclass
class Directory:
    """An IFD: its entries, and the directories that some of its tags point to."""

    entries: list[Entry] = field(default_factory=list)
    children: dict[int, Directory] = field(default_factory=dict)
    next: int = 0  # where the next directory of the file begins


def order_of(data: bytes | memoryview) -> str:
    """The byte order as `struct` has it; raises ValueError where `data` does not begin as TIFF does."""
    order = {b"II*\0": "<", b"MM\0*": ">"}.get(bytes(data[:4]))
    if order is None or len(data) < 8:
        raise ValueError("no TIFF header")
    return order


def read_directory(data: bytes | memoryview, at: int | None = None, depth: int = 0) -> Directory:
    """A directory, the first where `at` is None; entries whose values lie outside the data are left out.

    Raises:
        ValueError: not a TIFF header, a directory outside the data, or values that cannot all be in the data.
    """
    data = memoryview(data)
    order = order_of(data)
    at = struct.unpack_from(order + "I", data, 4)[0] if at is None else at
    if at + 2 > len(data):
        raise ValueError("a directory outside the data")
    directory, room = Directory(), len(data)
    (count,) = struct.unpack_from(order + "H", data, at)
    for begin in range(at + 2, min(at + 2 + 12 * count, len(data) - 11), 12):
        tag, type_, number = struct.unpack_from(order + "HHI", data, begin)
        length = TYPE_BYTES.get(type_, 0) * number
        place = begin + 8 if length <= 4 else struct.unpack_from(order + "I", data, begin + 8)[0]
        if not length or place + length > len(data):
            continue
        room -= length
        if room < 0:
            raise ValueError("values that overlap")
        value = data[place : place + length]
        if tag in DIRECTORIES and length == 4 and depth < len(DIRECTORIES):
            try:
                child = read_directory(data, struct.unpack(order + "I", value)[0], depth + 1)
            except ValueError:
                continue
            directory.children[tag] = child
        else:
            directory.entries.append(Entry(tag, type_, number, value))
    if at + 6 + 12 * count <= len(data):
        (directory.next,) = struct.unpack_from(order + "I", data, at + 2 + 12 * count)
    return directory


def write_directory(directory: Directory, order: str, at: int) -> bytes:
    """A directory that begins at offset `at`, with its values and children behind it."""
    entries = [*directory.entries, *(Entry(tag, LONG, 1, b"") for tag in directory.children)]
    entries.sort(key=lambda entry: entry.tag)
    table = struct.pack(order + "H", len(entries))
    behind, start = b"", at + 2 + 12 * len(entries) + 4
    for entry in entries:
        value = bytes(entry.value)
        if entry.tag in directory.children:
            place = start + len(behind)
            behind += write_directory(directory.children[entry.tag], order, place)
            value = struct.pack(order + "I", place)
        elif len(value) > 4:
            place = start + len(behind)
            behind += value + b"\0" * (len(value) % 2)
            value = struct.pack(order + "I", place)
        table += struct.pack(order + "HHI4s", entry.tag, entry.type, entry.count, value)
    return table + b"\0\0\0\0" + behind


def write_exif(directory: Directory, order: str) -> bytes:
    """EXIF data of a first directory."""
    header = (b"II*\0" if order == "<" else b"MM\0*") + struct.pack(order + "I", 8)
    return header + write_directory(directory, order, 8)


def upright(data: bytes) -> tuple[bytes, int | None]:
    """The same data with orientation 1 and without its thumbnail, which shows the photo before an edit.

    Every other byte stays.

    Returns:
        The data, and the orientation, 1 to 8, that it had; None where it had none.

    Raises:
        ValueError: it is not EXIF data.
    """
    data = data.removeprefix(PREFIX)
    order, first = order_of(data), read_directory(data)
    out, found = bytearray(data), None
    (at,) = struct.unpack_from(order + "I", data, 4)
    (count,) = struct.unpack_from(order + "H", data, at)
    for begin in range(at + 2, min(at + 2 + 12 * count, len(data) - 11), 12):
        tag, type_ = struct.unpack_from(order + "HH", data, begin)
        if tag == ORIENTATION and type_ in (1, SHORT, LONG):
            form = order + {1: "B", SHORT: "H", LONG: "I"}[type_]
            (value,) = struct.unpack_from(form, data, begin + 8)
            found = value if 1 <= value <= 8 else found
            struct.pack_into(form, out, begin + 8, 1)
    if first.next:
        struct.pack_into(order + "I", out, at + 2 + 12 * count, 0)
        _erase_thumbnail(out, data, first.next, order)
    return bytes(out), found


def _erase_thumbnail(out: bytearray, data: bytes, at: int, order: str) -> None:
    """Zero a JPEG thumbnail of the second directory."""
    try:
        values = {entry.tag: bytes(entry.value) for entry in read_directory(data, at).entries if len(entry.value) == 4}
    except ValueError:
        return
    begin, length = (struct.unpack(order + "I", values.get(tag, b"\0\0\0\0"))[0] for tag in (0x0201, 0x0202))
    if data[begin : begin + 2] == b"\xff\xd8" and begin + length <= len(data):
        out[begin : begin + length] = bytes(length)


def without(data: bytes, tags: set[int]) -> bytes:
    """EXIF data without tags of its first directory."""
    order, directory = order_of(data), read_directory(data)
    directory.entries = [entry for entry in directory.entries if entry.tag not in tags]
    return write_exif(directory, order)


def with_resolution(data: bytes | None, x: int, y: int) -> bytes:
    """EXIF data, or new, with a resolution in pixels a metre, unless it has one."""
    order, first = ("<", Directory()) if data is None else (order_of(data), read_directory(data))
    if data is not None and any(entry.tag == X_RESOLUTION for entry in first.entries):
        return data
    for tag, value in ((X_RESOLUTION, x), (Y_RESOLUTION, y)):
        first.entries.append(Entry(tag, RATIONAL, 1, struct.pack(order + "II", value, 100)))
    first.entries.append(Entry(RESOLUTION_UNIT, SHORT, 1, struct.pack(order + "H", CENTIMETRE)))
    return write_exif(first, order)


def fit(data: bytes, most: int) -> tuple[bytes | None, list[str]]:
    """EXIF data of at most `most` bytes: the largest values are left out until it fits.

    Returns:
        The data, None where nothing of it is left, and the names of the tags that were left out.
    """
    if len(data) <= most:
        return data, []
    try:
        order, first = order_of(data), read_directory(data)
    except ValueError:
        return None, ["all"]
    excess, dropped = len(write_exif(first, order)) - most, []
    for directory, entry in sorted(_entries(first), key=lambda pair: -pair[1].size):
        if excess <= 0:
            break
        directory.entries = [other for other in directory.entries if other is not entry]
        excess -= entry.size
        dropped.append(tag_name(entry.tag))
    return write_exif(first, order), dropped


def _entries(directory: Directory) -> Iterator[tuple[Directory, Entry]]:
    for entry in directory.entries:
        yield directory, entry
    for child in directory.children.values():
        yield from _entries(child)


def tag_name(tag: int) -> str:
    """A tag's name, or its number."""
    from PIL import ExifTags  # here: only warnings have names

    return ExifTags.TAGS.get(tag) or ExifTags.GPSTAGS.get(tag) or f"0x{tag:04X}"
