"""Writes a bundle's golden drag: see runtime/selection/self_test.py."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np

from edgedrag.export.bundle_writer import write_manifest
from edgedrag.export.scene import POINTS, make_mask, make_picture
from edgedrag.runtime.backends.onnxruntime import OnnxRuntimeCpu
from edgedrag.runtime.bundle.graphs import DRAG_STAGES, HOLD
from edgedrag.runtime.bundle.manifest import Bundle, open_bundle
from edgedrag.runtime.drag.stages import Stages, files
from edgedrag.runtime.errors import EdgedragError
from edgedrag.runtime.files import sha256_of
from edgedrag.runtime.hold.run import HoldRun
from edgedrag.runtime.hold.view import PhotoView
from edgedrag.runtime.selection.self_test import psnr, run_golden, sample

FILE = "golden.npz"
LEAST_DB = {"fp32": 45.0, "fp16": 35.0, "bf16": 30.0, "int8": 30.0}  # required of other engines, against fp32 here
SLACK = 6.0  # dB; INT8 on another engine may be this much lower than here


def golden_inputs(height: int, width: int, steps: int) -> dict[str, np.ndarray]:
    """The drag: picture, mask, points in pixels, steps."""
    return {
        "picture": make_picture(height, width),
        "mask": make_mask(height, width),
        "points": POINTS * ([width, height] * 2),
        "steps": np.array(steps),
    }


def write_golden(folder: Path, golden: dict[str, np.ndarray], least: dict[str, float] | None = None) -> None:
    """Write a golden drag and its results to a bundle's folder, and enter it in the manifest."""
    np.savez_compressed(folder / FILE, **golden)  # type: ignore[arg-type]
    manifest = json.loads((folder / "bundle.json").read_text(encoding="utf-8"))
    manifest["golden"] = {
        "file": FILE,
        "sha256": sha256_of(folder / FILE),
        "least_db": {**LEAST_DB, **(least or {})},
    }
    write_manifest(folder, manifest)


def _hold(bundle: Bundle, stages: Stages, golden: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """What the hold's graphs answer at the first handle: the point, the answers, and samples of the graphs' tensors."""
    run, view, point = HoldRun(bundle, stages), PhotoView(golden["picture"]), golden["points"][0, :2]
    answers, tensors = run.answers(view, point), run.tensors(view, point)
    if answers is None:
        raise EdgedragError("the hold's graphs answer with values that are not numbers")
    samples = {
        f"{graph.name}/{tensor.name}": sample(tensors[tensor.name])
        for graph in bundle.stages[HOLD]
        for tensor in graph.outputs
    }
    return {"hold_point": point, "hold_answers": sample(answers), **samples}


def add_golden(folder: Path) -> None:
    """Add a golden drag to a bundle that ONNX Runtime can run here; its fp32 graphs give the expected results."""
    bundle, backend = open_bundle(folder), OnnxRuntimeCpu()
    golden = golden_inputs(*bundle.sizes[0], bundle.sampler["default_steps"])
    golden["edited"], run = run_golden(bundle, Stages(bundle, backend, "fp32"), golden)
    if bundle.hold_sizes:
        golden |= _hold(bundle, Stages(bundle, backend, "fp32"), golden)
    # tensor -> the last graph that computes it
    makers = {tensor.name: graph.name for _, graph in bundle.graphs(DRAG_STAGES) for tensor in graph.outputs}
    for tensor, graph_name in makers.items():
        golden[f"{graph_name}/{tensor}"] = sample(backend.download(run.tensors[tensor]))
    least = {}
    if all(files(graph, backend, "int8") for _, graph in bundle.graphs()):
        rounded, _ = run_golden(bundle, Stages(bundle, backend, "int8"), golden)
        psnr_db = psnr(rounded, golden["edited"], golden["mask"])
        least["int8"] = round(min(LEAST_DB["int8"], psnr_db - SLACK), 1)
    write_golden(folder, golden, least)
