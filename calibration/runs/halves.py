"""What INT8 leaves of a graph in fp16, but for the nodes whose numbers fp16 cannot hold."""

from __future__ import annotations

import contextlib
import io
import warnings
from collections.abc import Collection, Mapping

import numpy as np
import onnx
import onnx_ir as ir
from onnxruntime.transformers.float16 import (
    DEFAULT_OP_BLOCK_LIST,
    convert_float_to_float16,
    convert_np_to_float16,
)

from edgedrag.calibration.runs.inner import InnerTensors
from edgedrag.calibration.runs.workbench import Place, Workbench
from edgedrag.runtime.backends.base import Array

LARGEST = float(np.finfo(np.float16).max)
HEADROOM = 4.0  # other photos and drags reach further than those that were looked at
ROUNDING = ["QuantizeLinear", "DequantizeLinear"]  # up to opset 18 they take and give float32 alone
WITHOUT_HALF = ["GridSample"]  # ONNX Runtime's CUDA provider would run it on the CPU


class PeakGraph:
    """The bundle's own graph; when it runs, the largest magnitude of each of its inner tensors is noted.

    Attributes:
        peaks: by tensor.
    """

    def __init__(self, bench: Workbench, place: Place):
        self._bench, self._graph = bench, place[0]
        self._own = bench.slots[place].own
        self._inner = InnerTensors(bench, place)
        self.peaks: dict[str, float] = {}

    def run(self, inputs: Mapping[str, Array]) -> dict[str, Array]:
        given = {t.name: inputs[t.name] for t in self._bench.graphs[self._graph].inputs}
        for name, value in given.items():
            self.peaks[name] = max(self.peaks.get(name, 0.0), peak(value.numpy()))
        for name, value in self._inner(given):
            self.peaks[name] = max(self.peaks.get(name, 0.0), peak(value.numpy()))
        return self._own().run(inputs)


def peak(values: np.ndarray) -> float:
    """The largest magnitude; infinite where one is not a number."""
    largest = max(float(values.max(initial=0)), -float(values.min(initial=0)))
    return largest if np.isfinite(largest) else np.inf


def overflowing(model: ir.Model, peaks: Mapping[str, float]) -> list[str]:
    """Names of the nodes that take or give a tensor which fp16 cannot hold."""
    return [
        str(node.name)
        for node in model.graph
        if any(peaks.get(str(v.name), 0.0) * HEADROOM > LARGEST for v in (*node.inputs, *node.outputs) if v is not None)
    ]


def halve(model: ir.Model, keep: Collection[str]) -> ir.Model:
    """The graph with everything but these nodes and what is rounded in fp16; inputs and outputs stay float32.

    Weights that lie in files are converted when they are written, one at a time: a large graph's do not fit a message.
    """
    proto = onnx.shape_inference.infer_shapes(ir.to_proto(model))
    filed = {
        n: v.const_value for n, v in model.graph.initializers.items() if isinstance(v.const_value, ir.ExternalTensor)
    }
    for stored in proto.graph.initializer:
        if stored.name in filed and stored.data_type == onnx.TensorProto.FLOAT:
            stored.CopyFrom(onnx.numpy_helper.from_array(np.zeros(0, np.float32), stored.name))
    blocked = [*DEFAULT_OP_BLOCK_LIST, *ROUNDING, *WITHOUT_HALF]
    with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()):
        warnings.simplefilter("ignore")  # it tells of every weight below fp16's least
        proto = convert_float_to_float16(
            proto, keep_io_types=True, disable_shape_infer=True, op_block_list=blocked, node_block_list=list(keep)
        )
    halved = ir.from_proto(proto)
    for name, tensor in filed.items():
        value = halved.graph.initializers[name]
        same = value.const_value is not None and value.const_value.dtype == tensor.dtype
        value.const_value = tensor if same else _half(tensor)
        for shaped in (value, *(node.outputs[0] for node, _ in value.uses() if node.op_type == "Cast")):
            shaped.shape = tensor.shape
    halved.graph.sort()  # the converter appends its Casts
    return halved


def _half(tensor: ir.ExternalTensor) -> ir.LazyTensor:
    """A tensor in fp16, once it is asked for."""
    return ir.LazyTensor(
        lambda: ir.tensor(convert_np_to_float16(tensor.numpy()), name=tensor.name),
        ir.DataType.FLOAT16,
        ir.Shape(tensor.shape.numpy()),
        name=tensor.name,
    )
