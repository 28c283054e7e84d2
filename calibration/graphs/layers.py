"""The layers of an ONNX graph that INT8 can take: what multiplies by a constant weight."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import onnx_ir as ir

OUTPUT_AXIS = {"Conv": 0, "MatMul": 1}  # of the weight; each output channel has a scale of its own
INPUT_AXIS = {"Conv": 1, "MatMul": 0}
CHANNEL_AXIS = {"Conv": 1, "MatMul": -1}  # of the activation


@dataclass(frozen=True)
class Layer:
    """A candidate.

    Attributes:
        name: its weight's as the checkpoint calls it, or the node's where several share the weight.
        node: the ONNX node's name.
        op: a key of OUTPUT_AXIS.
        input, output: names of the tensors that it takes and gives.
    """

    name: str
    node: str
    op: str
    input: str
    output: str


def constant(value: ir.Value | None) -> ir.TensorProtocol | None:
    """The tensor of an initializer, or of one stored as fp16 behind a Cast; None where a value is computed."""
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
    """The candidates of a graph, in the order in which they run; batched matrices are none."""
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
    """What an Add gives that takes nothing but what layers take or give: the sums of residual blocks."""
    ends = {name for layer in layers for name in (layer.input, layer.output)}
    return tuple(
        str(node.outputs[0].name)
        for node in model.graph
        if node.op_type == "Add" and all(v is not None and v.name in ends for v in node.inputs)
    )


def along(values: np.ndarray, axis: int, ndim: int) -> np.ndarray:
    """A vector shaped to run along one axis."""
    return values.reshape([-1 if a == axis % ndim else 1 for a in range(ndim)])
