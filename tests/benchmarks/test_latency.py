"""The instruments run and say what they should; figures are not asserted on noisy machines."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np

import edgedrag
from edgedrag.benchmarks.quality import describe, measure


def test_latency_report(edit_cli: Callable, tmp_path: Path) -> None:
    done = edit_cli("bench", "latency", "--repeats", "1", "--json", "-o", tmp_path / "report.json")
    assert done.returncode == 0, done.stderr
    report = json.loads(done.stdout)
    assert report == json.loads((tmp_path / "report.json").read_text())
    for photo in ("photo_512", "photo_12mp"):
        for drag in ("first_drag", "next_drag"):
            figures = report[photo][drag]
            stages = figures["stages_ms"]
            assert set(stages) == {"reference", "drag", "denoise", "decode", "composite"}
            assert 0 < figures["outside_stages_share"] < 1
    assert report["photo_512"]["next_drag"]["stages_ms"]["reference"] < report["photo_512"]["first_drag"]["median_ms"]
    assert 50 < report["process_512"]["peak_memory_mb"] < report["process_12mp"]["peak_memory_mb"] < 500
    assert report["backend"] == "cpu" and report["versions"]["onnxruntime"]


def test_quality_report(runtime: edgedrag.Runtime, tmp_path: Path) -> None:
    """On a made pair: the disc of one drag, moved without a trace."""
    rng = np.random.default_rng(0)
    source = rng.integers(0, 255, (256, 256, 3), dtype=np.uint8)
    target = np.roll(source, 10, 1)
    flow = np.broadcast_to(np.array([-10, 0], np.float16), (256, 256, 2))
    mask = np.zeros((256, 256), bool)
    mask[60:200, 60:200] = True
    arrays = {"source": source, "target": target, "flow": flow, "valid": np.ones_like(mask), "mask": mask}
    (tmp_path / "held_out").mkdir()
    np.savez(tmp_path / "held_out" / "clip.npz", **{k: v[None] for k, v in arrays.items()})
    figures, sheet = measure(runtime, tmp_path, per_clip=2, steps=None, seed=0)
    assert figures["pairs"] == 1 and figures["error_outside_mask"] == 0
    scores = figures["psnr_in_mask_db"]
    assert scores["inverse_distance_warp"] > scores["unedited"]
    assert sheet.shape == (256, 4 * 256, 3)
    assert "clip" in describe(figures)
