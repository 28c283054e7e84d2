"""What INT8 convolutions read is joined channels last, in fours, and the numbers stay the same."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import numpy as np
import onnx
import onnx_ir as ir
import onnxruntime as ort
import pytest
from onnx import TensorProto, helper, numpy_helper, shape_inference

from edgedrag.calibration.graphs import placement
from edgedrag.calibration.graphs.channels_last import read_channels_last
from edgedrag.calibration.graphs.layers import find_layers
from edgedrag.calibration.graphs.placement import Ranges, place
from edgedrag.calibration.graphs.row_sampling import FORM
from edgedrag.runtime.bundle.manifest import open_bundle

H, W = 8, 12
CHANNELS = 12 + 16 + 16 + 1
SHAPES = {
    "picture": [1, 3, 2 * H, 2 * W], "features": [1, 16, H, W], "grid": [1, H, W, 2], "mask": [1, 1, H, W],
}  # fmt: skip


def joined_graph() -> ir.Model:
    """A convolution of a picture folded 2 x 2, features that were sampled, those that were not, and a mask."""
    rng = np.random.default_rng(0)
    constants = {
        "weight": rng.normal(size=(8, CHANNELS, 3, 3)).astype(np.float32),
        "bias": rng.normal(size=8).astype(np.float32),
        "six": np.array([1, 3, H, 2, W, 2]),
        "four": np.array([1, 12, H, W]),
    }
    nodes = [
        helper.make_node("Reshape", ["picture", "six"], ["apart"], "apart"),
        helper.make_node("Transpose", ["apart"], ["turned"], "turn", perm=[0, 1, 3, 5, 2, 4]),
        helper.make_node("Reshape", ["turned", "four"], ["folded"], "fold"),
        helper.make_node("GridSample", ["features", "grid"], ["moved"], "sample", **FORM),
        helper.make_node("Concat", ["folded", "moved", "features", "mask"], ["joined"], "join", axis=1),
        helper.make_node("Conv", ["joined", "weight", "bias"], ["y"], "enter", pads=[1] * 4, kernel_shape=[3, 3]),
    ]
    inputs = [helper.make_tensor_value_info(n, TensorProto.FLOAT, s) for n, s in SHAPES.items()]
    outputs = [helper.make_tensor_value_info("y", TensorProto.FLOAT, [1, 8, H, W])]
    initializers = [numpy_helper.from_array(v, n) for n, v in constants.items()]
    graph = helper.make_graph(nodes, "joined", inputs, outputs, initializers)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=10)
    return ir.from_proto(shape_inference.infer_shapes(model))


def placed(smooth: bool) -> ir.Model:
    model = joined_graph()
    divisors = {"joined": np.exp2(np.arange(CHANNELS) % 3).astype(np.float32)} if smooth else {}
    place(model, find_layers(model), Ranges({"joined": 3.0}, {"y": 60.0}, divisors), "ort")
    return model


def run(model: ir.Model, optimized: Path | None = None) -> np.ndarray:
    rng = np.random.default_rng(1)
    options = ort.SessionOptions()
    options.log_severity_level = 3
    options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_ENABLE_ALL
    if optimized is not None:
        options.optimized_model_filepath = str(optimized)
    session = ort.InferenceSession(ir.to_proto(model).SerializeToString(), options)
    return session.run(None, {n: rng.uniform(-1, 1, s).astype(np.float32) for n, s in SHAPES.items()})[0]


@pytest.mark.parametrize("smooth", [False, True])
def test_same_numbers_and_nothing_left_to_turn_around(
    smooth: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as without:
        without.setattr(placement, "read_channels_last", lambda model: None)
        expected = run(placed(smooth))
    model = placed(smooth)
    np.testing.assert_array_equal(run(model, tmp_path / "optimized.onnx"), expected)
    assert "join" not in {node.name for node in model.graph}, "what nothing reads any more is gone"

    graph = onnx.load(tmp_path / "optimized.onnx").graph
    makers = {name: node for node in graph.node for name in node.output}
    (conv,) = (node for node in graph.node if node.op_type == "QLinearConv")
    quantize = makers[conv.input[0]]
    before = makers[quantize.input[0]]
    assert (quantize.op_type, before.op_type) == ("QuantizeLinear", "Mul" if smooth else "Concat")
    (weight,) = (numpy_helper.to_array(t) for t in graph.initializer if t.name == conv.input[3])
    assert weight.shape[1] == 48 and not weight[:, CHANNELS:].any()


def test_another_order_of_channels_is_not_taken_for_a_folded_picture() -> None:
    model = joined_graph()
    turn = next(node for node in model.graph if node.name == "turn")
    turn.attributes["perm"] = ir.AttrInt64s("perm", [0, 3, 5, 1, 2, 4])
    place(model, find_layers(model), Ranges({"joined": 3.0}, {"y": 60.0}), "ort")
    perms = [tuple(node.attributes["perm"].as_ints()) for node in model.graph if node.op_type == "Transpose"]
    assert (0, 3, 5, 1, 2, 4) in perms and (0, 2, 4, 1, 3, 5) not in perms


def test_a_graph_without_rows_or_folded_pictures_stays() -> None:
    model = joined_graph()
    join = next(node for node in model.graph if node.name == "join")
    for index in (0, 1):
        join.replace_input_with(index, next(v for v in model.graph.inputs if v.name == "features"))
    before = Counter(node.op_type for node in model.graph)
    read_channels_last(model)
    assert Counter(node.op_type for node in model.graph) == before


@pytest.mark.parametrize("name", ["condition", "encoder"])
def test_the_shipped_graphs_enter_channels_last(name: str, tmp_path: Path) -> None:
    """With the first layer of each in INT8, which is the recipe's to choose."""
    model = ir.load(open_bundle("embedded").folder / f"{name}.onnx")
    first = find_layers(model)[0]
    place(model, [first], Ranges({first.input: 8.0}, {first.output: 8.0}), "ort")
    options = ort.SessionOptions()
    options.log_severity_level = 3
    options.optimized_model_filepath = str(tmp_path / "optimized.onnx")
    ort.InferenceSession(ir.to_proto(model).SerializeToString(), options)
    graph = onnx.load(tmp_path / "optimized.onnx", load_external_data=False).graph
    makers = {made: node for node in graph.node for made in node.output}
    conv = next(node for node in graph.node if node.op_type == "QLinearConv")  # the first to run
    maker = makers[conv.input[0]]
    while maker.op_type in ("QuantizeLinear", "Mul"):
        maker = makers[maker.input[0]]
    assert maker.op_type in ("Concat", "Reshape")
