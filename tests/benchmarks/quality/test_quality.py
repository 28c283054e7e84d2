"""`edgedrag bench quality`: what it reads, what it runs, what it reports."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import click.testing
import numpy as np
import pytest
from pair_files import write_clip

import edgedrag
from edgedrag.benchmarks.quality import methods
from edgedrag.benchmarks.quality.measure import Request, describe, measure
from edgedrag.benchmarks.quality.methods import OWN, FullEdit, LineUp, line_up, make
from edgedrag.benchmarks.quality.pairs import held_out_tasks, unseen_clips
from edgedrag.benchmarks.quality.pairs_quality import score_all
from edgedrag.cli import cli
from edgedrag.generator.training import checkpoint
from edgedrag.metrics.drag_sets import INSTRUCTION, MASK, PHOTO, find_samples, read_sample
from edgedrag.metrics.stlpips import STLPIPS
from edgedrag.runtime.errors import BundleError, InputError

pytestmark = pytest.mark.slow

MADE = ("move", "rotation")
PAIR_METRICS = {"psnr_db", "ssim", "stlpips", "sharpness_moved", "sharpness_revealed", "seconds", "error_outside_mask"}
DRAG_METRICS = {"md_px", "md_whole_px", "md_regiondrag", "if", "sharpness", "error_outside_mask", "seconds"}
ROWS = [
    "unedited", "inverse_distance_warp", "bidirectional_warp", "without_denoise",
    "edgedrag_1", "edgedrag_2", "edgedrag_4", "edgedrag",
]  # fmt: skip
NOT_HERE = {"one_step_regression", "teacher", "teacher_4", "teacher_1"}


@pytest.fixture
def cache(tmp_path: Path, cat: np.ndarray) -> Path:
    """A clip mined before there were kinds, and one with pairs of two made kinds."""
    write_clip(tmp_path / "cache" / "held_out" / "old.npz", cat, None)
    write_clip(tmp_path / "cache" / "held_out" / "new.npz", cat, ["video", "video", *MADE, *MADE])
    return tmp_path / "cache"


@pytest.fixture
def samples(tmp_path: Path, cat: np.ndarray) -> Path:
    """Two good samples, at one level and at two, and one of each damage."""
    folder = tmp_path / "samples"
    mask = np.zeros(cat.shape[:2], np.uint8)
    mask[170:295, 190:310] = 255
    points = [[265, 240], [245, 250], [230, 230], [215, 240]]
    for name in ("good", "kind/good", "kind/cut short", "kind/no mask", "kind/odd", "kind/not json", "kind/outside"):
        place = folder / name
        place.mkdir(parents=True)
        edgedrag.save_picture(place / PHOTO, edgedrag.Picture(cat))
        edgedrag.save_picture(place / MASK, edgedrag.Picture(mask))
        (place / INSTRUCTION).write_text(json.dumps({"prompt": "a cat", "points": points}))
    (folder / "kind/cut short" / PHOTO).write_bytes((folder / "good" / PHOTO).read_bytes()[:5000])
    (folder / "kind/no mask" / MASK).unlink()
    (folder / "kind/odd" / INSTRUCTION).write_text(json.dumps({"points": points[:3]}))
    (folder / "kind/not json" / INSTRUCTION).write_text("{")
    (folder / "kind/outside" / INSTRUCTION).write_text(json.dumps({"points": [[5, 5], [9, 9]]}))
    return folder


REQUEST = Request(None, None, None, 2, {}, False, None, 0, 100.0)


def test_pairs_report(runtime: edgedrag.Runtime, cache: Path) -> None:
    report, sheet = measure(runtime, replace(REQUEST, pairs=cache))
    assert (report["kind"], report["steps"], report["pairs"], report["clips"]) == ("pairs", 1, 3, 2)
    assert list(report["methods"]) == ROWS and set(report["left_out"]) == NOT_HERE
    table = report["methods"]
    assert all(set(figures) == PAIR_METRICS for figures in table.values())
    assert all(figures["error_outside_mask"] == 0 for figures in table.values())
    warp = table["inverse_distance_warp"]
    assert warp["psnr_db"] > table["unedited"]["psnr_db"] and warp["stlpips"] < table["unedited"]["stlpips"]
    assert table["unedited"]["ssim"] < warp["ssim"] < 1
    against = report["against_inverse_distance_warp"]
    assert against["psnr_gain_db"] == pytest.approx(table[OWN]["psnr_db"] - warp["psnr_db"], abs=2e-3)
    assert against["stlpips_ratio"] == pytest.approx(table[OWN]["stlpips"] / warp["stlpips"], rel=1e-2)
    assert {kind: group["pairs"] for kind, group in report["by_kind"].items()} == {"video": 3, **dict.fromkeys(MADE, 1)}
    assert report["all_kinds"]["pairs"] == 3 + len(MADE)
    share = {kind: group["pairs"] / report["all_kinds"]["pairs"] for kind, group in report["by_kind"].items()}
    for row, figures in report["all_kinds"]["methods"].items():
        parts = sum(share[kind] * report["by_kind"][kind]["methods"][row]["psnr_db"] for kind in share)
        assert abs(figures["psnr_db"] - parts) < 2e-3, row
    assert report["by_kind"]["video"]["methods"] == table != report["by_kind"]["move"]["methods"]
    assert {clip: group["pairs"] for clip, group in report["by_clip"].items()} == {"new": 2, "old": 1}
    assert sum(report["verdicts"][OWN].values()) == 3 and set(report["metric_weights_sha256"]) == {"stlpips"}
    assert report["checkpoint_sha256"] and report["versions"]["torch"]
    assert sheet.shape[1] == 5 * 260 and sheet.dtype == np.uint8  # the drag, two warps, edgedrag, the truth
    assert json.loads(json.dumps(report)) == report
    for words in ("inverse_distance_warp", "rotation (1 pairs)", "old (1 pairs)", "left out: teacher"):
        assert words in describe(report)


def test_pair_metrics_depend_on_the_mask_alone(cache: Path) -> None:
    """What a method does outside the mask is an error of its own and changes no other figure."""
    task = next(held_out_tasks(unseen_clips(cache, 1, ()), seed=0))
    assert task is not None
    assert task.moved.any() and task.revealed.any() and not (task.moved & task.revealed).any()
    method = methods.Baseline(methods.BASELINES["unedited"])
    made = make(method, task)
    spoilt = np.where(task.mask[..., None], made.image, 255 - made.image)
    stlpips = STLPIPS()
    clean, dirty = (score_all(task, {method: m}, stlpips)[method] for m in (made, replace(made, image=spoilt)))
    assert (clean.psnr, clean.ssim, clean.stlpips) == (dirty.psnr, dirty.ssim, dirty.stlpips)
    assert clean.outside == 0 < dirty.outside
    truth = score_all(task, {method: replace(made, image=task.truth)}, stlpips)[method]
    assert truth.stlpips == 0 and truth.moved[0] == truth.moved[1] and truth.revealed[0] == truth.revealed[1] > 0


def test_dragbench_report(runtime: edgedrag.Runtime, samples: Path, capsys: pytest.CaptureFixture) -> None:
    report, sheet = measure(runtime, replace(REQUEST, dragbench=samples))
    assert (report["kind"], report["samples"], report["drags"], report["skipped"]) == ("dragbench", 2, 4, 5)
    assert set(report["skipped_samples"]) == {
        "kind/cut short", "kind/no mask", "kind/odd", "kind/not json", "kind/outside",
    }  # fmt: skip
    assert all(name in capsys.readouterr().err for name in ["kind/cut short"])
    assert list(report["methods"]) == ROWS
    table = report["methods"]
    assert all(set(figures) == DRAG_METRICS for figures in table.values())
    assert (table["unedited"]["if"], table["unedited"]["sharpness"]) == (1, 1)
    lengths = np.hypot([20, 15], [10, 10])  # XFeat finds a handle again within a few pixels
    assert table["unedited"]["md_px"] == pytest.approx(lengths.mean(), abs=4)
    lengths = np.hypot(np.array([20, 15]) / 451, np.array([10, 10]) / 300)
    assert table["unedited"]["md_regiondrag"] == pytest.approx(lengths.mean(), abs=4 / 300)
    assert table["inverse_distance_warp"]["md_px"] < 0.5 * table["unedited"]["md_px"]
    assert table["inverse_distance_warp"]["if"] < 1 and table[OWN]["error_outside_mask"] == 0
    assert set(report["by_sample"]) == {"good", "kind/good"}
    row = report["by_sample"]["kind/good"]
    assert row[OWN]["verdict"] in ("good", "doubtful", "bad") and "verdict" not in row["unedited"]
    assert set(report["metric_weights_sha256"]) == {"stlpips", "xfeat"}
    assert sheet.shape[1] == 4 * 388
    assert json.loads(json.dumps(report)) == report and "2 samples, 4 drags, 5 samples skipped" in describe(report)


def test_nothing_usable_is_an_input_error(runtime: edgedrag.Runtime, samples: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no samples"):
        find_samples(tmp_path / "none")
    for place in ("good", "kind/good"):
        (samples / place / INSTRUCTION).unlink()
        with pytest.raises(InputError, match=INSTRUCTION):
            read_sample(samples / place, 100.0)
    with pytest.raises(InputError, match="none of 7 samples"):
        measure(runtime, replace(REQUEST, dragbench=samples))
    with pytest.raises(InputError, match="no pairs"):
        unseen_clips(tmp_path, 1, ())
    (tmp_path / "held_out").mkdir()
    (tmp_path / "held_out" / "clip.npz").write_bytes(b"PK no archive")
    with pytest.raises(InputError, match=r"clip\.npz"):
        unseen_clips(tmp_path, 1, ())


def test_what_was_learned_from_is_not_measured_on(cache: Path, cat: np.ndarray) -> None:
    """A clip that no split names lies in train/, but a bundle that never saw it can be measured on it."""
    for name in ("known.mp4", "new.mp4"):
        write_clip(cache / "train" / f"{name}.npz", cat, None)
    names = [file.stem for file, _ in unseen_clips(cache, 1, ["known.mp4"])]
    assert names == ["new", "old", "new.mp4"]
    assert [file.stem for file, _ in unseen_clips(cache, 1, ())] == ["new", "old"], (
        "the bundle does not list its training clips"
    )


def test_a_configuration_runs_once(runtime: edgedrag.Runtime, cache: Path) -> None:
    rows = line_up(runtime, 2, 0, {}, None)
    assert rows.steps == 2 and rows.methods[OWN] == rows.methods["edgedrag_2"] != rows.methods["edgedrag_1"]
    task = next(held_out_tasks(unseen_clips(cache, 1, ()), seed=0))
    assert task is not None
    assert len(rows.make_all(task)) == len(ROWS) - 1


def test_compared_bundles(runtime: edgedrag.Runtime, toy: Path) -> None:
    rows = line_up(runtime, None, 0, {"teacher": str(toy), "other": "embedded"}, None)
    assert list(rows.methods) == [*ROWS[:3], "teacher", "teacher_4", "teacher_1", "other", *ROWS[3:]]
    assert rows.methods["teacher"] == rows.methods["teacher_4"] != rows.methods["teacher_1"]  # its default is 4
    assert set(rows.left_out) == {"one_step_regression"}
    for name in ("edgedrag", "edgedrag_2", "teacher_1", "unedited", "without_denoise"):
        with pytest.raises(InputError, match=name):
            line_up(runtime, None, 0, {name: str(toy)}, None)
    with pytest.raises(BundleError):
        line_up(runtime, None, 0, {"other": "none"}, None)


def test_a_bundle_without_flow_has_no_row_for_it(toy: Path) -> None:
    rows = line_up(edgedrag.open(toy), None, 0, {}, None)
    assert "without_denoise" not in rows.methods and "flow" in rows.left_out["without_denoise"]
    with pytest.raises(InputError, match="steps"):
        line_up(edgedrag.open(toy), 999, 0, {}, None)


def test_relatives_beside_the_checkpoint_are_exported(
    runtime: edgedrag.Runtime, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The teacher is there, the regression is not. The export itself has its own tests."""
    (tmp_path / "teacher.safetensors").write_bytes(b"")
    monkeypatch.setattr(checkpoint, "SHIPPED", tmp_path / "embedded.safetensors")
    exported: list[Path] = []

    def export_embedded(file: Path, folder: Path) -> None:
        exported.append(file)
        shutil.copytree(runtime.bundle.folder, folder)

    monkeypatch.setattr("edgedrag.export.embedded.export_embedded", export_embedded)
    (tmp_path / "bundles").mkdir()
    rows: LineUp = line_up(runtime, None, 0, {}, tmp_path / "bundles")
    assert exported == [tmp_path / "teacher.safetensors"]
    assert [*rows.left_out] == ["one_step_regression"]
    assert rows.left_out["one_step_regression"].startswith("no checkpoint generator/checkpoints/regression.safetensors")
    assert [m.steps for n, m in rows.methods.items() if "teacher" in n and isinstance(m, FullEdit)] == [1, 4, 1]


