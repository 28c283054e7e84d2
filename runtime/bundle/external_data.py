"""Where the weights of an ONNX file lie, checked before any library opens it.

An ONNX file may name other files that hold its weights, and libraries differ in what they accept there: ONNX Runtime
1.23.2 reads `../secret.data`. So the runtime reads the few protobuf fields that name files itself; field numbers and
wire types are those of onnx.proto3 and of the protobuf encoding.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from math import prod
from mmap import ACCESS_READ, mmap
from pathlib import Path
from typing import NamedTuple

from edgedrag.runtime.errors import BundleError

MAX_DEPTH = 64  # of messages inside each other; protobuf's own limit is 100
MAX_GRAPH_BYTES = 2**31 - 1  # protobuf's own limit
VARINT, BYTES, FIXED = 0, 2, {1: 8, 5: 4}  # wire types, and bytes by wire type; proto3 has no groups (3, 4)

# By message, the fields that lead to tensors: field number -> message.
CHILDREN: dict[str, dict[int, str]] = {
    "model": {7: "graph", 20: "training", 25: "function"},
    "training": {1: "graph", 2: "graph"},
    "graph": {1: "node", 5: "tensor", 15: "sparse"},
    "function": {7: "node", 11: "attribute"},
    "node": {5: "attribute"},
    "attribute": {5: "tensor", 6: "graph", 10: "tensor", 11: "graph", 22: "sparse", 23: "sparse"},
    "sparse": {1: "tensor", 2: "tensor"},
}
# Fields that occur once. Libraries merge repeated ones, into a tensor that was never checked as a whole.
ONCE: dict[str, set[int]] = {
    "model": {7},
    "training": {1, 2},
    "attribute": {5, 6, 22},
    "sparse": {1, 2},
    "tensor": {2},
    "entry": {1, 2},
}

DIMS, DATA_TYPE, EXTERNAL_DATA = 1, 2, 13  # of a tensor
KEY, VALUE = 1, 2  # of an entry of external_data
# Bits of an element by data_type; strings (8) cannot be external.
BITS = {
    **dict.fromkeys((25, 26), 2),
    **dict.fromkeys((21, 22, 23), 4),
    **dict.fromkeys((27, 28), 6),
    **dict.fromkeys((2, 3, 9, 17, 18, 19, 20, 24), 8),
    **dict.fromkeys((4, 5, 10, 16), 16),
    **dict.fromkeys((1, 6, 12), 32),
    **dict.fromkeys((7, 11, 13, 14), 64),
    15: 128,
}
MAX_RANK = 32

Data = bytes | mmap


class Field(NamedTuple):
    """A field of a message: its number, its value where it is a varint, its bytes data[start:end] where it has any."""

    number: int
    wire: int
    value: int
    start: int
    end: int


def check_external_data(file: Path, external: Mapping[str, int]) -> None:
    """Check that an ONNX file takes weights from the given files only, and from within them.

    Args:
        external: size in bytes, by name, of the files beside it that it may read.

    Raises:
        BundleError: it names another file, a range beyond a file's end, or is no ONNX file.
    """
    if file.suffix != ".onnx":  # libraries choose the format by the name's ending
        raise BundleError(f"{file}: not a graph; graphs are .onnx files")
    if not 0 < file.stat().st_size <= MAX_GRAPH_BYTES:
        raise BundleError(f"{file}: empty or larger than 2 GiB; this is no ONNX file")
    try:
        with file.open("rb") as opened, mmap(opened.fileno(), 0, access=ACCESS_READ) as data:
            for start, end in tensor_ranges(data):
                _check_tensor(data, start, end, external)
    except ValueError as error:
        raise BundleError(f"{file}: {error}; get the bundle from its maker again, or export it again") from None


def tensor_ranges(data: Data) -> Iterator[tuple[int, int]]:
    """The byte ranges of all tensors that may have external data, in graphs, subgraphs and functions."""
    pending = [("model", 0, len(data), 0)]
    while pending:
        message, start, end, depth = pending.pop()
        if message == "tensor":
            yield start, end
            continue
        if depth > MAX_DEPTH:
            raise ValueError(f"messages lie in each other more than {MAX_DEPTH} deep")
        for field in _fields(data, start, end, message):
            child = CHILDREN[message].get(field.number)
            # Without the key "location" in its bytes a message has no external data: most of a file is skipped.
            if child and data.find(b"location", field.start, field.end) >= 0:
                pending.append((child, field.start, field.end, depth + 1))


def _check_tensor(data: Data, start: int, end: int, external: Mapping[str, int]) -> None:
    """Check one tensor's location and range. Raises ValueError."""
    dims: list[int] = []
    kind = 0
    entries: dict[str, str] = {}
    for field in _fields(data, start, end, "tensor"):
        if field.number == DIMS:
            dims += [field.value] if field.wire == VARINT else _packed(data, field)
            if len(dims) > MAX_RANK:
                raise ValueError(f"a tensor has more than {MAX_RANK} dimensions")
        elif field.number == DATA_TYPE:
            kind = field.value
        elif field.number == EXTERNAL_DATA:
            key, text = _entry(data, field)
            if key in entries:
                raise ValueError(f"a tensor has two values of '{key}'")
            entries[key] = text
    if "location" not in entries:
        return
    location = entries["location"]
    if location not in external:
        raise ValueError(f"takes weights from {location[:200]!r}, which the manifest does not name for it")
    if kind not in BITS:
        raise ValueError(f"a tensor in '{location}' has the unknown data type {kind}")
    size = external[location]
    offset = _number(entries.get("offset", "0"))
    length = _number(entries["length"]) if "length" in entries else size - offset
    if not (prod(dims) * BITS[kind] + 7) // 8 <= length <= size - offset:
        raise ValueError(f"a tensor of shape {dims} at byte {offset} does not lie within the {size} of '{location}'")


