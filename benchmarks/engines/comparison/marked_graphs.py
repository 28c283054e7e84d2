"""Graphs that also give their inner tensors: those that two files of one graph share by name.

ONNX Runtime multiplies in 8 bits only where nothing else reads what lies between a layer and the QuantizeLinear after
it: to give every tensor, as `polygraphy run --onnx-outputs mark all` does, undoes all of that. So a tensor that is
rounded as soon as it is made is read after its rounding.
"""

from __future__ import annotations

import os
import shutil
import tempfile
from collections import defaultdict
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import onnx

from edgedrag.calibration.runs.inner import Inferred, in_groups, infer_tensors
from edgedrag.runtime.bundle.graphs import Variant
from edgedrag.runtime.bundle.manifest import Bundle
from edgedrag.runtime.errors import EdgedragError

FLOATS = (onnx.TensorProto.FLOAT, onnx.TensorProto.FLOAT16, onnx.TensorProto.BFLOAT16)


@dataclass(frozen=True)
class Marked:
    """A tensor of a graph and the node that makes it.

    Attributes:
        layer: what the checkpoint calls the node, by its weight; "" where it has none.
        read_as: the tensor's name after it was rounded, in the file that rounds it; else its own.
        elem_type: of the tensor that is read, as ONNX counts types.
    """

    name: str
    op: str
    node: str
    layer: str
    read_as: str
    elem_type: int


class GraphFile:
    """A file of a graph.

    Attributes:
        tensors: the float tensors that depend on the graph's inputs, in the order in which they are made, by name.
        known: their types and shapes.
    """

    def __init__(self, bundle: Bundle, variant: Variant, sizes: Mapping[str, Collection[int]]):
        """`sizes`: of the inputs. Raises BundleError where the file is not the one that was exported."""
        self._folder, self._variant = bundle.folder, variant
        self.path = bundle.verified_file(variant)
        self._outputs = {value.name for value in self._load().graph.output}
        self.known = infer_tensors(self._load(), sizes)
        self.tensors = _find_tensors(self._load(), self.known)

    @contextmanager
    def marked(self, wanted: Sequence[Marked]) -> Iterator[Path]:
        """The path of the graph giving these tensors too, while the context is open.

        Raises:
            EdgedragError: the folder for temporary files is full or cannot be written.
        """
        model = self._load()
        for tensor in wanted:
            if tensor.read_as not in self._outputs:
                model.graph.output.append(onnx.helper.make_tensor_value_info(tensor.read_as, tensor.elem_type, None))
        with tempfile.TemporaryDirectory(prefix="edgedrag-") as scratch:
            file = Path(scratch) / self.path.name
            try:
                for name, _ in self._variant.external:
                    _link(self._folder / name, Path(scratch) / name)
                file.write_bytes(model.SerializeToString())
            except OSError as error:
                raise EdgedragError(
                    f"{scratch}: cannot be written ({error.strerror}); TMPDIR names the folder"
                ) from None
            yield file

    def _load(self) -> onnx.ModelProto:
        return onnx.load(self.path, load_external_data=False)


def shared_groups(first: GraphFile, second: GraphFile) -> Iterator[list[tuple[Marked, Marked]]]:
    """The tensors that both files have, in the first one's order, as many at a time as memory should hold."""
    shared = [name for name in first.tensors if name in second.tensors]
    for group in in_groups(shared, first.known):
        yield [(first.tensors[name], second.tensors[name]) for name in group]


def _find_tensors(model: onnx.ModelProto, known: Inferred) -> dict[str, Marked]:
    readers: dict[str, list[onnx.NodeProto]] = defaultdict(list)
    for node in model.graph.node:
        for name in node.input:
            readers[name].append(node)
    outputs = {value.name for value in model.graph.output}
    reached = {value.name for value in model.graph.input}
    tensors = {}
    for node in model.graph.node:
        if reached.isdisjoint(node.input):
            continue
        reached.update(node.output)
        for name in node.output:
            read_as = name if name in outputs else _after_rounding(name, readers)
            if read_as in known and known[read_as].elem_type in FLOATS:
                elem_type = known[read_as].elem_type
                tensors[name] = Marked(name, node.op_type, node.name, _layer_name(node), read_as, elem_type)
    return tensors


def _layer_name(node: onnx.NodeProto) -> str:
    weight = node.input[1] if len(node.input) > 1 else ""
    return weight.removesuffix(".weight") if weight.endswith(".weight") else ""


def _after_rounding(name: str, readers: Mapping[str, list[onnx.NodeProto]]) -> str:
    """What a tensor is called after its QuantizeLinear and DequantizeLinear, where nothing else reads it."""
    if [node.op_type for node in readers[name]] != ["QuantizeLinear"]:
        return name
    after = readers[readers[name][0].output[0]]
    return after[0].output[0] if after and after[0].op_type == "DequantizeLinear" else name


def _link(file: Path, place: Path) -> None:
    """A second name for a file, or a copy of it on another file system."""
    try:
        os.link(file, place)
    except OSError:
        shutil.copy(file, place)
