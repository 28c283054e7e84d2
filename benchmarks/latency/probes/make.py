"""Writes the probe graphs in this folder: a 3 x 3 convolution, 128 to 128 channels, 64 x 64 pixels, by precision.

python -m edgedrag.benchmarks.latency.probes.make

The graphs compute constant weights, which the engine folds, so that the files are small. Needs `edgedrag[export]`.
"""

from __future__ import annotations

from pathlib import Path

import onnx
from onnx import parser

CHANNELS, SIDE, KERNEL = 128, 64, 3
FLOPS = 2 * CHANNELS * CHANNELS * KERNEL * KERNEL * SIDE * SIDE

FP32 = f"""
<ir_version: 8, opset_import: ["" : 17]>
conv (float[1, {CHANNELS}, {SIDE}, {SIDE}] x) => (float[1, {CHANNELS}, {SIDE}, {SIDE}] y) {{
    shape = Constant <value_ints = [{CHANNELS}, {CHANNELS}, {KERNEL}, {KERNEL}]> ()
    w = ConstantOfShape <value = float[1] {{0.01}}> (shape)
    y = Conv <pads = [1, 1, 1, 1]> (x, w)
}}
"""

INT8 = f"""
<ir_version: 8, opset_import: ["" : 17]>
conv (uint8[1, {CHANNELS}, {SIDE}, {SIDE}] x) => (uint8[1, {CHANNELS}, {SIDE}, {SIDE}] y) {{
    shape = Constant <value_ints = [{CHANNELS}, {CHANNELS}, {KERNEL}, {KERNEL}]> ()
    w = ConstantOfShape <value = int8[1] {{3}}> (shape)
    scale = Constant <value = float {{0.01}}> ()
    middle = Constant <value = uint8 {{128}}> ()
    zero = Constant <value = int8 {{0}}> ()
    y = QLinearConv <pads = [1, 1, 1, 1]> (x, scale, middle, w, scale, zero, scale, middle)
}}
"""


def main() -> None:
    """Write the graph files."""
    for name, text in (("fp32", FP32), ("int8", INT8)):
        model = parser.parse_model(text)
        onnx.checker.check_model(model, full_check=True)
        onnx.save(model, str(Path(__file__).with_name(f"conv.{name}.onnx")))


if __name__ == "__main__":
    main()
