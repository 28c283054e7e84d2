"""A graph's form for ONNX Runtime's CUDA provider: parts that the exporter spells out become its fused operators.

`MultiHeadAttention`, `GroupNorm` (with SiLU) and `BiasSplitGelu` of the domain `com.microsoft`
(ONNX Runtime, docs/ContribOperators.md). The fusions of `onnxruntime.transformers` look for the forms that older
exporters wrote, with sizes read from the graph, and find none of these in a graph of torch.export.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np
import onnx_ir as ir
from onnx_ir.passes.common import RemoveUnusedNodesPass

DOMAIN = "com.microsoft"
TO_LAST, TO_FIRST = [0, 2, 3, 1], [0, 3, 1, 2]  # channels
# The provider's kernel of BiasSplitGelu is compiled for these widths of its input alone.
SPLIT_GELU_WIDTHS = (2560, 5120, 6144, 10240)


class Fused(NamedTuple):
    """How many parts of a graph became one operator."""

    attention: int
    group_norm: int
    gated_gelu: int


def fused_file(file: Path) -> Path:
    """Where the fused form of a graph's file lies."""
    return file.with_suffix(".cuda.onnx")


def fuse(model: ir.Model) -> Fused:
    """Replace what can be fused, in place; the graph computes the same function."""
    graph = model.graph
    fused = Fused(
        sum(_fuse_attention(graph, node) for node in _nodes(graph, "Softmax")),
        sum(_fuse_group_norm(graph, node) for node in _nodes(graph, "InstanceNormalization")),
        sum(_fuse_gated_gelu(graph, node) for node in _nodes(graph, "Erf")),
    )
    if any(fused):
        model.opset_imports[DOMAIN] = 1
        _cancel_transposes(graph)
        RemoveUnusedNodesPass()(model)
        graph.sort()
    return fused


def _fuse_attention(graph: ir.Graph, softmax: ir.Node) -> bool:
    """softmax(c q (c k)^T) v of [B, heads, tokens, D], from and to [B, tokens, heads D], where c^2 = D^-1/2."""
    scores, weighted = _made_by(softmax.inputs[0], "MatMul"), _only_user(softmax, "MatMul")
    back = weighted and _only_user(weighted, "Transpose")
    joined = back and _only_user(back, "Reshape")
    if not (scores and weighted and back and joined and _permutes(back, [0, 2, 1, 3])):
        return False
    query = _scaled(scores.inputs[0])
    q = _split_heads(query[0]) if query else None
    if query is None or q is None:
        return False
    name = joined.outputs[0].name
    k = _key(graph, scores.inputs[1], query[1] * q.width**0.5, f"{name}.key")
    v = _value(graph, weighted.inputs[1], f"{name}.value")
    if k is None or v is None or not q.heads == k.heads == v.heads:
        return False
    _replace(graph, joined, "MultiHeadAttention", [q.whole, k.whole, v.whole], {"num_heads": q.heads})
    return True


def _fuse_group_norm(graph: ir.Graph, norm: ir.Node) -> bool:
    """An instance norm of [B, groups, ...] and the channels' scale and bias, SiLU behind it included."""
    grouped, ones, zeros = norm.inputs
    split, restored = _made_by(grouped, "Reshape"), _only_user(norm, "Reshape")
    scaled = restored and _only_user(restored, "Mul")
    biased = scaled and _only_user(scaled, "Add")
    if not (split and restored and scaled and biased):
        return False
    x, unit, shift = split.inputs[0], _constant(ones), _constant(zeros)
    weight, bias = _other_constant(scaled, restored), _other_constant(biased, scaled)
    if x is None or x.shape is None or len(x.shape) != 4 or weight is None or bias is None:
        return False
    if unit is None or shift is None or (unit != 1).any() or shift.any():
        return False
    last = _silu(biased)
    attributes = {
        "groups": int(unit.size),
        "epsilon": norm.attributes["epsilon"].as_float(),
        "activation": int(last is not biased),
        "channels_last": 1,
    }
    name = last.outputs[0].name
    turned = ir.node("Transpose", [x], {"perm": TO_LAST})
    turned.outputs[0].name = f"{name}.channels_last"
    turned.outputs[0].type = x.type
    parameters = [
        _new_constant(graph, f"{name}.{what}", values.reshape(-1).astype(np.float32))
        for what, values in (("weight", weight), ("bias", bias))
    ]
    normal = ir.node("GroupNorm", [turned.outputs[0], *parameters], attributes, domain=DOMAIN)
    normal.outputs[0].name = f"{name}.normal"
    graph.insert_before(last, [turned, normal])
    _replace(graph, last, "Transpose", [normal.outputs[0]], {"perm": TO_FIRST}, domain="")
    return True


