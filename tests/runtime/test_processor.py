"""INT8 kernels on this processor, against the reference evaluator: which saturate, and that ours never do."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import onnx.parser
import onnxruntime as ort
import pytest
from onnx import numpy_helper
from onnx.reference import ReferenceEvaluator

from edgedrag.runtime.backends.onnxruntime import OnnxRuntimeCpu
from edgedrag.runtime.backends.processor import multiplies_int8
from edgedrag.runtime.bundle import Graph, Tensor

QUANTIZED = """xq = QuantizeLinear (x, one, middle)  xr = DequantizeLinear (xq, one, middle)
               wr = DequantizeLinear (w, one, zero)"""
CONSTANTS = "float one = {1.0}, float coarse = {8192.0}, uint8 middle = {128}, int8 zero = {0}"
GRAPHS = {
    "convolution": f"""<ir_version: 10, opset_import: ["" : 21]>
        layer (float[1, 32, 6, 6] x) => (float[1, 8, 6, 6] y) <{CONSTANTS}> {{
        {QUANTIZED}  c = Conv <pads = [1, 1, 1, 1]> (xr, wr)
        cq = QuantizeLinear (c, coarse, middle)  y = DequantizeLinear (cq, coarse, middle) }}""",
    "product": f"""<ir_version: 10, opset_import: ["" : 21]>
        layer (float[6, 32] x) => (float[6, 8] y) <{CONSTANTS}> {{ {QUANTIZED}  y = MatMul (xr, wr) }}""",
}
SHAPES = {"convolution": ((1, 32, 6, 6), (8, 32, 3, 3)), "product": ((6, 32), (32, 8))}


def layer_and_input(kind: str) -> tuple[onnx.ModelProto, np.ndarray]:
    """A layer with uint8 inputs and int8 weights at the ends of their ranges: two products exceed 16 bits."""
    rng = np.random.default_rng(0)
    model = onnx.parser.parse_model(GRAPHS[kind])
    x, weights = SHAPES[kind]
    model.graph.initializer.append(numpy_helper.from_array(rng.choice([-127, 120, 127], weights).astype(np.int8), "w"))
    onnx.checker.check_model(model)
    return model, rng.integers(90, 128, x).astype(np.float32)


@pytest.mark.parametrize("kind", GRAPHS)
def test_default_kernels_saturate_where_the_processor_is_said_to(kind: str) -> None:
    """On an x86 without VNNI this shows the fault; on any other processor, that there is none."""
    model, x = layer_and_input(kind)
    expected = ReferenceEvaluator(model).run(None, {"x": x})[0]
    session = ort.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    assert np.array_equal(session.run(None, {"x": x})[0], expected) == multiplies_int8()


@pytest.mark.parametrize("kind", GRAPHS)
def test_the_cpu_backend_computes_int8_exactly(kind: str, tmp_path: Path) -> None:
    model, x = layer_and_input(kind)
    onnx.save(model, tmp_path / "layer.onnx")
    tensors = [Tensor(v.name, "float32", (), "") for v in (*model.graph.input, *model.graph.output)]
    graph = Graph("layer", (tensors[0],), (tensors[1],), (), {})
    backend = OnnxRuntimeCpu()
    found = backend.compile(graph, tmp_path / "layer.onnx", "int8").run({"x": backend.upload(x)})
    np.testing.assert_array_equal(backend.download(found["y"]), ReferenceEvaluator(model).run(None, {"x": x})[0])
