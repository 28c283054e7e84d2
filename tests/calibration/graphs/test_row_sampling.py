"""Sampling by rows gives what GridSample gives, where it takes its place."""

from __future__ import annotations

from collections import Counter

import numpy as np
import onnx_ir as ir
import onnxruntime as ort
import pytest
from onnx import TensorProto, helper

from edgedrag.calibration.graphs.row_sampling import sample_by_rows

FORM = {"mode": "bilinear", "padding_mode": "border", "align_corners": 1}


def sampler(channels: int, **form: str | int) -> ir.Model:
    """`moved` is the picture sampled everywhere, `found` at a few points of it."""
    nodes = [
        helper.make_node("GridSample", ["picture", "grid"], ["moved"], "whole", **(FORM | form)),
        helper.make_node("GridSample", ["moved", "points"], ["found"], "points", **FORM),
    ]
    shapes = {
        "picture": [1, channels, "h", "w"], "grid": [1, "h", "w", 2], "points": [1, 1, "n", 2],
        "moved": [1, channels, "h", "w"], "found": [1, channels, 1, "n"],
    }  # fmt: skip
    values = {n: helper.make_tensor_value_info(n, TensorProto.FLOAT, s) for n, s in shapes.items()}
    inputs, outputs = ([values[n] for n in names] for names in (("picture", "grid", "points"), ("moved", "found")))
    graph = helper.make_graph(nodes, "sampler", inputs, outputs)
    return ir.from_proto(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=10))


def run(model: ir.Model, inputs: dict[str, np.ndarray]) -> list[np.ndarray]:
    return ort.InferenceSession(ir.to_proto(model).SerializeToString()).run(["moved", "found"], inputs)


@pytest.mark.parametrize(("channels", "height", "width"), [(3, 40, 56), (48, 16, 12), (16, 2, 3), (1, 1, 5)])
def test_same_numbers_inside_at_the_edges_and_beyond(channels: int, height: int, width: int) -> None:
    rng = np.random.default_rng(channels)
    inputs = {
        "picture": rng.normal(size=(1, channels, height, width)).astype(np.float32),
        "grid": rng.uniform(-1.4, 1.4, (1, height, width, 2)).astype(np.float32),
        "points": rng.uniform(-1, 1, (1, 1, 7, 2)).astype(np.float32),
    }
    inputs["grid"][0, 0, :3] = [(-1, -1), (1, 1), (1, -1)]
    model = sampler(channels)
    expected = run(model, inputs)
    sample_by_rows(model)
    assert Counter(n.op_type for n in model.graph)["GridSample"] == 1 and not model.functions
    for found, wanted in zip(run(model, inputs), expected):
        np.testing.assert_allclose(found, wanted, atol=1e-4)


@pytest.mark.parametrize("form", [{"align_corners": 0}, {"padding_mode": "zeros"}, {"mode": "bicubic"}])
def test_another_form_of_sampling_stays(form: dict[str, str | int]) -> None:
    model = sampler(3, **form)
    sample_by_rows(model)
    assert Counter(n.op_type for n in model.graph) == {"GridSample": 2}