def _fuse_gated_gelu(graph: ir.Graph, erf: ir.Node) -> bool:
    """(x + bias) split in two halves a and b: a gelu(b), with the exact GELU."""
    divided = _made_by(erf.inputs[0], "Div")
    split = divided and _made_by(divided.inputs[0], "Split")
    biased = split and _made_by(split.inputs[0], "Add")
    if not (divided and split and biased) or len(split.outputs) != 2 or divided.inputs[0] is not split.outputs[1]:
        return False
    bias, x = _one_constant(biased)
    gated = _gate(erf, split)
    if bias is None or x is None or gated is None or bias.size not in SPLIT_GELU_WIDTHS:
        return False
    parameter = _new_constant(graph, f"{gated.outputs[0].name}.bias", bias.reshape(-1))
    _replace(graph, gated, "BiasSplitGelu", [x, parameter], {})
    return True


def _gate(erf: ir.Node, split: ir.Node) -> ir.Node | None:
    """The last node of a (b (1 + erf) / 2), whatever the order of its products."""
    node: ir.Node | None = _only_user(erf, "Add")
    met: list[ir.Value | None] = []
    while node is not None and split.outputs[0] not in met:
        following = _only_user(node, "Mul")
        if following is None:
            return None
        met += [value for value in following.inputs if value is not node.outputs[0]]
        node = following
    factors = [value for value in met if value not in split.outputs]
    halves = [constant for value in factors if (constant := _constant(value)) is not None]
    exact = len(met) == 3 and len(halves) == 1 and halves[0].size == 1 and np.isclose(halves[0].item(), 0.5)
    return node if exact and split.outputs[1] in met else None


class _Heads(NamedTuple):
    """A value of [B, heads, tokens, D] that was [B, tokens, heads D] before."""

    whole: ir.Value
    heads: int
    width: int


def _split_heads(value: ir.Value | None) -> _Heads | None:
    turned = _made_by(value, "Transpose")
    if turned is None or not _permutes(turned, [0, 2, 1, 3]):
        return None
    split = _made_by(turned.inputs[0], "Reshape")
    shape = split.outputs[0].shape if split else None
    if split is None or shape is None or len(shape) != 4 or split.inputs[0] is None:
        return None
    heads, width = shape[2], shape[3]
    return _Heads(split.inputs[0], heads, width) if isinstance(heads, int) and isinstance(width, int) else None


def _key(graph: ir.Graph, value: ir.Value | None, scale: float, name: str) -> _Heads | None:
    """The keys of [B, heads, D, tokens]. `scale` times the number on them is 1; constant ones hold it themselves."""
    constant = _constant(value)
    if constant is not None and constant.ndim == 4:
        return _constant_heads(graph, (constant * scale).astype(constant.dtype).transpose(0, 3, 1, 2), name)
    scaled = _scaled(value)
    if scaled is None or not np.isclose(scaled[1] * scale, 1.0, rtol=1e-2):  # both are rounded in fp16
        return None
    # The exporter exchanges the last two axes on [B heads, tokens, D].
    reshaped = _made_by(scaled[0], "Reshape")
    turned = reshaped and _made_by(reshaped.inputs[0], "Transpose")
    flat = turned and _made_by(turned.inputs[0], "Reshape")
    return _split_heads(flat.inputs[0]) if turned and flat and _permutes(turned, [0, 2, 1]) else None