def test_command_line(edit_cli: Callable, runtime: edgedrag.Runtime, cat: np.ndarray, tmp_path: Path) -> None:
    write_clip(tmp_path / "held_out" / "clip.npz", cat, None)
    report, sheet = tmp_path / "report.json", tmp_path / "page.png"
    arguments = ["--pairs", tmp_path, "--per-clip", "1", "--bundle", runtime.bundle.folder, "--steps", "2"]
    done = edit_cli("bench", "quality", *arguments, "--json", "-o", report, "--sheet", sheet)
    assert done.returncode == 0, done.stderr
    figures = json.loads(done.stdout)
    assert figures == json.loads(report.read_text()) and figures["steps"] == 2
    assert figures["methods"]["edgedrag"] == figures["methods"]["edgedrag_2"]
    assert edgedrag.load_picture(sheet).pixels.ndim == 3


@pytest.mark.parametrize(
    "options",
    [
        [],
        ["--pairs", "a", "--dragbench", "b"],
        ["--pairs", "a", "--compare", "teacher"],
        ["--pairs", "a", "--compare", "=b"],
        ["--pairs", "a", "--per-clip", "0"],
    ],
)
def test_usage_errors(options: list[str]) -> None:
    done = click.testing.CliRunner().invoke(cli, ["bench", "quality", *options])
    assert done.exit_code == 2 and "Usage" in done.output


def test_missing_things_are_exit_code_2(edit_cli: Callable, cache: Path, tmp_path: Path) -> None:
    for options, words in (
        (["--pairs", tmp_path], "no pairs"),
        (["--pairs", cache, "--weights", tmp_path], "alex_shift_tolerant.pth"),
        (["--pairs", cache, "-o", tmp_path / "no" / "report.json"], "no such folder"),
    ):
        done = edit_cli("bench", "quality", *options)
        assert done.returncode == 2 and words in done.stderr and "Traceback" not in done.stderr
