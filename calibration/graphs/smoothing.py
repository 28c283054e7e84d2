"""Smoothing: moves quantization difficulty from activations to weights (SmoothQuant, Xiao et al., ICML 2023).

A layer's input is divided channel by channel before it is rounded, and its weight is multiplied by the same divisors.
The product is unchanged, but a few channels with large values no longer determine the step of all others. Divisors
are powers of two, so that the division is exact. If the input is the output of a layer, with at most a (leaky) ReLU
between, that layer's weight is divided instead (Nagel et al., ICCV 2019), which costs no operation and also evens
out its output's range.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import onnx_ir as ir

from edgedrag.calibration.graphs.layers import INPUT_AXIS, Layer, weight_of
from edgedrag.calibration.graphs.statistics import TensorStatistics

RAMPS = ("Relu", "LeakyRelu")  # positively homogeneous: f(a x) = a f(x) for a > 0
ALPHA = 0.8  # share of the difficulty that moves to the weights

Divisors = dict[str, np.ndarray]  # tensor -> divisors of its channels, float32


def find_divisors(model: ir.Model, layers: Sequence[Layer], statistics: Mapping[str, TensorStatistics]) -> Divisors:
    """The divisors of layers' inputs: peak(activation)^alpha / peak(weight)^(1 - alpha), normalised to median 1.

    An output that is divided in place of an input (`find_folds`) has the same divisors. The input of several layers
    is divided once, for the largest of their weights. Grouped convolutions and channels that are always 0 are left
    out.
    """
    nodes = {str(node.name): node for node in model.graph}
    peaks: Divisors = {}
    for layer in layers:
        weight = np.abs(weight_of(nodes[layer.node]))
        others = tuple(a for a in range(weight.ndim) if a != INPUT_AXIS[layer.op])
        channel_peaks = weight.max(axis=others)
        if channel_peaks.shape == statistics[layer.input].peaks.shape:
            peaks[layer.input] = np.maximum(peaks.get(layer.input, 0.0), channel_peaks)
    divisors = {}
    for tensor, weights in peaks.items():
        activations = statistics[tensor].peaks.astype(np.float64)
        live = (activations > 0) & (weights > 0)
        if live.any():
            logs = ALPHA * np.log(activations[live]) - (1 - ALPHA) * np.log(weights[live].astype(np.float64))
            divisors[tensor] = np.ones(len(live), np.float32)
            divisors[tensor][live] = np.exp2(np.rint((logs - np.median(logs)) / np.log(2))).astype(np.float32)
    for tensor, output in find_folds(model, layers).items():
        if tensor in divisors:
            divisors[output] = divisors[tensor]
    return divisors


def find_folds(model: ir.Model, layers: Sequence[Layer]) -> dict[str, str]:
    """Inputs read by layers only that are the output of a layer, with at most a ReLU between -> that output."""
    outputs = {layer.output for layer in layers if layer.op == "Conv"}
    inputs = {layer.input for layer in layers}
    readers = {layer.node for layer in layers}
    folds = {}
    for node in model.graph:
        for value in node.outputs:
            if value.name not in inputs or value in model.graph.outputs:
                continue
            origin = node.inputs[0] if node.op_type in RAMPS else value
            alone = origin is not None and (origin is value or len(list(origin.uses())) == 1)
            if alone and origin is not None and origin.name in outputs and origin not in model.graph.outputs:
                if all(str(use.node.name) in readers and use.idx == 0 for use in value.uses()):
                    folds[str(value.name)] = str(origin.name)
    return folds
