"""INT8 beside fp32 in one run, on drags of clips."""

from __future__ import annotations

import json
from pathlib import Path

import click.testing
import numpy as np
import pytest
from pair_files import write_clip

from edgedrag.benchmarks.engines import precision
from edgedrag.metrics.drag_sets import find_samples, read_sample
from tools import clip_drags

pytestmark = pytest.mark.slow

MADE = ("move", "rotation", "scaling", "warp")


@pytest.fixture
def samples(tmp_path: Path, cat: np.ndarray) -> Path:
    """Drags of a training clip in DragBench's form."""
    write_clip(tmp_path / "cache" / "train" / "clip.npz", cat, ["video", "video", *MADE])
    write_clip(tmp_path / "cache" / "held_out" / "other.npz", cat, ["video"])
    arguments = [str(tmp_path / "cache"), "-o", str(tmp_path / "drags")]
    done = click.testing.CliRunner().invoke(clip_drags.main, arguments, catch_exceptions=False)
    assert "5 drags of 1 clips" in done.output, "one of each kind"
    return tmp_path / "drags"


def test_drags_of_clips_are_samples_like_dragbenchs(samples: Path) -> None:
    tasks = [read_sample(folder, 100.0) for folder in find_samples(samples).values()]
    assert len(tasks) == 5
    for task in tasks:
        assert task.photo.shape == (256, 256, 3) and task.mask.any() and len(task.points)


def test_the_report_has_ratios_damage_and_truth(samples: Path, tmp_path: Path) -> None:
    report = tmp_path / "report.json"
    arguments = ["embedded", "--drags", str(samples), "--pairs", str(tmp_path / "cache")]
    arguments += ["--steps", "1", "--repeats", "1", "-o", str(report)]
    click.testing.CliRunner().invoke(precision.main, arguments, catch_exceptions=False)
    found = json.loads(report.read_text())
    speed = found["speed"]
    assert speed["fp32_over_int8"]["denoise"] == pytest.approx(
        speed["median_ms"]["fp32"]["denoise"] / speed["median_ms"]["int8"]["denoise"], abs=0.02
    )
    assert found["bytes"]["int8"] < 0.35 * found["bytes"]["fp32_at_4_bytes"]
    for damage in found["by_steps"].values():
        assert damage["drags"] == 5 and damage["psnr_db"] > 38 and damage["stlpips"] < 0.005
    truth = found["against_truth"]
    assert truth["int8"]["pairs"] == truth["fp32"]["pairs"] == 3, "of both clips: the bundle learned from neither"
    assert truth["int8"]["psnr_db"] > truth["fp32"]["psnr_db"] - 0.1
