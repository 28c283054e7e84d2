"""INT8 kernels on this processor, against the reference evaluator: which saturate, and that ours never do."""

from __future__ import annotations

import json
import warnings
from pathlib import Path

import click.testing
import numpy as np
import onnx
import onnx.parser
import onnxruntime as ort
import pytest
from conftest import EXAMPLES
from onnx import numpy_helper
from onnx.reference import ReferenceEvaluator

import edgedrag
from edgedrag.commands.edit import drag
from edgedrag.runtime.backends import openvino as openvino_backend
from edgedrag.runtime.backends.onnxruntime import OnnxRuntimeCpu
from edgedrag.runtime.bundle.graphs import Graph, Tensor
from edgedrag.runtime.selection import select as fallback
from edgedrag.runtime.system.processor import multiplies_int8

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


@pytest.mark.parametrize("precision", ["auto", "int8"])
def test_saturating_int8_warns_and_auto_avoids_it(precision: str, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("openvino", reason="OpenVINO is not installed here")
    for module in (openvino_backend, fallback):
        monkeypatch.setattr(module, "multiplies_int8", lambda: False)
    if precision == "auto":
        assert edgedrag.open(backend="openvino").precision != "int8"
        return
    with pytest.warns(RuntimeWarning, match="INT8 .* on this processor .*: without VNNI .* saturate") as caught:
        edgedrag.open(backend="openvino", precision="int8")
    assert [Path(warning.filename).name for warning in caught] == [Path(__file__).name], "the caller's line"


def test_exact_int8_does_not_warn(recwarn: pytest.WarningsRecorder) -> None:
    edgedrag.open(backend="cpu", precision="int8")
    assert not recwarn


def test_the_command_line_prints_a_warning_in_one_line(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    def opened(*_: object, **__: object) -> edgedrag.Runtime:
        warnings.warn("INT8 is less exact", RuntimeWarning, stacklevel=1)
        return runtime

    runtime = edgedrag.open(backend="cpu")
    monkeypatch.setattr("edgedrag.runtime.session.runtime.open_with", opened)
    arguments = [str(EXAMPLES / "chelsea.png"), "--drag", "265,240:240,248", "-o", str(tmp_path / "out.png"), "--json"]
    done = click.testing.CliRunner().invoke(drag, arguments, catch_exceptions=False)
    assert done.stderr == "warning: INT8 is less exact\n" and json.loads(done.stdout)["precision"] == runtime.precision
