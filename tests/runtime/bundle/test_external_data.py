"""Graph files that take weights from where they must not, or are no graphs: refused before any library opens them."""

from __future__ import annotations

import importlib.util
import os
import re
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import onnx
import pytest
from conftest import rewrite_manifest
from google.protobuf.descriptor import Descriptor
from onnx import ModelProto, TensorProto, helper, numpy_helper

import edgedrag
from edgedrag.runtime.bundle import external_data
from edgedrag.runtime.bundle.external_data import BITS, CHILDREN, ONCE, check_external_data
from edgedrag.runtime.bundle.manifest import open_bundle
from edgedrag.runtime.errors import BundleError
from edgedrag.runtime.files import sha256_of

GRAPH = "denoise_single.onnx"
DATA = "denoise.onnx.data"
BACKENDS = [
    "cpu",
    pytest.param(
        "openvino",
        marks=pytest.mark.skipif(importlib.util.find_spec("openvino") is None, reason="OpenVINO is not installed here"),
    ),
]


def with_hash(toy: Path) -> None:
    """State the changed graph's hash in the manifest: what is left is for the graph's own check to find."""
    digest = sha256_of(toy / GRAPH)
    rewrite_manifest(toy, lambda m: m["stages"]["denoise"][0]["variants"][0].update(sha256=digest))


def spoil(toy: Path, change: Callable[[ModelProto], object]) -> None:
    """Change the graph that has external weights, with its hash."""
    model = onnx.load(toy / GRAPH, load_external_data=False)
    change(model)
    (toy / GRAPH).write_bytes(model.SerializeToString())
    with_hash(toy)


def entries(**values: str) -> Callable[[ModelProto], object]:
    """Set entries of the external weight."""

    def change(model: ModelProto) -> None:
        weight = model.graph.initializer[0]
        kept = {entry.key: entry.value for entry in weight.external_data} | values
        del weight.external_data[:]
        for key, value in kept.items():
            weight.external_data.add(key=key, value=value)

    return change


def outside(name: str = "extra") -> TensorProto:
    """A tensor that lies in a file out of the folder."""
    tensor = TensorProto(name=name, data_type=TensorProto.FLOAT, dims=[3], data_location=TensorProto.EXTERNAL)
    tensor.external_data.add(key="location", value="../secret.data")
    return tensor


def in_a_subgraph(model: ModelProto) -> None:
    result = helper.make_tensor_value_info("there", TensorProto.FLOAT, [3])
    branch = helper.make_graph([helper.make_node("Identity", ["extra"], ["there"])], "then", [], [result], [outside()])
    model.graph.node.append(helper.make_node("If", ["yes"], ["unused"], then_branch=branch, else_branch=branch))
    model.graph.initializer.append(numpy_helper.from_array(np.array(True), "yes"))


def in_a_sparse_initializer(model: ModelProto) -> None:
    sparse = model.graph.sparse_initializer.add(dims=[9])
    sparse.values.CopyFrom(outside())
    sparse.indices.CopyFrom(numpy_helper.from_array(np.arange(3), "where"))


def in_a_function(model: ModelProto) -> None:
    body = [helper.make_node("Constant", [], ["y"], value=outside())]
    model.functions.append(helper.make_function("own", "f", [], ["y"], body, [helper.make_opsetid("", 18)]))


ATTACKS: dict[str, Callable[[ModelProto], object]] = {
    "folder above": entries(location="../secret.data"),
    "absolute": entries(location="/etc/hostname"),
    "way out and back": entries(location=f"../toy/{DATA}"),
    "Windows' way out": entries(location="..\\secret.data"),
    "another spelling": entries(location=f"./{DATA}"),
    "a file of the folder that the manifest does not name": entries(location="bundle.json"),
    "the graph itself": entries(location=GRAPH),
    "nothing": entries(location=""),
    "a byte of zero": entries(location=f"{DATA}\0"),
    "memory of the process, as ONNX Runtime names it": entries(location="*/_ORT_MEM_ADDR_/*", offset="4096"),
    "offset beyond the file": entries(offset="4096"),
    "offset by which the end is beyond": entries(offset="4"),
    "length beyond the file": entries(length="4096"),
    "too short for its shape": entries(length="8"),
    "negative offset": entries(offset="-12"),
    "offset that is no number": entries(offset="0x10"),
    "offset in other digits": entries(offset="\u0661"),
    "a number of many digits": entries(offset="9" * 5000),
    "shape larger than the file": lambda m: m.graph.initializer[0].dims.append(2**40),
    "negative shape": lambda m: m.graph.initializer[0].dims.__setitem__(0, -1),
    "a million dimensions": lambda m: m.graph.initializer[0].dims.extend([2**62] * 1_000_000),
    "unknown data type": lambda m: setattr(m.graph.initializer[0], "data_type", 77),
    "strings": lambda m: setattr(m.graph.initializer[0], "data_type", TensorProto.STRING),
    "two locations": lambda m: m.graph.initializer[0].external_data.add(key="location", value="../secret.data"),
    "a further initializer": lambda m: m.graph.initializer.append(outside()),
    "a tensor not marked as external": lambda m: (
        m.graph.initializer[0].ClearField("data_location") or entries(location="../secret.data")(m)
    ),
    "a constant": lambda m: m.graph.node.append(helper.make_node("Constant", [], ["extra"], value=outside())),
    "a subgraph": in_a_subgraph,
    "a sparse initializer": in_a_sparse_initializer,
    "a function": in_a_function,
}


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("attack", sorted(ATTACKS))
def test_weights_from_elsewhere_are_refused_by_every_backend(toy: Path, attack: str, backend: str) -> None:
    """The manifest is right in every hash; it is the graph itself that points elsewhere."""
    (toy.parent / "secret.data").write_bytes((toy / DATA).read_bytes())
    spoil(toy, ATTACKS[attack])
    with pytest.raises(BundleError, match=re.escape(GRAPH)) as caught:
        edgedrag.open(toy, backend, "fp32")
    assert len(str(caught.value)) < 600 + len(str(toy)), "a sentence, whatever the file holds"
    with pytest.raises(BundleError):
        edgedrag.open(toy)