def _entry(data: Data, field: Field) -> tuple[str, str]:
    """Key and value of an entry of external_data."""
    found = {part.number: data[part.start : part.end] for part in _fields(data, field.start, field.end, "entry")}
    return found.get(KEY, b"").decode(), found.get(VALUE, b"").decode()


def _number(text: str) -> int:
    if not (text.isascii() and text.isdecimal() and len(text) < 20):
        raise ValueError(f"an offset or length is {text[:40]!r}")
    return int(text)


def _fields(data: Data, start: int, end: int, message: str) -> Iterator[Field]:
    """The fields of a message, unknown ones too.

    Raises:
        ValueError: cut off, a wire type that proto3 does not have, or two of a field that occurs once.
    """
    seen = set()
    once = ONCE.get(message, set())
    while start < end:
        tag, start = _varint(data, start, end)
        number, wire, value, begin = tag >> 3, tag & 7, 0, start
        if wire == VARINT:
            value, start = _varint(data, start, end)
            begin = start
        elif wire == BYTES:
            length, begin = _varint(data, start, end)
            start = begin + length
        elif wire in FIXED:
            start += FIXED[wire]
        else:
            raise ValueError("not an ONNX file")
        if number == 0 or start > end:
            raise ValueError("not an ONNX file, or cut off")
        if number in seen:
            raise ValueError(f"field {number} occurs twice in a {message}, where ONNX has one")
        if number in once:
            seen.add(number)
        yield Field(number, wire, value, begin, start)


def _varint(data: Data, start: int, end: int) -> tuple[int, int]:
    """A varint of at most 64 bits, and the place after it."""
    value = 0
    for place in range(start, min(start + 10, end)):
        byte = data[place]
        value |= (byte & 0x7F) << (7 * (place - start))
        if byte < 0x80 and value < 2**64:
            return value, place + 1
    raise ValueError("not an ONNX file, or cut off")


def _packed(data: Data, field: Field) -> list[int]:
    """The varints of a packed field; of too many for a shape, the first ones."""
    values: list[int] = []
    start = field.start
    while start < field.end and len(values) <= MAX_RANK:
        value, start = _varint(data, start, field.end)
        values.append(value)
    return values