def _value(graph: ir.Graph, value: ir.Value | None, name: str) -> _Heads | None:
    constant = _constant(value)
    if constant is not None and constant.ndim == 4:
        return _constant_heads(graph, constant.transpose(0, 2, 1, 3), name)
    return _split_heads(value)


def _constant_heads(graph: ir.Graph, values: np.ndarray, name: str) -> _Heads:
    """A new constant of [B, tokens, heads, D]."""
    heads, width = values.shape[2:]
    whole = np.ascontiguousarray(values.reshape(*values.shape[:2], heads * width))
    return _Heads(_new_constant(graph, name, whole), heads, width)


def _scaled(value: ir.Value | None) -> tuple[ir.Value, float] | None:
    """What is multiplied by one number, and the number."""
    product = _made_by(value, "Mul")
    constant, rest = _one_constant(product) if product else (None, None)
    return None if constant is None or rest is None or constant.size != 1 else (rest, float(constant.item()))


def _silu(node: ir.Node) -> ir.Node:
    """The end of x sigmoid(x) behind a node, or the node itself where it is used otherwise."""
    users = {use.node for use in node.outputs[0].uses()}
    gate = next((user for user in users if user.op_type == "Sigmoid"), None)
    product = gate and _only_user(gate, "Mul")
    return product if gate and product and users == {gate, product} and not node.outputs[0].is_graph_output() else node


def _cancel_transposes(graph: ir.Graph) -> None:
    """Take out what turns channels first and last again at once."""
    for node in _nodes(graph, "Transpose"):
        before = _made_by(node.inputs[0], "Transpose")
        source = before.inputs[0] if before is not None and _permutes(before, TO_FIRST) else None
        if source is not None and _permutes(node, TO_LAST) and not node.outputs[0].is_graph_output():
            ir.convenience.replace_all_uses_with(node.outputs[0], source)


def _nodes(graph: ir.Graph, operator: str) -> Iterator[ir.Node]:
    return (node for node in list(graph) if node.op_type == operator)


def _made_by(value: ir.Value | None, operator: str) -> ir.Node | None:
    node = value.producer() if value is not None else None
    return node if node is not None and node.op_type == operator else None


def _only_user(node: ir.Node, operator: str) -> ir.Node | None:
    """The node that alone uses a node's output, where it is of that operator."""
    uses = list(node.outputs[0].uses())
    if len(uses) != 1 or node.outputs[0].is_graph_output() or uses[0].node.op_type != operator:
        return None
    return uses[0].node


def _permutes(node: ir.Node, order: list[int]) -> bool:
    return list(node.attributes["perm"].as_ints()) == order


def _constant(value: ir.Value | None) -> np.ndarray | None:
    tensor = value.const_value if value is not None else None
    return None if tensor is None else tensor.numpy()


def _one_constant(node: ir.Node) -> tuple[np.ndarray | None, ir.Value | None]:
    """A node's constant input and its other one."""
    first, second = node.inputs
    constant = _constant(second)
    return (constant, first) if constant is not None else (_constant(first), second)


def _other_constant(node: ir.Node, source: ir.Node) -> np.ndarray | None:
    """The constant that a node combines with another's output."""
    constant, rest = _one_constant(node)
    return constant if rest is source.outputs[0] else None


def _new_constant(graph: ir.Graph, name: str, values: np.ndarray) -> ir.Value:
    value = ir.val(name, const_value=ir.tensor(values, name=name))
    graph.register_initializer(value)
    return value


def _replace(
    graph: ir.Graph,
    old: ir.Node,
    operator: str,
    inputs: list[ir.Value],
    attributes: dict[str, int | float | list[int]],
    domain: str = DOMAIN,
) -> None:
    """Put a new node in the place of one with a single output, under the same name."""
    node = ir.node(operator, inputs, attributes, domain=domain)
    before, after = old.outputs[0], node.outputs[0]
    after.name, after.shape, after.type = before.name, before.shape, before.type
    graph.insert_before(old, [node])
    ir.convenience.replace_all_uses_with(before, after, replace_graph_outputs=True)
    graph.remove(old, safe=True)