@pytest.mark.parametrize("backend", BACKENDS)
def test_what_is_right_is_opened(toy: Path, backend: str) -> None:
    for right in (entries(offset="0"), entries(length="12"), lambda m: m.graph.initializer[0].external_data.pop()):
        spoil(toy, right)
        edgedrag.open(toy, backend, "fp32")


def test_links(toy: Path, tmp_path: Path) -> None:
    """A symbolic link is refused. A hard link is not: the bytes have the manifest's hash, and installers make them."""
    os.link(toy / DATA, tmp_path / "second name")
    edgedrag.open(toy)
    (toy / DATA).unlink()
    (toy / DATA).symlink_to(tmp_path / "second name")
    with pytest.raises(BundleError, match=f"{DATA}: .*missing"):
        edgedrag.open(toy)


@pytest.mark.parametrize("name", ["denoise.ort", "denoise.xml", "denoise", "denoise.onnx.txt"])
def test_other_formats_are_refused_by_name(toy: Path, name: str) -> None:
    (toy / GRAPH).rename(toy / name)
    rewrite_manifest(toy, lambda m: m["stages"]["denoise"][0]["variants"][0].update(file=name))
    with pytest.raises(BundleError, match=r"graphs are \.onnx files"):
        edgedrag.open(toy)


def varint(value: int) -> bytes:
    parts = []
    while value > 0x7F:
        parts.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes([*parts, value])


def message(field: int, content: bytes) -> bytes:
    return varint(field << 3 | 2) + varint(len(content)) + content


def nested(depth: int) -> bytes:
    """Graphs in attributes of nodes of graphs."""
    content = message(5, outside().SerializeToString())
    for _ in range(depth):
        content = message(1, message(5, message(6, content)))
    return message(7, content)


LOCATED = message(13, message(1, b"location") + message(2, DATA.encode()))
BROKEN: dict[str, tuple[bytes, str]] = {
    "nothing": (b"", "empty"),
    "XML": (b"<?xml version='1.0'?><net name='location'/>", "not an ONNX file"),
    "a varint without end": (b"\xff" * 64, "cut off"),
    "a varint of more than 64 bits": (b"\x08" + b"\xff" * 9 + b"\x7f", "cut off"),
    "field 0": (b"\x00\x00", "cut off"),
    "a group": (b"\x0b\x0c", "not an ONNX file"),
    "a length beyond the end": (varint(7 << 3 | 2) + varint(2**40), "cut off"),
    "a length of 64 bits": (varint(7 << 3 | 2) + varint(2**64 - 1), "cut off"),
    "eight bytes, three there": (b"\x09abc", "cut off"),
    "two graphs": (message(7, b"") * 2, "occurs twice"),
    "deep": (nested(30), "deep"),
    "very deep": (nested(3000), "deep"),
    "a value that is no text": (
        message(7, message(5, message(13, message(1, b"location") + message(2, b"\xff\xfe")))),
        "decode",
    ),
    "a location twice": (
        message(7, message(5, message(13, message(1, b"location") + message(2, b"a") + message(2, b"b")))),
        "occurs twice",
    ),
    "an attribute with two tensors, which libraries merge": (
        message(7, message(1, message(5, message(5, LOCATED) * 2))),
        "occurs twice",
    ),
    "a tensor with two data types": (message(7, message(5, LOCATED + b"\x10\x01\x10\x0b")), "occurs twice"),
}


