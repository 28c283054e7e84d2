"""Inserting Q/DQ nodes into a graph, for ONNX Runtime's CPU kernels or for TensorRT, from one set of ranges.

`ort`: activations are uint8 with zero point 128, the fastest for its kernels. A convolution runs in INT8 only if its
bias and output are quantized too; a matrix product has float output. GridSample is replaced by row sampling, which is
faster on its kernels, and convolutions read channels-last inputs (`channels_last`).
`tensorrt`: int8 with zero point 0, for inputs and weights alone; TensorRT chooses the precision of outputs.

onnxruntime.quantization replaces a tensor by the rounded one for all readers. Here only the layer reads the rounded
tensor, so that the sum of a residual block stays exact. Where the budget allows it, sums are rounded as well, and a
whole chain of blocks stays in 8 bits.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

import numpy as np
import onnx_ir as ir

from edgedrag.calibration.graphs.channels_last import read_channels_last
from edgedrag.calibration.graphs.estimators import LEVELS
from edgedrag.calibration.graphs.layers import CHANNEL_AXIS, INPUT_AXIS, OUTPUT_AXIS, Layer, along, constant, weight_of
from edgedrag.calibration.graphs.row_sampling import sample_by_rows
from edgedrag.calibration.graphs.smoothing import Divisors

PLACEMENTS = ("ort", "tensorrt")
ZERO_POINT = {"ort": np.uint8(128), "tensorrt": np.int8(0)}


@dataclass(frozen=True)
class Ranges:
    """The largest magnitude that INT8 covers, by tensor.

    Attributes:
        inputs: ranges of layers' inputs, after the division if they are smoothed.
        outputs: ranges of layers' outputs.
        divisors: per-channel divisors of the smoothed inputs.
        folds: smoothed input -> the layer output whose weight is divided instead.
        sums: ranges of the sums from `find_sums` that are rounded too; for `ort`.
    """

    inputs: dict[str, float] = field(default_factory=dict)
    outputs: dict[str, float] = field(default_factory=dict)
    divisors: Divisors = field(default_factory=dict)
    folds: dict[str, str] = field(default_factory=dict)
    sums: dict[str, float] = field(default_factory=dict)


def place(model: ir.Model, layers: Iterable[Layer], ranges: Ranges, placement: str) -> None:
    """Convert these layers of a graph to INT8, in place."""
    by_node = {layer.node: layer for layer in layers}
    folded = {output: ranges.divisors[tensor] for tensor, output in ranges.folds.items()}
    rounded: dict[str, ir.Value] = {}
    for node in list(model.graph):
        layer = by_node.get(str(node.name))
        if layer is None:
            continue
        weight, divisors = weight_of(node), ranges.divisors.get(layer.input)
        if divisors is not None:
            weight = weight * along(divisors, INPUT_AXIS[layer.op], weight.ndim)
        axis = OUTPUT_AXIS[layer.op]
        if layer.output in folded:
            weight = weight / along(folded[layer.output], axis, weight.ndim)
        if layer.input not in rounded:
            value = node.inputs[0]
            assert value is not None
            if divisors is not None and layer.input not in ranges.folds:
                value = _divided(model.graph, value, divisors, layer, before=node)
            scale = ranges.inputs[layer.input] / LEVELS
            rounded[layer.input] = _round(model.graph, value, scale, placement, before=node)
        scales = weight_scales(weight, axis)
        stored = np.clip(np.rint(weight / along(scales, axis, weight.ndim)), -LEVELS, LEVELS).astype(np.int8)
        node.replace_input_with(0, rounded[layer.input])
        node.replace_input_with(1, _stored(model.graph, f"{layer.name}.weight", stored, scales, axis, before=node))
        if layer.op == "Conv":
            fine = scales * np.float32(ranges.inputs[layer.input] / LEVELS)
            _replace_bias(model.graph, node, layer, folded.get(layer.output), fine if placement == "ort" else None)
            if placement == "ort":
                _round_output(model.graph, node, ranges.outputs[layer.output] / LEVELS, placement)
    if ranges.sums and placement == "ort":
        _round_sums(model.graph, rounded, ranges.sums)
    _drop_unused(model.graph)
    if placement == "ort":
        sample_by_rows(model)
        read_channels_last(model)


def _divided(graph: ir.Graph, value: ir.Value, divisors: np.ndarray, layer: Layer, before: ir.Node) -> ir.Value:
    """A layer's input, divided channel by channel."""
    ndim = 4 if layer.op == "Conv" else 1
    factors = along((1 / divisors).astype(np.float32), CHANNEL_AXIS[layer.op], ndim)
    factors = factors[0] if layer.op == "Conv" else factors  # [C, 1, 1], or [C]
    node = ir.node("Mul", [value, _constant(graph, f"{value.name}.factors", factors)], name=f"{value.name}.smooth")
    node.outputs[0].name = f"{value.name}.smoothed"
    graph.insert_before(before, [node])
    return node.outputs[0]


