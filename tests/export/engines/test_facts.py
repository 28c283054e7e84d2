"""Layers in INT8, as TensorRT 10, TensorRT 11 and TensorRT-RTX list them."""

from __future__ import annotations

import json
from typing import Any

import pytest

from edgedrag.export.engines.facts import LAYER, MEMORY, computes_int8, count_int8


def listed(*layers: Any) -> str:
    return json.dumps({"Layers": layers, "Bindings": ["x", "y"]})


def layer(kind: str, tensor: dict[str, str], **more: Any) -> dict[str, Any]:
    return {"Name": "a", "LayerType": kind, "Inputs": [{"Name": "x", "Dimensions": [1, 3], **tensor}], **more}


TEN = {"Format/Datatype": "Thirty-two wide channel vectorized row major Int8 format"}
TEN_SHORT = {"Format/Datatype": "Int8"}
ELEVEN = {"Datatype": "Int8", "Format": "(NHWC) Channel major format"}


@pytest.mark.parametrize("tensor", [TEN, TEN_SHORT, ELEVEN])
@pytest.mark.parametrize(
    "kind", ["CaskConvolution", "CaskGemmMatrixMultiply", "CaskDeconvolutionV2", "correlation", "gemm"]
)
def test_layers_that_multiply_int8_are_counted(kind: str, tensor: dict[str, str]) -> None:
    assert count_int8(listed(layer(kind, tensor), layer("Reformat", tensor), layer("kgen", tensor))) == 1


@pytest.mark.parametrize(
    "tensor",
    [
        {"Format/Datatype": "Channel major FP16 format where channel % 8 == 0"},
        {"Datatype": "Half", "Format": "int8 is no type here"},
        {"Datatype": "UInt8"},
        {},
    ],
)
def test_other_types_are_not(tensor: dict[str, str]) -> None:
    assert count_int8(listed(layer("CaskConvolution", tensor))) == 0


def test_where_shapes_are_open_the_weights_say_it() -> None:
    open_shapes = {"Format/Datatype": "N/A due to dynamic shapes"}
    int8, half = ({"Type": name, "Count": 4} for name in ("Int8", "Half"))
    found = [layer("CaskConvolution", open_shapes, Weights=weights) for weights in (int8, half)]
    assert count_int8(listed(*found)) == 1


@pytest.mark.parametrize("text", [listed("conv of x", "conv of y"), listed(), "", "no JSON", "[]", "{}"])
def test_a_list_without_details_says_nothing(text: str) -> None:
    assert count_int8(text) is None


def test_a_layer_without_inputs() -> None:
    assert count_int8(listed({"Name": "a", "LayerType": "Constant", "Inputs": []})) == 0


def test_lines_of_the_log_in_either_form() -> None:
    ten = "Name: a, LayerType: CaskConvolution, Inputs: [ { Name: x, Location: Device, Dimensions: [1,3], "
    log = f"Layers:\n{ten}Format/Datatype: {TEN_SHORT['Format/Datatype']} }}], Outputs: []\n"
    log += (
        "Name: b, LayerType: correlation, Inputs: [ { Name: x, Dimensions: [1,3], Datatype: Int8, Format: (NHWC) }]\n"
    )
    log += "Name: c, LayerType: kgen, Inputs: [ { Name: x, Datatype: Int8, Format: (NHWC) }]\n"
    assert LAYER.findall(log) == [("CaskConvolution", "Int8 "), ("correlation", "Int8"), ("kgen", "Int8")]
    assert [computes_int8(*found) for found in LAYER.findall(log)] == [True, True, False]


@pytest.mark.parametrize("line", ["Total Weights Memory: 123 bytes", "Total Weights Memory: 123"])
def test_memory_with_its_unit_and_without(line: str) -> None:
    found = MEMORY.match(line)
    assert found and found.groups() == ("Weights", "123")
