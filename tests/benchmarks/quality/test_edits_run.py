"""`edgedrag bench quality --jobs`: one run on all sets, of this checkout and of another."""

from __future__ import annotations

import json
import os
from pathlib import Path

import cv2
import numpy as np
import pytest
from click.testing import CliRunner
from conftest import REPOSITORY

import edgedrag
from edgedrag.benchmarks.quality.baselines import inverse_distance_warp
from edgedrag.benchmarks.quality.edits.measure import EditSets, measure
from edgedrag.benchmarks.quality.edits.report import describe
from edgedrag.benchmarks.quality.edits.scores import overlap
from edgedrag.benchmarks.quality.edits.subject import Subject
from edgedrag.cli import cli
from edgedrag.metrics.drag_sets import INSTRUCTION, MASK, PHOTO
from edgedrag.runtime.errors import BundleError, InputError
from edgedrag.runtime.options import RuntimeOptions

ROWS = ["unedited", "inverse_distance_warp", "edgedrag", "best_of_candidates"]


@pytest.fixture
def sets(tmp_path: Path, cat: np.ndarray) -> EditSets:
    """A pair whose truth is the plain warp, a sample, and a judged drag."""
    mask = np.zeros(cat.shape[:2], bool)
    mask[170:295, 190:310] = True
    points = np.array([[265, 240, 245, 250]], np.float32)
    truth = inverse_distance_warp(cat, points, mask)
    pictures = {"source": cat, "target": truth, "mask": np.where(mask, 255, 0).astype(np.uint8)}
    for name, picture in pictures.items():
        cv2.imwrite(str(tmp_path / f"{name}.png"), picture[..., ::-1] if picture.ndim == 3 else picture)
    job = {"name": "cat_0", "image": "source.png", "mask": "mask.png", "target": "target.png"}
    drags = [[[265, 240], [245, 250]]]
    (tmp_path / "jobs.jsonl").write_text(json.dumps({**job, "drags": drags}))
    (tmp_path / "judged.jsonl").write_text(json.dumps({"name": "nose", "image": "source.png", "drags": drags}))
    sample = tmp_path / "samples" / "cat"
    sample.mkdir(parents=True)
    for name, picture in ((PHOTO, cat), (MASK, pictures["mask"])):
        edgedrag.save_picture(sample / name, edgedrag.Picture(picture))
    (sample / INSTRUCTION).write_text(json.dumps({"points": [[265, 240], [245, 250]]}))
    return EditSets(tmp_path / "jobs.jsonl", tmp_path / "samples", tmp_path / "judged.jsonl")


@pytest.mark.slow
def test_all_sets_in_one_run(sets: EditSets) -> None:
    report, sheet = measure(RuntimeOptions(threads=1), REPOSITORY, sets, None, 0)
    assert {name: group["tasks"] for name, group in report["groups"].items()} == {
        "pairs": 1, "pulls": 1, "dragbench": 1, "judged": 1,
    }  # fmt: skip
    pairs, pulls, samples = (report["groups"][name] for name in ("pairs", "pulls", "dragbench"))
    assert all(list(group["methods"]) == ROWS for group in (pairs, pulls, samples))
    truth = pairs["methods"]["inverse_distance_warp"]
    assert truth["psnr_db"] > 60 and truth["stlpips"] == 0, "the plain warp is the truth here"
    assert pairs["methods"]["unedited"]["psnr_db"] < pairs["methods"]["edgedrag"]["psnr_db"]
    assert pulls["methods"]["unedited"]["gain_db"] == 0
    assert 0 < pulls["overlap"]["hold_iou"] <= pulls["overlap"]["hold_iou_best"] <= 1
    assert samples["methods"]["unedited"]["if"] == 1 and samples["methods"]["unedited"]["md_px"] > 15
    assert samples["methods"]["edgedrag"]["md_px"] < 6
    assert report["failed"] == {} and report["kind"] == "edits" and len(report["by_task"]) == 4
    assert sheet is not None and sheet.dtype == np.uint8 and "one-finger pulls" in describe(report)
    assert json.loads(json.dumps(report)) == report and str(Path.home()) not in json.dumps(report)


def test_what_cannot_be_measured_is_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no checkout of edgedrag"):
        Subject(RuntimeOptions(), tmp_path, tmp_path)
    with pytest.raises(BundleError, match="nowhere: no such bundle folder"):
        Subject(RuntimeOptions(bundle="nowhere"), None, tmp_path)


def test_overlap() -> None:
    one, other = np.zeros((2, 4, 4), bool)
    one[:2], other[1:3] = True, True
    assert overlap(one, other) == pytest.approx(1 / 3) and overlap(one & ~one, other & ~other) == 0


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["--jobs", "x", "--pairs", "y"], "go together with --dragbench"),
        (["--source", "x", "--dragbench", "y"], "--source needs --jobs or --judged"),
        (["--jobs", "x", "--sheet", "y.png"], "--sheet needs --judged"),
        ([], "give one of --pairs and --dragbench, or --jobs, --judged or both"),
    ],
)
def test_options_that_do_not_go_together(arguments: list[str], says: str) -> None:
    result = CliRunner().invoke(cli, ["bench", "quality", *arguments])
    assert result.exit_code == 2 and says in " ".join(result.output.split()), os.linesep.join((result.output, says))