@pytest.mark.parametrize("case", sorted(BROKEN))
def test_bytes_that_are_no_graph(tmp_path: Path, case: str) -> None:
    content, words = BROKEN[case]
    (tmp_path / "a.onnx").write_bytes(content)
    with pytest.raises(BundleError, match=words):
        check_external_data(tmp_path / "a.onnx", {DATA: 12})


def test_cut_off_and_flipped_anywhere(toy: Path, tmp_path: Path) -> None:
    """Whatever is done to a graph, the answer is a BundleError or that it takes weights from its own file alone."""
    whole = (toy / GRAPH).read_bytes()
    broken = tmp_path / "a.onnx"
    rng = np.random.default_rng(0)
    cut = [whole[:end] for end in range(0, len(whole), 3)]
    flipped = []
    for _ in range(600):
        spoilt = bytearray(whole)
        for place in rng.integers(0, len(whole), rng.integers(1, 4)):
            spoilt[place] = rng.integers(0, 256)
        flipped.append(bytes(spoilt))
    refused = 0
    for content in cut + flipped:
        broken.write_bytes(content)
        try:
            check_external_data(broken, {DATA: 12})
        except BundleError:
            refused += 1
            continue
        try:
            model = ModelProto.FromString(content)
        except Exception:
            continue  # for the library to refuse
        located = [e.value for t in tensors(model) for e in t.external_data if e.key == "location"]
        assert set(located) <= {DATA}
    assert refused > 300


def tensors(model: ModelProto) -> Iterator[TensorProto]:
    """All tensors of a model, found by protobuf's own reflection."""
    pending = [model]
    while pending:
        part = pending.pop()
        if isinstance(part, TensorProto):
            yield part
            continue
        for field, value in part.ListFields():
            if field.message_type is not None:
                pending += list(value) if hasattr(value, "__len__") else [value]


@pytest.mark.parametrize("placement", ["ort", "tensorrt"])
def test_the_shipped_graphs_are_read_as_protobuf_reads_them(placement: str) -> None:
    bundle = open_bundle("embedded")
    compared = 0
    for _, graph in bundle.graphs():
        for precision in ("fp32", "fp16", "int8"):
            data = (bundle.folder / graph.files(precision, placement)["single"].file).read_bytes()
            found = [TensorProto.FromString(data[start:end]) for start, end in external_data.tensor_ranges(data)]
            ours = sorted(t.name for t in found if t.external_data)
            theirs = sorted(t.name for t in tensors(ModelProto.FromString(data)) if t.external_data)
            assert ours == theirs
            compared += len(theirs)
    assert compared > 60


def test_the_tables_are_those_of_onnx() -> None:
    """Against the descriptors of the onnx package: every path from a model to a tensor, every element's size."""
    names = {
        "ModelProto": "model",
        "TrainingInfoProto": "training",
        "GraphProto": "graph",
        "FunctionProto": "function",
        "NodeProto": "node",
        "AttributeProto": "attribute",
        "SparseTensorProto": "sparse",
        "TensorProto": "tensor",
    }

    def leads_to_a_tensor(descriptor: Descriptor, seen: frozenset[str] = frozenset()) -> bool:
        if descriptor.name == "TensorProto" or descriptor.name in seen:
            return descriptor.name == "TensorProto"
        parts = [f.message_type for f in descriptor.fields if f.message_type is not None]
        return any(leads_to_a_tensor(part, seen | {descriptor.name}) for part in parts)

    for proto, name in names.items():
        descriptor = getattr(onnx, proto).DESCRIPTOR
        if name == "tensor":
            continue
        wanted = {f.number: f.message_type for f in descriptor.fields if f.message_type is not None}
        wanted = {number: names.get(m.name, m.name) for number, m in wanted.items() if leads_to_a_tensor(m)}
        assert {number: CHILDREN[name].get(number) for number in wanted} == wanted
        once = {f.number for f in descriptor.fields if f.number in wanted and not is_repeated(f)}
        assert ONCE.get(name, set()) == once
    fields = TensorProto.DESCRIPTOR.fields_by_name
    numbers = [fields[name].number for name in ("dims", "data_type", "external_data")]
    assert numbers == [external_data.DIMS, external_data.DATA_TYPE, external_data.EXTERNAL_DATA]
    for kind in TensorProto.DataType.values():
        if kind not in (TensorProto.UNDEFINED, TensorProto.STRING):
            name = TensorProto.DataType.Name(kind)
            digits = re.findall(r"\d+", name)
            bits = {"FLOAT": 32, "DOUBLE": 64, "BOOL": 8}.get(name) or int(digits[0])
            assert BITS[kind] == bits, name


def is_repeated(field: object) -> bool:
    """Newer protobuf packages have `is_repeated`, older ones `label`."""
    return field.is_repeated if hasattr(field, "is_repeated") else field.label == field.LABEL_REPEATED  # type: ignore
