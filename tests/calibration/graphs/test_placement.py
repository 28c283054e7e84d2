"""Q/DQ nodes where each engine wants them, and what they cost in accuracy."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import numpy as np
import onnx_ir as ir
import onnxruntime as ort
import pytest
from onnx import TensorProto, checker, helper, numpy_helper

from edgedrag.calibration.graphs.estimators import LEVELS
from edgedrag.calibration.graphs.layers import Layer, find_layers, find_sums
from edgedrag.calibration.graphs.placement import Ranges, place, weight_scales
from edgedrag.calibration.graphs.smoothing import find_divisors, find_folds
from edgedrag.calibration.graphs.statistics import TensorStatistics
from edgedrag.calibration.runs.halves import halve
from edgedrag.export.engines.builder import build_file
from edgedrag.export.parity import snr_db

LOUD = np.array([40, 1, 1, 1, 1, 1, 1, 1], np.float32)  # one channel is much louder than the others


def block() -> ir.Model:
    """y = x + conv(leaky(conv(x))), then a product of matrices; the first weight is stored as fp16."""

    rng = np.random.default_rng(0)

    def weight(name: str, *shape: int, dtype: type = np.float32) -> TensorProto:
        return numpy_helper.from_array((rng.normal(size=shape) / np.sqrt(np.prod(shape[1:]))).astype(dtype), name)

    half = weight("first.weight.fp16", 8, 8, 3, 3, dtype=np.float16)
    nodes = [
        helper.make_node("Cast", ["first.weight.fp16"], ["first.weight"], "cast", to=TensorProto.FLOAT),
        helper.make_node("Conv", ["x", "first.weight", "first.bias"], ["a"], "conv1", pads=[1, 1, 1, 1]),
        helper.make_node("LeakyRelu", ["a"], ["b"], "act", alpha=0.1),
        helper.make_node("Conv", ["b", "second.weight"], ["c"], "conv2", pads=[1, 1, 1, 1]),
        helper.make_node("Add", ["x", "c"], ["d"], "sum"),
        helper.make_node("Transpose", ["d"], ["e"], "turn", perm=[0, 2, 3, 1]),
        helper.make_node("MatMul", ["e", "project"], ["y"], "product"),
    ]
    shapes = {"x": [1, 8, 12, 12], "y": [1, 12, 12, 5]}
    values = {n: helper.make_tensor_value_info(n, TensorProto.FLOAT, s) for n, s in shapes.items()}
    constants = [half, weight("first.bias", 8), weight("second.weight", 8, 8, 3, 3), weight("project", 8, 5)]
    graph = helper.make_graph(nodes, "block", [values["x"]], [values["y"]], constants)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=10)
    checker.check_model(model, full_check=True)
    return ir.from_proto(model)


def run(model: ir.Model, x: np.ndarray, *names: str) -> list[np.ndarray]:
    """`y` and inner tensors, in the graph's own arithmetic: left as they are, Q/DQ nodes leave the sums to float
    kernels, where the INT8 kernels of some processors saturate.
    """
    proto = ir.to_proto(model)
    proto.graph.output.extend(helper.make_tensor_value_info(n, TensorProto.FLOAT, None) for n in names)
    options = ort.SessionOptions()
    options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_DISABLE_ALL
    options.log_severity_level = 3
    return ort.InferenceSession(proto.SerializeToString(), options).run(["y", *names], {"x": x})


@pytest.fixture
def x() -> np.ndarray:
    return np.random.default_rng(3).normal(size=(1, 8, 12, 12)).astype(np.float32)


def ranges_of(model: ir.Model, x: np.ndarray) -> tuple[Ranges, dict[str, TensorStatistics]]:
    names = ["a", "b", "c", "e"]
    found = dict(zip(names, run(model, x, *names)[1:])) | {"x": x, "y": run(model, x)[0]}
    statistics = {name: TensorStatistics() for name in found}
    for name, values in found.items():
        statistics[name].add(values, -1 if name in "ey" else 1)
    peaks = {name: s.peak for name, s in statistics.items()}
    return Ranges({t: peaks[t] for t in "xbe"}, {t: peaks[t] for t in "acy"}), statistics


def ops(model: ir.Model) -> Counter[str]:
    return Counter(node.op_type for node in model.graph)


def test_layers_are_found_under_the_checkpoints_names() -> None:
    assert find_layers(block()) == (
        Layer("first", "conv1", "Conv", "x", "a"),
        Layer("second", "conv2", "Conv", "b", "c"),
        Layer("product", "product", "MatMul", "e", "y"),
    )


@pytest.mark.parametrize("placement", ["ort", "tensorrt"])
def test_a_block_in_int8_is_near_its_float_self(placement: str, x: np.ndarray) -> None:
    model = block()
    expected = run(model, x)[0]
    place(model, find_layers(model), ranges_of(block(), x)[0], placement)
    checker.check_model(ir.to_proto(model))
    assert snr_db(expected, run(model, x)[0]) > 33


def test_onnx_runtimes_placement(x: np.ndarray) -> None:
    model = block()
    place(model, find_layers(model), ranges_of(block(), x)[0], "ort")
    # Inputs of three layers and outputs of two convolutions; weights of three and one bias are stored whole.
    assert ops(model)["QuantizeLinear"] == 5 and ops(model)["DequantizeLinear"] == 5 + 3 + 1
    constants = {name: value.const_value for name, value in model.graph.initializers.items()}
    assert [int(constants[f"{tensor}.zero_point"].numpy()) for tensor in "xabce"] == [128] * 5
    assert constants["first.bias.int32"].dtype == ir.DataType.INT32
    summed = next(node for node in model.graph if node.name == "sum")
    assert [v.name for v in summed.inputs] == ["x", "c.rounded"], "what runs past the layers is not rounded"
    assert "first.weight.fp16" not in constants, "the float weight is gone"


def test_sums_in_eight_bits(x: np.ndarray) -> None:
    model = block()
    expected = run(model, x)[0]
    ranges, _ = ranges_of(model, x)
    layers = find_layers(model)
    assert find_sums(model, layers) == ("d",)
    ranges.sums["d"] = ranges.inputs["e"]
    place(model, layers, ranges, "ort")
    summed = next(node for node in model.graph if node.name == "sum")
    assert [v.name for v in summed.inputs] == ["x.rounded", "c.rounded"]
    assert ops(model)["QuantizeLinear"] == 6
    assert snr_db(expected, run(model, x)[0]) > 30


def test_tensorrts_placement_builds(tmp_path: Path, x: np.ndarray) -> None:
    model = block()
    place(model, find_layers(model), ranges_of(block(), x)[0], "tensorrt")
    assert ops(model)["QuantizeLinear"] == 3 and ops(model)["DequantizeLinear"] == 3 + 3
    zero_points = [v.const_value for n, v in model.graph.initializers.items() if n.endswith("zero_point")]
    assert {t.dtype for t in zero_points} == {ir.DataType.INT8} and not any(t.numpy().any() for t in zero_points)
    assert model.opset_imports[""] == 18
    for name, graph in (("float", block()), ("int8", halve(model, []))):
        ir.save(graph, tmp_path / f"{name}.onnx")
    pytest.importorskip("tensorrt_rtx", reason="TensorRT-RTX is not installed here")
    sizes = {"x": x.shape}
    whole, small = (build_file(tmp_path / f"{name}.onnx", sizes, "sm_86") for name in ("float", "int8"))
    assert small.facts.int8_layers >= 2 and whole.facts.int8_layers == 0
    assert small.facts.weight_bytes < whole.facts.weight_bytes


def test_smoothing_helps_quiet_channels_beside_a_loud_one(x: np.ndarray) -> None:
    loud = x * LOUD[:, None, None]
    model = block()
    expected = run(model, loud, "a")[1]
    ranges, statistics = ranges_of(model, loud)
    first = [layer for layer in find_layers(model) if layer.name == "first"]
    divisors = find_divisors(model, first, statistics)
    assert divisors["x"][0] > 5 * divisors["x"][1:].max()

    def error(smooth: bool) -> float:
        changed = block()
        found = Ranges(dict(ranges.inputs), ranges.outputs, divisors if smooth else {})
        if smooth:
            found.inputs["x"] = float(np.abs(loud / divisors["x"][:, None, None]).max())
        place(changed, first, found, "tensorrt")
        return snr_db(expected, run(changed, loud, "a")[1])

    assert error(True) > error(False) + 3


def test_an_input_that_a_layer_made_is_divided_there(x: np.ndarray) -> None:
    model = block()
    expected = run(model, x)[0]
    ranges, statistics = ranges_of(model, x)
    layers = find_layers(model)
    assert find_folds(model, layers) == {"b": "a"}
    divisors = find_divisors(model, layers, statistics)
    assert np.array_equal(divisors["a"], divisors["b"])
    assert np.array_equal(np.log2(divisors["b"]) % 1, np.zeros(8)), "powers of two lose no digits"
    a, b = (run(model, x, name)[1] / divisors[name][:, None, None] for name in "ab")
    for placement in ("ort", "tensorrt"):
        folded = Ranges(
            ranges.inputs | {"b": float(np.abs(b).max())},
            ranges.outputs | {"a": float(np.abs(a).max())},
            {"b": divisors["b"]},
            {"b": "a"},
        )
        model = block()
        place(model, layers, folded, placement)
        assert "Mul" not in ops(model)
        assert snr_db(expected, run(model, x)[0]) > 33


def test_a_channel_without_weights_has_a_scale() -> None:
    weight = np.zeros((2, 3, 1, 1), np.float32)
    weight[1] = 0.5
    assert weight_scales(weight, 0).tolist() == [1.0, np.float32(0.5 / LEVELS)]


def test_more_weights_than_a_message_holds_in_fp16(tmp_path: Path) -> None:
    size = [2**15, 2**14 + 64]  # 2.2 GB in fp32
    with (tmp_path / "weights").open("wb") as file:
        file.truncate(4 * size[0] * size[1])
    wide = ir.ExternalTensor(
        "weights", 0, 4 * size[0] * size[1], ir.DataType.FLOAT, shape=ir.Shape(size), name="wide", base_dir=tmp_path
    )
    values = {n: helper.make_tensor_value_info(n, TensorProto.FLOAT, [1, s]) for n, s in zip("xy", size)}
    node = helper.make_node("MatMul", ["x", "wide"], ["y"], "product")
    small = numpy_helper.from_array(np.zeros((1, 1), np.float32), "wide")
    graph = helper.make_graph([node], "wide", [values["x"]], [values["y"]], [small])
    model = ir.from_proto(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=10))
    model.graph.initializers["wide"].const_value = wide
    model.graph.initializers["wide"].shape = wide.shape
    stored = halve(model, []).graph.initializers["wide"].const_value
    assert stored is not None and stored.dtype == ir.DataType.FLOAT16 and list(stored.shape) == size
