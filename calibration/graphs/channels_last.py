"""Channels-last inputs of INT8 convolutions, padded to a multiple of 4 channels, for ONNX Runtime's CPU kernels.

By default ONNX Runtime transposes the whole quantized tensor before such a convolution, and its kernels take 1.5 times
as long if the number of channels is not a multiple of 4. This pass concatenates sampled rows and unshuffled pictures in
channels-last layout and pads them with zero channels, so that no transpose is left. The values do not change.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import isqrt

import numpy as np
import onnx_ir as ir
from onnx_ir.passes.common import RemoveUnusedNodesPass
from onnx_ir.tape import Tape

from edgedrag.calibration.graphs.layers import constant

TO_LAST, TO_FIRST = (0, 2, 3, 1), (0, 3, 1, 2)  # permutations of the channel axis
UNSHUFFLE = (0, 1, 3, 5, 2, 4)  # permutation of pixel unshuffling, on [1, C, h, r, w, r]
UNSHUFFLE_TO_LAST = (0, 2, 4, 1, 3, 5)  # the same with the channels last; runs of r values stay contiguous
MULTIPLE = 4


def read_channels_last(model: ir.Model) -> None:
    """Rewrite the inputs of INT8 convolutions that consist of sampled rows or unshuffled pictures, in place."""
    changed = False
    for conv in [node for node in model.graph if node.op_type == "Conv"]:
        dequantize = _maker(conv.inputs[0], "DequantizeLinear")
        quantize = _maker(dequantize.inputs[0], "QuantizeLinear") if dequantize is not None else None
        if dequantize is None or quantize is None:
            continue
        smooth = _maker(quantize.inputs[0], "Mul")
        reader = smooth if smooth is not None and constant(smooth.inputs[1]) is not None else quantize
        read = reader.inputs[0]
        assert read is not None
        parts = _parts(read)
        chain = {reader, quantize, dequantize}  # the convolution must be their only reader
        if any(len(node.outputs[0].uses()) > 1 for node in chain) or not any(_rows(p) or _planes(p) for p in parts):
            continue
        tape = Tape()
        missing = _widen(tape, conv, reader)
        whole = _join(tape, parts, missing)
        whole.name, whole.type = f"{read.name}.joined", read.type
        for value in tape.initializers:
            model.graph.register_initializer(value)
        model.graph.insert_before(reader, tape.nodes)
        reader.replace_input_with(0, whole)
        changed = True
    if changed:
        model.graph.sort()
        RemoveUnusedNodesPass()(model)


def _join(tape: Tape, parts: Sequence[ir.Value], missing: int) -> ir.Value:
    """The parts concatenated channels-last, with `missing` zero channels added, then transposed to channels-first."""
    keep = tape.initializer(ir.tensor(np.array([0, 0, 0, -1]), name=f"{parts[0].name}.keep"))

    def turn(value: ir.Value, perm: tuple[int, ...]) -> ir.Value:
        # The Reshape keeps ONNX Runtime from moving the Transpose behind the Concat, where it would affect all parts.
        return tape.op("Reshape", [tape.op("Transpose", [value], {"perm": perm}), keep])

    last: list[ir.Value] = []
    waiting: list[ir.Value] = []  # adjacent parts to be transposed together
    for part in (*parts, None):
        rows, planes = (_rows(part), _planes(part)) if part is not None else (None, None)
        if part is not None and rows is None and planes is None:
            waiting.append(part)
            continue
        if waiting:
            together = waiting[0] if len(waiting) == 1 else tape.op("Concat", waiting, {"axis": 1})
            last.append(turn(together, TO_LAST))
            waiting = []
        if planes is not None:
            last.append(turn(planes, UNSHUFFLE_TO_LAST))
        elif rows is not None:
            last.append(rows)
    if missing:
        pads = tape.initializer(ir.tensor(np.array([0] * 7 + [missing]), name=f"{parts[-1].name}.missing"))
        last[-1] = tape.op("Pad", [last[-1], pads])
    whole = last[0] if len(last) == 1 else tape.op("Concat", last, {"axis": 3})
    return tape.op("Transpose", [whole], {"perm": TO_FIRST})


def _widen(tape: Tape, conv: ir.Node, reader: ir.Node) -> int:
    """Widen a convolution, and the factors before it, by channels with weight 0; returns their number.

    The stored weights are shared between graphs and stay unchanged; ONNX Runtime folds the padding when it loads them.
    """
    weight = _maker(conv.inputs[1], "DequantizeLinear")
    assert weight is not None and weight.inputs[0] is not None and weight.inputs[0].shape is not None
    stored, channels = weight.inputs[0], weight.inputs[0].shape.numpy()[1]
    missing = -channels % MULTIPLE if conv.attributes.get_int("group", 1) == 1 else 0
    if not missing:
        return 0
    pads = tape.initializer(ir.tensor(np.array([0] * 5 + [missing, 0, 0]), name=f"{stored.name}.missing"))
    weight.replace_input_with(0, tape.op("Pad", [stored, pads]))
    factors = reader.inputs[1]
    tensor = constant(factors)
    if reader.op_type == "Mul" and factors is not None and tensor is not None:
        more = np.pad(tensor.numpy(), [(0, missing), (0, 0), (0, 0)], constant_values=1)
        reader.replace_input_with(1, tape.initializer(ir.tensor(more, name=f"{factors.name}.filled")))
    return missing


def _parts(read: ir.Value) -> list[ir.Value]:
    """The values that are concatenated along the channels to `read`, or `read` itself."""
    join = _maker(read, "Concat")
    if join is None or join.attributes.get_int("axis") != 1:
        return [read]
    return [part for part in join.inputs if part is not None]


def _rows(part: ir.Value) -> ir.Value | None:
    """The channels-last value [1, h, w, C] that a part was transposed from, if any."""
    turn = _maker(part, "Transpose")
    return turn.inputs[0] if turn is not None and turn.attributes.get_ints("perm") == TO_FIRST else None


def _planes(part: ir.Value) -> ir.Value | None:
    """The picture that a part was unshuffled from, as [1, C, h, r, w, r], if any."""
    turn = _maker(_before_reshapes(part), "Transpose")
    if turn is None or turn.attributes.get_ints("perm") != UNSHUFFLE:
        return None
    picture = _before_reshapes(turn.inputs[0])
    if picture is None or picture.shape is None or part.shape is None or len(picture.shape) != 4:
        return None
    before, after = picture.shape[1], part.shape[1]
    if not isinstance(before, int) or not isinstance(after, int) or before * isqrt(after // before) ** 2 != after:
        return None
    return turn.inputs[0] if len(part.shape) == 4 else None


def _before_reshapes(value: ir.Value | None) -> ir.Value | None:
    while (reshape := _maker(value, "Reshape")) is not None:
        value = reshape.inputs[0]
    return value


def _maker(value: ir.Value | None, op: str) -> ir.Node | None:
    """The node that computes a value, if it has this type."""
    node = value.producer() if value is not None else None
    return node if node is not None and node.op_type == op else None