def _replace_bias(
    graph: ir.Graph, node: ir.Node, layer: Layer, divisors: np.ndarray | None, scales: np.ndarray | None
) -> None:
    """Replace a layer's bias: divided like its output, and quantized to int32 if `scales` are given."""
    tensor = constant(node.inputs[2]) if len(node.inputs) > 2 else None
    if tensor is None:
        return
    bias = tensor.numpy().astype(np.float64) / (1 if divisors is None else divisors)
    if scales is not None:
        whole = np.clip(np.rint(bias / scales), -(2**31), 2**31 - 1).astype(np.int32)
        node.replace_input_with(2, _stored(graph, f"{layer.name}.bias", whole, scales, 0, before=node))
    elif divisors is not None:
        node.replace_input_with(2, _constant(graph, f"{layer.name}.bias.folded", bias.astype(np.float32)))


def _round_output(graph: ir.Graph, node: ir.Node, scale: float, placement: str) -> None:
    """Let all readers of a node's output read it rounded."""
    output = node.outputs[0]
    users = [(use.node, use.idx) for use in output.uses()]
    after = _round(graph, output, scale, placement, after=node)
    for user, index in users:
        user.replace_input_with(index, after)
    if output in graph.outputs:
        after.name, output.name = output.name, f"{output.name}.fine"
        graph.outputs[list(graph.outputs).index(output)] = after


def weight_scales(weight: np.ndarray, axis: int) -> np.ndarray:
    """One scale for each output channel, float32; 1 for a channel of zeros."""
    others = tuple(a for a in range(weight.ndim) if a != axis)
    peaks = np.abs(weight).max(axis=others)
    return np.where(peaks > 0, peaks / LEVELS, 1.0).astype(np.float32)


def _round(
    graph: ir.Graph,
    value: ir.Value,
    scale: float,
    placement: str,
    before: ir.Node | None = None,
    after: ir.Node | None = None,
) -> ir.Value:
    """A value, quantized and dequantized."""
    name = str(value.name)
    parameters = [
        _constant(graph, f"{name}.scale", np.float32(scale)),
        _constant(graph, f"{name}.zero_point", ZERO_POINT[placement]),
    ]
    quantize = ir.node("QuantizeLinear", [value, *parameters], name=f"{name}.quantize")
    quantize.outputs[0].name = f"{name}.int8"
    dequantize = ir.node("DequantizeLinear", [quantize.outputs[0], *parameters], name=f"{name}.dequantize")
    dequantize.outputs[0].name = f"{name}.rounded"
    dequantize.outputs[0].type = value.type
    dequantize.outputs[0].shape = value.shape
    if before is not None:
        graph.insert_before(before, [quantize, dequantize])
    elif after is not None:
        graph.insert_after(after, [quantize, dequantize])
    return dequantize.outputs[0]


def _stored(graph: ir.Graph, name: str, values: np.ndarray, scales: np.ndarray, axis: int, before: ir.Node) -> ir.Value:
    """A quantized constant and its DequantizeLinear."""
    parameters = [
        _constant(graph, f"{name}.{np.dtype(values.dtype)}", values),
        _constant(graph, f"{name}.scale", scales),
    ]
    zeros = _constant(graph, f"{name}.zero_point", np.zeros(scales.shape, values.dtype))
    node = ir.node("DequantizeLinear", [*parameters, zeros], {"axis": axis}, name=f"{name}.dequantize")
    node.outputs[0].name = f"{name}.rounded"
    graph.insert_before(before, [node])
    return node.outputs[0]


def _constant(graph: ir.Graph, name: str, values: np.ndarray | np.generic) -> ir.Value:
    tensor = ir.tensor(np.asarray(values), name=name)
    value = ir.Value(name=name, shape=ir.Shape(np.shape(values)), type=ir.TensorType(tensor.dtype), const_value=tensor)
    graph.register_initializer(value)
    return value


def _round_sums(graph: ir.Graph, rounded: Mapping[str, ir.Value], sums: Mapping[str, float]) -> None:
    """Let all readers read the rounded inputs of layers, and round the sums whose terms are all rounded."""
    for name, after in rounded.items():
        quantize = after.producer().inputs[0].producer()  # type: ignore[union-attr]
        value = quantize.inputs[0]  # type: ignore[union-attr]
        if value is not None and value.name == name:  # not a divided one
            for use in list(value.uses()):
                if use.node is not quantize:
                    use.node.replace_input_with(use.idx, after)
    for node in list(graph):
        if node.op_type == "Add" and str(node.outputs[0].name) in sums:
            makers = [v.producer() for v in node.inputs if v is not None]
            if all(maker is not None and maker.op_type == "DequantizeLinear" for maker in makers):
                _round_output(graph, node, sums[str(node.outputs[0].name)] / LEVELS, "ort")
    graph.sort()


def _drop_unused(graph: ir.Graph) -> None:
    """Remove weights that are no longer used, and their Casts."""
    for node in list(graph):
        if node.op_type == "Cast" and not node.outputs[0].uses() and node.outputs[0] not in graph.outputs:
            graph.remove(node, safe=True)
    for name, value in list(graph.initializers.items()):
        if not value.uses() and value not in graph.outputs:
            del graph.initializers[name]
