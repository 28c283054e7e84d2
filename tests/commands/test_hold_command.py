"""`edgedrag hold`: the files that it writes, what it prints, and what it refuses."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner
from conftest import EXAMPLES

import edgedrag
from edgedrag.cli import cli

CAT = EXAMPLES / "chelsea.png"


def test_hold_writes_what_it_says(
    edit_cli: Callable[..., subprocess.CompletedProcess[str]], toy: Path, tmp_path: Path
) -> None:
    out, outlines = tmp_path / "held.png", tmp_path / "outlines.png"
    done = edit_cli("hold", CAT, "--at", "265,240", "--bundle", toy, "-o", out, "--outlines", outlines, "--json")
    assert done.returncode == 0, done.stderr
    report = json.loads(done.stdout)
    assert list(report) == ["output", "at", "answer", "alternatives", "hold_ms", "backend", "precision"]
    assert report["output"] == str(out) and report["at"] == [265, 240]
    assert [held["name"] for held in report["alternatives"]] == ["part", "thing", "group", "neighbourhood"]
    written, chosen = edgedrag.load_picture(out).pixels, report["alternatives"][2]
    assert written.shape == (300, 451) and written.dtype == np.uint8 and written[240, 265] == 255
    left, top, width, height = chosen["box"]
    assert not np.delete(np.delete(written, slice(top, top + height), 0), slice(left, left + width), 1).any()
    assert written.sum() / 255 / written.size == pytest.approx(chosen["share"], abs=0.002)
    assert edgedrag.load_picture(outlines).pixels.shape == (300, 451, 3)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--at", "1"], "X,Y"),
        (["--at", "a,b"], "X,Y"),
        (["--at", "nan,2"], "finite"),
        (["--at", "9999,2"], "outside the photo"),
        (["--at", "5,5", "-o", "held.txt"], "held.txt"),
        (["--at", "5,5", "--answer", "all"], "all"),
        (["--at", "5,5", "--mask", "none.png"], "none.png"),
        ([], "--at"),
    ],
)
def test_what_cannot_be_held_is_bad_usage(toy: Path, tmp_path: Path, arguments: list[str], words: str) -> None:
    given = ["hold", str(CAT), "-o", str(tmp_path / "held.png"), "--bundle", str(toy), "--backend", "cpu", *arguments]
    done = CliRunner().invoke(cli, given)
    error = done.exception if isinstance(done.exception, edgedrag.EdgedragError) else None
    assert error.exit_code == 2 if error else done.exit_code == 2
    assert words in (str(error) if error else done.output)
    assert not list(tmp_path.glob("held*"))
