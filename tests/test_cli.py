"""The command line as people and scripts meet it: files, JSON, exit codes."""

from __future__ import annotations

import importlib.util
import json
import subprocess
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from conftest import EXAMPLES, rewrite_manifest

import edgedrag
from edgedrag.runtime.backends.onnxruntime import OnnxRuntimeCpu

Cli = Callable[..., "subprocess.CompletedProcess[str]"]
CAT = EXAMPLES / "chelsea.png"
DRAG = ["--drag", "265,240:245,250"]


@pytest.fixture
def mask(tmp_path: Path) -> Path:
    pixels = np.zeros((300, 451), np.uint8)
    pixels[170:295, 190:310] = 255
    edgedrag.save_picture(tmp_path / "mask.png", edgedrag.Picture(pixels))
    return tmp_path / "mask.png"


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        (["drag", "--help"], 0),
        (["drag", CAT, "--drag", "1,2"], 2),
        (["drag", CAT, *DRAG, "--bundle", "none"], 3),
    ],
)
def test_a_process_ends_as_the_command_does(
    edit_cli: Cli, edit_process: Cli, tmp_path: Path, arguments: list[str], code: int
) -> None:
    """Exit code and texts; other tests run commands in their own process, where that makes no difference."""
    here, process = (run(*arguments, cwd=tmp_path) for run in (edit_cli, edit_process))
    assert (here.returncode, here.stdout, here.stderr) == (process.returncode, process.stdout, process.stderr)
    assert process.returncode == code and "Traceback" not in process.stderr


def test_drag_writes_what_it_says(edit_process: Cli, tmp_path: Path, mask: Path) -> None:
    out, sheet, used = tmp_path / "out.png", tmp_path / "sheet.png", tmp_path / "used.png"
    done = edit_process("drag", CAT, *DRAG, "--mask", mask, "-o", out, "--sheet", sheet, "--mask-out", used, "--json")
    assert done.returncode == 0, done.stderr
    report = json.loads(done.stdout)
    assert list(report) == [
        "output", "width", "height", "bundle", "backend", "precision", "steps", "seed",
        "motion", "outside_exact", "timings_ms", "checks", "fallback",
    ]  # fmt: skip
    assert set(report["timings_ms"]) == {"load", "reference", "drag", "denoise", "decode", "composite", "total"}
    assert set(report["checks"]) == {"verdict", "reasons", "codes", "landing_error_px", "boxes", "risk"}
    assert report["checks"]["verdict"] in ("good", "doubtful", "bad")
    assert (report["output"], report["width"], report["height"]) == (str(out), 451, 300)
    assert (report["bundle"], report["backend"], report["precision"]) == (
        "embedded",
        "cpu",
        OnnxRuntimeCpu().precisions[0],
    )
    assert report["outside_exact"] is True
    before, after = (edgedrag.load_picture(p).pixels for p in (CAT, out))
    outside = edgedrag.load_picture(mask).pixels == 0
    assert np.array_equal(before[outside], after[outside]) and not np.array_equal(before, after)
    assert np.array_equal(edgedrag.load_picture(used).pixels == 0, outside)
    assert edgedrag.load_picture(sheet).pixels.shape[1] > 3 * 400


def test_jpeg_warns_and_says_so(edit_cli: Cli, tmp_path: Path) -> None:
    done = edit_cli("drag", CAT, *DRAG, "-o", tmp_path / "out.jpg", "--json")
    assert json.loads(done.stdout)["outside_exact"] is False
    assert "JPEG changes pixels" in done.stderr


