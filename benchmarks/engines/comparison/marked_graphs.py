"""Graphs with intermediate tensors as additional outputs: those that two files of one graph share by name.

ONNX Runtime runs a layer in INT8 only if nothing else reads the tensor between the layer and its QuantizeLinear.
Making every tensor an output, as `polygraphy run --onnx-outputs mark all` does, would turn all layers into float. So a
tensor that is quantized at once is read after its DequantizeLinear.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import onnx

from edgedrag.calibration.runs.inner import Inferred, in_groups, infer_tensors
from edgedrag.export.graph_file import share_data
from edgedrag.runtime.bundle.graphs import Variant
from edgedrag.runtime.bundle.manifest import Bundle
from edgedrag.runtime.errors import EdgedragError
from edgedrag.runtime.files import scratch_folder

FLOATS = (onnx.TensorProto.FLOAT, onnx.TensorProto.FLOAT16, onnx.TensorProto.BFLOAT16)


@dataclass(frozen=True)
class Marked:
    """A tensor of a graph and the node that computes it.

    Attributes:
        layer: name of the node's weight in the checkpoint; "" if it has none.
        read_as: the tensor's name after its rounding, in a file that rounds it; otherwise its name.
        elem_type: ONNX type of the tensor that is read.
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
        tensors: the float tensors that depend on the graph's inputs, by name, in execution order.
        known: types and shapes of the tensors.
    """

    def __init__(self, bundle: Bundle, variant: Variant, sizes: Mapping[str, Collection[int]]):
        """`sizes`: shapes of the inputs. Raises BundleError if the file is missing or damaged."""
        self._folder, self._variant = bundle.folder, variant
        self.path = bundle.verified_file(variant)
        self._outputs = {value.name for value in self._load().graph.output}
        self.known = infer_tensors(self._load(), sizes)
        self.tensors = _find_tensors(self._load(), self.known)

    @contextmanager
    def marked(self, wanted: Sequence[Marked]) -> Iterator[Path]:
        """The path of a copy of the graph with these tensors as outputs, while the context is open.

        Raises:
            EdgedragError: the temporary folder is full or cannot be written.
        """
        model = self._load()
        for tensor in wanted:
            if tensor.read_as not in self._outputs:
                model.graph.output.append(onnx.helper.make_tensor_value_info(tensor.read_as, tensor.elem_type, None))
        with scratch_folder() as scratch:
            file = scratch / self.path.name
            try:
                for name, _ in self._variant.external:
                    share_data(self._folder / name, scratch)
                file.write_bytes(model.SerializeToString())
            except OSError as error:
                raise EdgedragError(
                    f"{scratch}: cannot be written ({error.strerror}); set TMPDIR to another folder"
                ) from None
            yield file

    def _load(self) -> onnx.ModelProto:
        return onnx.load(self.path, load_external_data=False)


def shared_groups(first: GraphFile, second: GraphFile) -> Iterator[list[tuple[Marked, Marked]]]:
    """The tensors of both files, in the order of the first, in groups of bounded size."""
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
    """The tensor's name after its QuantizeLinear and DequantizeLinear, if nothing else reads it."""
    if [node.op_type for node in readers[name]] != ["QuantizeLinear"]:
        return name
    after = readers[readers[name][0].output[0]]
    return after[0].output[0] if after and after[0].op_type == "DequantizeLinear" else name
