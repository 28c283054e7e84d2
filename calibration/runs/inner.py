"""Reading a graph's intermediate tensors, with bounded memory."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping

import numpy as np
import onnx
import onnx_ir as ir
import onnxruntime as ort

from edgedrag.calibration.runs.workbench import Place, Workbench
from edgedrag.runtime.backends.base import Array

GROUP = 2**29  # bytes of tensors in one run
UNKNOWN = 2**26  # bytes; assumed for a tensor of unknown shape


class InnerTensors:
    """Runs the bundle's graph once for each group of tensors; the session is kept if there is only one group."""

    def __init__(self, bench: Workbench, place: Place, wanted: Collection[str] | None = None):
        """`wanted`: tensor names; None for every float tensor that a node computes."""
        self._bench, self._place, self._wanted = bench, place, wanted
        self._names: list[str] = []
        self._session: ort.InferenceSession | None = None

    def release(self) -> None:
        """Free memory until the next run."""
        self._session = None

    def __call__(self, inputs: Mapping[str, Array]) -> Iterator[tuple[str, Array]]:
        """The names and values of the tensors, in execution order, without the graph's inputs."""
        sizes = {name: value.shape() for name, value in inputs.items()}
        groups = list(self._groups(sizes)) if self._session is None else [self._names]
        for group in groups:
            session = self._session or self._bench.inner_session(self._place, group)
            if len(groups) == 1:
                self._session, self._names = session, group
            yield from zip(group, session.run_with_ort_values(group, inputs))
            del session  # before the next one is created: a large graph must not be in memory twice

    def _groups(self, sizes: Mapping[str, Collection[int]]) -> Iterator[list[str]]:
        """The tensors in groups of up to GROUP bytes; `sizes` are the inputs' shapes."""
        model = self._bench.original(*self._place)
        known = infer_tensors(ir.to_proto(model), sizes)
        names = [str(value.name) for node in model.graph for value in node.outputs]
        if self._wanted is not None:
            names = [name for name in names if name in self._wanted]
        else:
            names = [name for name in names if name in known and known[name].elem_type == onnx.TensorProto.FLOAT]
        yield from in_groups(names, known)


Inferred = Mapping[str, onnx.TypeProto.Tensor]  # by tensor


def infer_tensors(proto: onnx.ModelProto, sizes: Mapping[str, Collection[int]]) -> Inferred:
    """Types and shapes of a graph's tensors for given input shapes; changes the proto's inputs."""
    del proto.graph.value_info[:]
    for value in proto.graph.input:
        shape = [onnx.TensorShapeProto.Dimension(dim_value=n) for n in sizes[value.name]]
        del value.type.tensor_type.shape.dim[:]
        value.type.tensor_type.shape.dim.extend(shape)
    inferred = onnx.shape_inference.infer_shapes(proto, data_prop=True)
    return {v.name: v.type.tensor_type for v in (*inferred.graph.value_info, *inferred.graph.output)}


def in_groups(names: Iterable[str], known: Inferred) -> Iterator[list[str]]:
    """Tensors in order, in groups of up to GROUP bytes (as float32) and at least one tensor."""
    group: list[str] = []
    total = 0
    for name in names:
        dims = [d.dim_value for d in known[name].shape.dim] if name in known else [0]
        size = 4 * int(np.prod(dims)) if all(dims) else UNKNOWN
        if group and total + size > GROUP:
            yield group
            group, total = [], 0
        group.append(name)
        total += size
    if group:
        yield group