def test_default_output_is_lossless_and_here(edit_cli: Cli, tmp_path: Path) -> None:
    done = edit_cli("drag", CAT, *DRAG, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert [p.name for p in tmp_path.iterdir()] == ["chelsea-edited.png"]


BAD = {
    "no drag": (["drag", CAT], "--drag"),
    "drag of another form": (["drag", CAT, "--drag", "1,2"], "X,Y:X,Y"),
    "not a number": (["drag", CAT, "--drag", "nan,2:3,4"], "finite"),
    "handle outside": (["drag", CAT, "--drag", "9999,2:3,4"], "outside the photo"),
    "no photo": (["drag", "none.png", *DRAG], "none.png"),
    "no photo, but an output": (["drag", "none.png", *DRAG, "-o", "{tmp}/own.png"], "none.png"),
    "not an image": (["drag", "{tmp}/text.png", *DRAG], "not an image"),
    "steps": (["drag", CAT, *DRAG, "--steps", "0"], "steps"),
    "backend": (["drag", CAT, *DRAG, "--backend", "abacus"], "abacus"),
    "no mask file": (["drag", CAT, *DRAG, "--mask", "none.png"], "none.png"),
    "mask of another size": (["drag", CAT, *DRAG, "--mask", EXAMPLES / "coffee.png"], "mask"),
    "output folder": (["drag", CAT, *DRAG, "-o", "{tmp}/no/out.png"], "no such folder"),
    "output suffix": (["drag", CAT, *DRAG, "-o", "{tmp}/out.bmp"], "write to one of"),
    "output is the photo": (["drag", "{tmp}/own.png", *DRAG, "-o", "{tmp}/own.png"], "photo itself"),
    "sheet folder": (["drag", CAT, *DRAG, "-o", "{tmp}/out.png", "--sheet", "{tmp}/no/s.png"], "no such folder"),
    "too large": (["drag", CAT, *DRAG, "-o", "{tmp}/out.png", "--max-megapixels", "0.01"], "megapixels"),
    "batch folder": (["batch", "{tmp}/jobs.jsonl", "-o", "{tmp}/own.png"], "the folder cannot be made"),
    "batch file": (["batch", "{tmp}/none.jsonl", "-o", "{tmp}"], "none.jsonl"),
    "no videos": (["learn", "pairs", "{tmp}/empty", "-o", "{tmp}/cache"], "no clips or pictures"),
    "no config": (["learn", "train", "{tmp}/none.json"], "none.json"),
    "no config's text": (["learn", "train", "{tmp}/text.png"], "not a training config"),
    "no teacher": (["learn", "distill", "{tmp}/none.safetensors"], "none.safetensors"),
    "steps of a student": (
        ["learn", "distill", "{tmp}/none.safetensors", "--steps", "one"],
        "'one' is not a list of numbers",
    ),
    "sizes of batches": (
        ["learn", "distill", "{tmp}/none.safetensors", "--sizes", "256"],
        "'256' is not a list like 256x20:0.75",
    ),
    "sizes that are no whole": (
        ["learn", "distill", "{tmp}/none.safetensors", "--sizes", "256x2:0.5"],
        "must sum to 1",
    ),
    "steps off the path": (["learn", "distill", "{tmp}/none.safetensors", "--steps", "3"], "does not divide"),
    "no weights to average": (
        ["learn", "average", "{tmp}/none.safetensors", CAT, "-o", "{tmp}/mean"],
        "none.safetensors",
    ),
    "share of a mean": (["learn", "average", CAT, CAT, "-o", "{tmp}/mean", "--motion", "2"], "0<=x<=1"),
    "no site videos": (["learn", "finetune", "{tmp}/none.mp4", "-o", "{tmp}/site"], "none.mp4"),
}


@pytest.mark.parametrize("case", sorted(BAD))
def test_bad_input_is_exit_code_2_and_writes_nothing(edit_cli: Cli, tmp_path: Path, case: str) -> None:
    arguments, words = BAD[case]
    if arguments[0] == "learn" and importlib.util.find_spec("torch") is None:
        pytest.skip("PyTorch is not installed here")
    (tmp_path / "text.png").write_text("no image")
    (tmp_path / "own.png").write_bytes(CAT.read_bytes())
    (tmp_path / "jobs.jsonl").write_text("")
    (tmp_path / "empty").mkdir()
    before = sorted(p.name for p in tmp_path.iterdir())
    done = edit_cli(*(str(a).replace("{tmp}", str(tmp_path)) for a in arguments), cwd=tmp_path)
    assert done.returncode == 2, done.stderr
    assert words in done.stderr and "Traceback" not in done.stderr
    assert not done.stdout
    assert sorted(p.name for p in tmp_path.iterdir()) == before
    assert (tmp_path / "own.png").read_bytes() == CAT.read_bytes()


@pytest.mark.parametrize(
    "options",
    [
        ["--bundle", "none"],
        ["--backend", "tensorrt"],
        ["--backend", "cuda"],
        ["--backend", "cpu", "--precision", "bf16"],
    ],
)
def test_no_engine_or_bundle_is_exit_code_3(edit_cli: Cli, tmp_path: Path, options: list[str]) -> None:
    done = edit_cli("drag", CAT, *DRAG, "-o", tmp_path / "out.png", *options)
    assert done.returncode == 3, done.stderr
    assert done.stderr.startswith("error: ") and "Traceback" not in done.stderr
    assert not list(tmp_path.iterdir())


def test_damaged_bundle_is_exit_code_3(edit_cli: Cli, tmp_path: Path, toy: Path) -> None:
    rewrite_manifest(toy, lambda m: m.update(format_version=9))
    done = edit_cli("drag", CAT, *DRAG, "-o", tmp_path / "out.png", "--bundle", toy)
    assert done.returncode == 3 and "upgrade" in done.stderr


def test_batch_goes_on_after_bad_jobs_and_resumes(edit_cli: Cli, tmp_path: Path, mask: Path) -> None:
    (tmp_path / "cat.png").write_bytes(CAT.read_bytes())
    drags = [[[265, 240], [245, 250]]]
    lines = [
        json.dumps({"name": "a", "image": str(CAT), "mask": str(mask), "drags": drags, "seed": 4, "note": "ignored"}),
        json.dumps({"name": "b", "image": "cat.png", "drags": drags}),
        "not json",
        json.dumps({"name": "../c", "image": str(CAT), "drags": drags}),
        json.dumps({"name": "d", "image": "none.png", "drags": drags}),
        json.dumps({"name": "e", "image": str(CAT), "drags": [[1, 2]]}),
        json.dumps({"name": "a", "image": str(CAT), "drags": drags}),
        json.dumps({"name": "f", "image": str(CAT), "mask": str(mask), "drags": [[[5, 5], [9, 9]]]}),
        "",
        json.dumps(["g"]),
    ]
    jobs = tmp_path / "jobs.jsonl"
    jobs.write_text("\n".join(lines))
    outdir = tmp_path / "out"
    outdir.mkdir()
    done = edit_cli("batch", jobs, "-o", outdir, "--json")
    assert done.returncode == 1
    assert "Traceback" not in done.stderr and "2 done, 0 were there, 7 failed" in done.stderr
    reports = [json.loads(line) for line in done.stdout.splitlines()]
    assert len(reports) == 9
    assert [r["name"] for r in reports if "error" not in r] == ["a", "b"]
    assert reports[0]["seed"] == 4 and reports[0]["output"] == str(outdir / "a.png")
    assert sorted(p.name for p in outdir.iterdir()) == ["a.png", "b.png"]
    again = edit_cli("batch", jobs, "-o", outdir, "--json")
    assert "0 done, 2 were there, 7 failed" in again.stderr
    assert json.loads(again.stdout.splitlines()[0])["skipped"] is True
    jobs.write_text("\n".join(lines[:2]))
    assert edit_cli("batch", jobs, "-o", outdir).returncode == 0


def test_info_and_doctor(edit_cli: Cli, toy: Path) -> None:
    info = edit_cli("info")
    assert info.returncode == 0
    for words in ("embedded", "licence", "checkpoint", "training data", "native", "GFLOP"):
        assert words in info.stdout
    assert "effective 128 x 128" in edit_cli("info", toy).stdout
    assert edit_cli("info", "none").returncode == 3
    doctor = edit_cli("doctor", "--json")
    assert doctor.returncode == 0
    facts = json.loads(doctor.stdout)
    assert facts["chosen"] == "cpu"
    assert [e["name"] for e in facts["engines"]] == ["tensorrt-rtx", "tensorrt", "cuda", "cpu", "openvino"]
    assert all(e["chosen"] or e["reason"] for e in facts["engines"])
    assert "chosen" in edit_cli("doctor").stdout


def test_help_reads(edit_cli: Cli) -> None:
    for command in (
        [],
        ["drag"],
        ["batch"],
        ["bench", "latency"],
        ["bench", "quality"],
        ["bench", "rounds"],
        ["learn", "pairs"],
        ["learn", "train"],
        ["learn", "distill"],
        ["learn", "average"],
        ["learn", "finetune"],
        ["bundle", "export"],
        ["bundle", "calibrate"],
        ["engines", "build"],
    ):
        done = edit_cli(*command, "--help")
        assert done.returncode == 0 and "Usage" in done.stdout
