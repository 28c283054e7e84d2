"""A stage `hold` for the toy bundle: what has the point's colour is held."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import onnx
from onnx import parser

from edgedrag.export.bundle_writer import file_variant, write_manifest

SIZES = [[[64, 64], [128, 128]], [[64, 128]], [[128, 64]]]
SHAPES: dict[str, list[int | str]] = {
    "image": [1, 3, "H", "W"],
    "point": [1, 2],
    "colours": [1, 3, "H/2", "W/2"],
    "held": [1, 3, "H/2", "W/2"],
}
GRAPHS = [
    (
        "hold_features",
        ["image"],
        ["colours"],
        "colours = AveragePool <kernel_shape = [2, 2], strides = [2, 2]> (image)",
    ),
    (
        "hold_answers",
        ["point", "colours"],
        ["held"],
        """
        shape = Shape <start = 2> (colours)  size = Cast <to = 1> (shape)
        swap = Constant <value_ints = [1, 0]> ()  wh = Gather <axis = 0> (size, swap)
        half = Constant <value_float = 0.5> ()  one = Constant <value_float = 1.0> ()
        moved = Add (point, half)  share = Div (moved, wh)  at = Sub (share, one)
        four = Constant <value_ints = [1, 1, 1, 2]> ()  grid = Reshape (at, four)
        colour = GridSample <align_corners = 0, padding_mode = "border"> (colours, grid)
        difference = Sub (colours, colour)  square = Mul (difference, difference)
        axes = Constant <value_ints = [1]> ()  apart = ReduceSum <keepdims = 1> (square, axes)
        widths = Constant <value_floats = [-40.0, -20.0, -10.0]> ()  spread = Constant <value_ints = [1, 3, 1, 1]> ()
        factors = Reshape (widths, spread)  scaled = Mul (apart, factors)
        held = Exp (scaled)
        """,
    ),
]


def add_toy_hold(folder: Path) -> Path:
    """Add the stage to a toy bundle; returns its folder."""
    manifest: dict[str, Any] = json.loads((folder / "bundle.json").read_text())
    manifest["stages"]["hold"] = []
    for name, inputs, outputs, body in GRAPHS:
        text = (
            f'<ir_version: 8, opset_import: ["" : 18]> toy ({declared(inputs)}) => ({declared(outputs)}) {{ {body} }}'
        )
        onnx.save(parser.parse_model(text), folder / f"{name}.onnx")
        entry = {
            "name": name,
            **{
                key: [{"name": n, "dtype": "float32", "shape": SHAPES[n], "meaning": ""} for n in names]
                for key, names in (("inputs", inputs), ("outputs", outputs))
            },
            "variants": [file_variant(folder / f"{name}.onnx", "fp32", "ort")],
            "cost": {"parameters": 5, "flops": [0, 1, 0], "bytes": [0, 1, 0]},
        }
        manifest["stages"]["hold"].append(entry)
    manifest["hold"] = {"sizes": SIZES, "level": 0.4}
    write_manifest(folder, manifest)
    return folder


def declared(names: list[str]) -> str:
    return ", ".join(f"float[{','.join(map(str, SHAPES[n]))}] {n}" for n in names).replace("/", "_")
