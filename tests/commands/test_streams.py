"""`-` as a file, and a stdout that cannot be written to."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner
from conftest import EXAMPLES

import edgedrag
from edgedrag.cli import cli

CAT = EXAMPLES / "chelsea.png"
DRAG = ["--drag", "265,240:245,250"]


@pytest.fixture(scope="module")
def expected(tmp_path_factory: pytest.TempPathFactory) -> np.ndarray:
    """The edit by way of files."""
    out = tmp_path_factory.mktemp("files") / "out.png"
    assert CliRunner().invoke(cli, ["drag", str(CAT), *DRAG, "-o", str(out)]).exit_code == 0
    return edgedrag.load_picture(out).pixels


def test_a_photo_goes_from_stdin_to_stdout(expected: np.ndarray) -> None:
    done = CliRunner().invoke(cli, ["drag", "-", *DRAG, "-o", "-"], input=CAT.read_bytes())
    assert done.exit_code == 0, done.stderr
    assert np.array_equal(edgedrag.load_picture(done.stdout_bytes).pixels, expected)
    assert "stdout  " in done.stderr, "what is for people goes to stderr"


def test_a_mask_comes_from_stdin_and_the_used_one_goes_to_stdout(tmp_path: Path) -> None:
    mask = np.zeros((300, 451), np.uint8)
    mask[170:295, 190:310] = 255
    edgedrag.save_picture(tmp_path / "mask.png", edgedrag.Picture(mask))
    arguments = ["drag", str(CAT), *DRAG, "--mask", "-", "-o", str(tmp_path / "out.png"), "--mask-out", "-"]
    done = CliRunner().invoke(cli, arguments, input=(tmp_path / "mask.png").read_bytes())
    assert done.exit_code == 0, done.stderr
    assert np.array_equal(edgedrag.load_picture(done.stdout_bytes).pixels, mask)


def test_jobs_come_from_stdin_and_the_folder_is_made(tmp_path: Path, expected: np.ndarray) -> None:
    job = {"name": "a", "image": str(CAT), "drags": [[[265, 240], [245, 250]]]}
    folder = tmp_path / "new" / "folder"
    done = CliRunner().invoke(cli, ["batch", "-", "-o", str(folder), "--json"], input=json.dumps(job) + "\n")
    assert done.exit_code == 0, done.stderr
    assert np.array_equal(edgedrag.load_picture(folder / "a.png").pixels, expected)


@pytest.mark.parametrize(
    ("arguments", "given", "words"),
    [
        (["drag", "-", *DRAG], b"", "has no name"),
        (["drag", "-", *DRAG, "--mask", "-", "-o", "out.png"], b"", "only one of them can be -"),
        (["drag", str(CAT), *DRAG, "-o", "-", "--sheet", "-"], b"", "stdout takes one"),
        (["drag", str(CAT), *DRAG, "-o", "-", "--json"], b"", "stdout takes one"),
    ],
)
def test_dashes_that_cannot_be_are_usage_errors(arguments: list[str], given: bytes, words: str) -> None:
    done = CliRunner().invoke(cli, arguments, input=given)
    assert done.exit_code == 2 and words in done.stderr and not done.stdout


@pytest.mark.parametrize("given", [b"", b"no image", CAT.read_bytes()[:500]])
def test_what_is_no_photo_on_stdin_is_an_input_error(given: bytes) -> None:
    done = CliRunner().invoke(cli, ["drag", "-", *DRAG, "-o", "-"], input=given)
    assert isinstance(done.exception, edgedrag.InputError) and not done.stdout


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="there is no /dev/full on this system")
@pytest.mark.parametrize("arguments", [["--help"], ["info"], ["drag", str(CAT), *DRAG, "-o", "-"]])
def test_a_full_stdout_is_one_sentence(arguments: list[str]) -> None:
    with open("/dev/full", "w") as full:
        command = [sys.executable, "-m", "edgedrag", *arguments]
        done = subprocess.run(command, stdout=full, stderr=subprocess.PIPE, text=True, timeout=300)
    assert done.returncode == 1
    assert done.stderr.splitlines()[-1] == "error: stdout: cannot be written (No space left on device)"
    assert "Traceback" not in done.stderr


def test_info_as_json() -> None:
    plain, costs = (json.loads(CliRunner().invoke(cli, ["info", "--json", *more]).stdout) for more in ([], ["--cost"]))
    assert plain["bundle"] == plain["manifest"]["name"] == "embedded" and plain["native_resolution"] is True
    assert plain["recipe"]["figures"] and "cost" not in plain
    names = {graph["graph"] for graph in costs["cost"]["graphs"]}
    assert {"hold_answers", "condition", "denoiser", "decoder"} <= names
    assert all(entry["flops"] > 0 < entry["bytes"] for entry in costs["cost"]["schedules"])
