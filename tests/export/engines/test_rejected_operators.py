"""What TensorRT-RTX rejects is refused by name."""

from __future__ import annotations

from pathlib import Path

import onnx
import onnx.parser
import pytest

from edgedrag.export.engines.builder import build_file
from edgedrag.runtime.errors import EdgedragError, InputError

pytestmark = pytest.mark.slow

WEIGHT = "{1, 1, 1, 1, 1, 1, 1, 1, 1}"
REFUSED = {
    "ConvInteger": f"""(uint8[1, 1, 8, 8] x) => (int32[1, 1, 6, 6] y) <uint8[1, 1, 3, 3] w = {WEIGHT}> {{
        y = ConvInteger (x, w) }}""",
    "QLinearConv": f"""(int8[1, 1, 8, 8] x) => (int8[1, 1, 6, 6] y)
        <int8[1, 1, 3, 3] w = {WEIGHT}, float s = {{0.1}}, int8 z = {{0}}> {{
        y = QLinearConv (x, s, z, w, s, z, s, z) }}""",
    "Unique": "(float[8] x) => (float[n] y) { y = Unique (x) }",
    "Thing": "(float[8] x) => (float[8] y) { y = own.Thing (x) }",  # a custom operator
    "DeformConv": f"""(float[1, 1, 8, 8] x, float[1, 18, 6, 6] o) => (float[1, 1, 6, 6] y)
        <float[1, 1, 3, 3] w = {WEIGHT}> {{ y = DeformConv (x, w, o) }}""",
    # the INT32 bias that ONNX Runtime's quantiser makes
    "DequantizeLinear": f"""(float[1, 1, 8, 8] x) => (float[1, 1, 6, 6] y)
        <float[1, 1, 3, 3] w = {WEIGHT}, int32[1] b = {{5}}, float s = {{0.1}}> {{
        bias = DequantizeLinear (b, s)  y = Conv (x, w, bias) }}""",
    # a zero point
    "QuantizeLinear": """(float[8] x) => (float[8] y) <float s = {0.1}, uint8 z = {128}> {
        q = QuantizeLinear (x, s, z)  y = DequantizeLinear (q, s, z) }""",
}


@pytest.mark.parametrize("operator", REFUSED)
def test_what_we_must_not_emit_is_refused(tmp_path: Path, operator: str) -> None:
    pytest.importorskip("tensorrt_rtx", reason="tensorrt-rtx is not installed; there is none for this platform")
    opset = 19 if operator == "DeformConv" else 18
    text = f'<ir_version: 9, opset_import: ["" : {opset}, "own" : 1]> g {REFUSED[operator]}'
    file = tmp_path / "graph.onnx"
    onnx.save(onnx.parser.parse_model(text), file)
    with pytest.raises(EdgedragError, match=rf"graph\.onnx: TensorRT-RTX rejects it: {operator}"):
        build_file(file, {}, "sm_86")


def test_a_target_that_is_none(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="target 'sm_42' is not one of this-gpu, sm_75"):
        build_file(tmp_path / "graph.onnx", {}, "sm_42")
