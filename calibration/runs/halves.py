"""Converting the rest of an INT8 graph to fp16, except for nodes whose values do not fit fp16."""

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
HEADROOM = 4.0  # factor for other photos and drags, whose values may be larger than the observed ones
ROUNDING = ["QuantizeLinear", "DequantizeLinear"]  # float32 only, up to opset 18
WITHOUT_HALF = ["GridSample"]  # ONNX Runtime's CUDA provider would run it on the CPU


class PeakGraph:
    """The bundle's graph, which records the largest magnitude of each tensor when it runs.

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
    """The largest magnitude; infinite if a value is NaN."""
    largest = max(float(values.max(initial=0)), -float(values.min(initial=0)))
    return largest if np.isfinite(largest) else np.inf


def overflowing(model: ir.Model, peaks: Mapping[str, float]) -> list[str]:
    """The names of the nodes with an input or output that does not fit fp16."""
    return [
        str(node.name)
        for node in model.graph
        if any(peaks.get(str(v.name), 0.0) * HEADROOM > LARGEST for v in (*node.inputs, *node.outputs) if v is not None)
    ]


def halve(model: ir.Model, keep: Collection[str]) -> ir.Model:
    """The graph in fp16, except for these nodes, Q/DQ nodes, and the graph's inputs and outputs.

    External weights are converted one at a time when they are written: those of a large graph exceed protobuf's limit.
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
        warnings.simplefilter("ignore")  # one warning for each weight below fp16's smallest value
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
    """A tensor in fp16, converted on demand."""
    return ir.LazyTensor(
        lambda: ir.tensor(convert_np_to_float16(tensor.numpy()), name=tensor.name),
        ir.DataType.FLOAT16,
        ir.Shape(tensor.shape.numpy()),
        name=tensor.name,
    )
