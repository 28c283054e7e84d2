"""Graphs of the placement `cuda`: read by the backend that asks for them, and given up where they fail."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from conftest import rewrite_manifest
from onnx import parser
from toy_bundle import write_toy_bundle

import edgedrag
from edgedrag.runtime.backends.onnxruntime import OnnxRuntimeCpu
from edgedrag.runtime.bundle.manifest import open_bundle
from edgedrag.runtime.files import sha256_of
from edgedrag.runtime.selection import select

DRAGS = [((60, 60), (70, 60))]


class CpuInPlaceOfCuda(OnnxRuntimeCpu):
    """ONNX Runtime on the CPU, asking for the CUDA provider's graphs as `OnnxRuntimeCuda` does."""

    placements = ("cuda", "ort")


def with_fused_decoder(folder: Path, body: str) -> Path:
    """The toy bundle with another decoder for the placement `cuda`."""
    write_toy_bundle(folder)
    text = '<ir_version: 8, opset_import: ["" : 18, "com.microsoft" : 1]> toy '
    model = parser.parse_model(f"{text} (float[1,3,H_8,W_8] latent) => (float[1,3,H,W] result) {{ {body} }}")
    file = folder / "decode.cuda.onnx"
    onnx.save(model, file)

    def add(manifest: dict[str, Any]) -> None:
        variants = manifest["stages"]["decode"][0]["variants"]
        variants.append({**variants[0], "placement": "cuda", "file": file.name, "sha256": sha256_of(file)})

    rewrite_manifest(folder, add)
    return folder


LARGE = "scales = Constant <value_floats = [1.0, 1.0, 8.0, 8.0]> ()  large = Resize (latent, , scales)"
RUNS = f"{LARGE}  low = Constant <value_float = 0.5> ()  result = Clip (large, low, low)"
FAILS = f"{LARGE}  result = com.microsoft.BiasAdd (large, large, large)"  # has no kernel for a CPU


def edited(folder: Path, backend: OnnxRuntimeCpu) -> np.ndarray:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(select, "open_backend", lambda *_: backend)
        runtime = edgedrag.open(folder, backend="cuda")
    return runtime.load(np.zeros((128, 128, 3), np.uint8)).drag(DRAGS).image


def test_only_who_asks_for_them_gets_them(tmp_path: Path) -> None:
    graph = next(graph for stage, graph in open_bundle(with_fused_decoder(tmp_path / "b", RUNS)).graphs()
                 if stage == "decode")  # fmt: skip
    files = {placement: graph.files("fp32", placement)["single"].file for placement in ("ort", "tensorrt", "cuda")}
    assert files == {"ort": "decode.onnx", "tensorrt": "decode.onnx", "cuda": "decode.cuda.onnx"}


def test_fused_graphs_run_where_they_can(tmp_path: Path) -> None:
    folder = with_fused_decoder(tmp_path / "b", RUNS)
    assert not np.array_equal(edited(folder, CpuInPlaceOfCuda()), edited(folder, OnnxRuntimeCpu()))


def test_fused_graphs_that_fail_give_way_to_plain_ones(tmp_path: Path) -> None:
    folder = with_fused_decoder(tmp_path / "b", FAILS)
    with pytest.warns(RuntimeWarning, match="graphs for 'cuda' fail, the plain ones run .*BiasAdd"):
        found = edited(folder, CpuInPlaceOfCuda())
    assert np.array_equal(found, edited(folder, OnnxRuntimeCpu()))
