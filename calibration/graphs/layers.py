"""The layers of an ONNX graph that can run in INT8: convolutions and products with a constant weight."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import onnx_ir as ir

OUTPUT_AXIS = {"Conv": 0, "MatMul": 1}  # of the weight; scales are per output channel
INPUT_AXIS = {"Conv": 1, "MatMul": 0}
CHANNEL_AXIS = {"Conv": 1, "MatMul": -1}  # of the activation


@dataclass(frozen=True)
class Layer:
    """A layer that can run in INT8.

    Attributes:
        name: of its weight in the checkpoint, or of the node if several nodes share the weight.
        node: the ONNX node's name.
        op: a key of OUTPUT_AXIS.
        input, output: names of its input and output tensors.
    """

    name: str
    node: str
    op: str
    input: str
    output: str


def constant(value: ir.Value | None) -> ir.TensorProtocol | None:
    """The tensor of an initializer, possibly stored as fp16 behind a Cast; None if the value is computed."""
    if value is None or value.const_value is not None:
        return value.const_value if value is not None else None
    node = value.producer()
    if node is not None and node.op_type == "Cast" and node.inputs[0] is not None:
        return node.inputs[0].const_value
    return None


def weight_of(node: ir.Node) -> np.ndarray:
    """A layer's weight as float32."""
    tensor = constant(node.inputs[1])
    assert tensor is not None
    return tensor.numpy().astype(np.float32)


def find_layers(model: ir.Model) -> tuple[Layer, ...]:
    """The layers of a graph that can run in INT8, in execution order; batched matrix products are excluded."""
    nodes = []
    for node in model.graph:
        if node.op_type in OUTPUT_AXIS and constant(node.inputs[0]) is None:
            weight = constant(node.inputs[1])
            if weight is not None and (node.op_type == "Conv" or len(weight.shape) == 2):
                nodes.append(node)
    weights = [str(n.inputs[1].name) for n in nodes if n.inputs[1] is not None]
    uses = Counter(weights)
    return tuple(
        Layer(
            weight.removesuffix(".weight") if uses[weight] == 1 and weight.endswith(".weight") else str(node.name),
            str(node.name),
            node.op_type,
            str(node.inputs[0].name) if node.inputs[0] is not None else "",
            str(node.outputs[0].name),
        )
        for node, weight in zip(nodes, weights)
    )


def find_sums(model: ir.Model, layers: Sequence[Layer]) -> tuple[str, ...]:
    """The outputs of Adds whose inputs are all inputs or outputs of layers: the sums of residual blocks."""
    ends = {name for layer in layers for name in (layer.input, layer.output)}
    return tuple(
        str(node.outputs[0].name)
        for node in model.graph
        if node.op_type == "Add" and all(v is not None and v.name in ends for v in node.inputs)
    )


def along(values: np.ndarray, axis: int, ndim: int) -> np.ndarray:
    """A vector reshaped to broadcast along one axis."""
    return values.reshape([-1 if a == axis % ndim else 1 for a in range(ndim)])
