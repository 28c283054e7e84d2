"""LightningDrag in INT8: both guidance branches, with large graphs in memory one at a time."""

from __future__ import annotations

import json
import weakref
from pathlib import Path
from typing import Any

import onnxruntime as ort
import pytest
from conftest import EXAMPLES
from lightningdrag_bundles import fp32

import edgedrag
from edgedrag.calibration.calibrate import Request as CalibrationRequest
from edgedrag.calibration.calibrate import calibrate
from edgedrag.calibration.graphs.layers import find_layers
from edgedrag.calibration.runs import inner, workbench
from edgedrag.calibration.runs.damage import Trial
from edgedrag.calibration.runs.drags import read_drags
from edgedrag.calibration.runs.record import record
from edgedrag.calibration.search import Budget
from edgedrag.export.engines.build import Request as BuildRequest
from edgedrag.export.engines.build import build_engines
from edgedrag.metrics.pixels import psnr_in_mask
from edgedrag.metrics.stlpips import STLPIPS
from edgedrag.runtime.bundle.manifest import open_bundle

__all__ = ["fp32"]
pytestmark = pytest.mark.slow


def calibration_of(drags: Path) -> CalibrationRequest:
    """On one drag, which is written to the file `drags`; one layer of the UNet is tried alone."""
    job = {"name": "cat", "image": str(EXAMPLES / "chelsea.png"), "drags": [[[265, 240], [240, 248]]]}
    drags.write_text(json.dumps(job) + "\n")
    return CalibrationRequest(drags, Budget(20.0, 1.0), (1,), 0, 1, r"unet/.*unet\.conv_in$", 100.0)


@pytest.fixture(scope="module")
def int8(fp32: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict]:
    """The same in INT8, and its recipe."""
    folder = tmp_path_factory.mktemp("int8")
    return folder / "int8", calibrate(fp32, calibration_of(folder / "jobs.jsonl"), folder / "int8")


def test_int8_of_both_guidance_branches(fp32: Path, int8: tuple[Path, dict]) -> None:
    folder, recipe = int8
    layers = recipe["graphs"]["unet"]["layers"]
    assert len(layers) > 90 and all(layer["precision"] == "int8" for layer in layers)
    assert sum(layer["alone"] is not None for layer in layers) == 1, "the others were not tried"
    bundle = open_bundle(folder)
    unet = next(graph for _, graph in bundle.graphs() if graph.name == "unet")
    files = {(v.placement, v.branch): v for v in unet.variants if v.precision == "int8"}
    assert set(files) == {(p, b) for p in ("ort", "tensorrt") for b in ("single", "pair")}
    assert len({variant.external for variant in files.values()}) == 1, "one file of weights for all"
    weights = sum((bundle.folder / name).stat().st_size for name, _ in files["ort", "pair"].external)
    assert weights < 0.35 * (fp32 / "unet.data").stat().st_size
    # One step is guided, so the pair runs; its INT8 must be as near to fp32 as what was measured.
    assert recipe["figures"]["chosen"]["psnr_db"] > 30
    photos = [edgedrag.open(bundle.folder, precision=p).load(EXAMPLES / "chelsea.png") for p in ("int8", "fp32")]
    edits = [photo.drag([((265, 240), (240, 248))], steps=1) for photo in photos]
    assert psnr_in_mask(edits[0].image, edits[1].image, edits[1].mask) > 30


def test_large_graphs_are_in_memory_one_at_a_time(fp32: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[weakref.ref[ort.InferenceSession]] = []

    class Watched(ort.InferenceSession):
        def __init__(self, *arguments: Any, **options: Any):
            assert all(session() is None for session in made), "another graph is in memory still"
            super().__init__(*arguments, **options)
            made.append(weakref.ref(self))

    monkeypatch.setattr(ort, "InferenceSession", Watched)
    monkeypatch.setattr(workbench, "LARGE", 0)
    monkeypatch.setattr(inner, "GROUP", 2**22)  # not all tensors of the pair come in one run
    drags = read_drags(calibration_of(tmp_path / "jobs.jsonl").drags, (1,), 0, 100.0)
    bench = workbench.Workbench(open_bundle(fp32), tmp_path)
    layers = {name: find_layers(bench.model(name)) if name == "unet" else () for name in bench.graphs}
    record(bench, layers, dict.fromkeys(layers, ()), drags.drags, tmp_path / "state.npz")
    recorded = len(made)
    assert recorded > len(bench.slots), "the pair's tensors came in groups"
    unchanged = {place: bench.compile("unet", bench.model(*place)) for place in bench.slots if place[0] == "unet"}
    damage = Trial(bench, drags.drags, STLPIPS()).measure(unchanged)
    assert damage.psnr_db > 60 and len(made) > recorded


def test_tensorrt_rtx_builds_every_graph_in_int8(int8: tuple[Path, dict], tmp_path: Path) -> None:
    pytest.importorskip("tensorrt_rtx", reason="tensorrt-rtx is not installed; there is none for this platform")
    bundle = open_bundle(int8[0])
    request = BuildRequest("tensorrt-rtx", ("sm_86",), "int8", ((256, 256),))
    rows = {(row["graph"], row["branch"]): row for row in build_engines(bundle, request, tmp_path)}
    assert len(rows) == 9
    unet, kept = rows["unet", "single"], sum((int8[0] / name).stat().st_size for name in ("unet.int8.data",))
    assert unet["int8_layers"] > 60 and rows["unet", "pair"]["int8_layers"] > 60
    assert 0.5 * kept < unet["weight_bytes"] < 1.5 * kept, "INT8 stays INT8"
    assert all(row["activation_bytes"] < 1 << 28 for row in rows.values())
