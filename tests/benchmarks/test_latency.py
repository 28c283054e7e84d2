"""The report of latency says what it should; figures are not asserted on noisy machines."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path


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
