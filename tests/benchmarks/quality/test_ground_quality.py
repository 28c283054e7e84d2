"""Fills measured on cut-outs over photographs."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

import edgedrag
from edgedrag.benchmarks.quality.ground import EDIT, OWN, PATCHMATCH, SIZE, composites
from edgedrag.runtime.photo.picture import Picture, save_picture


@pytest.fixture
def folders(tmp_path: Path) -> tuple[Path, Path]:
    """A noisy still, too small a still, and a disc with alpha."""
    stills, cutouts = tmp_path / "stills", tmp_path / "cutouts"
    stills.mkdir()
    cutouts.mkdir()
    rng = np.random.default_rng(0)
    for name, size in (("a", 520), ("b", 600), ("small", 100)):
        save_picture(stills / f"{name}.png", Picture(rng.integers(0, 255, (size, size, 3), dtype=np.uint8)))
    y, x = np.mgrid[:64, :64]
    disc = np.where((x - 32) ** 2 + (y - 32) ** 2 < 30**2, 255, 0)
    save_picture(cutouts / "disc.png", Picture(np.dstack([disc, disc, 0 * disc, disc]).astype(np.uint8)))
    return stills, cutouts


def test_a_composite_differs_from_the_truth_in_its_hole_alone(folders: tuple[Path, Path]) -> None:
    made = list(composites(*folders, 3, 0))
    assert len(made) == 2, "one still is too small"
    for composite in made:
        assert composite.small_hole.shape == (SIZE, SIZE)
        assert np.array_equal(composite.photo[~composite.hole], composite.truth[~composite.hole])
        assert (composite.photo != composite.truth).any()
        assert composite.revealed.any() and not (composite.revealed & ~composite.hole).any()
        assert not (composite.hole & ~composite.mask).any()
        x, y, to_x, _ = composite.drag
        assert composite.mask[round(y), round(x)] and to_x != x


def test_folders_without_pictures_are_refused(folders: tuple[Path, Path], tmp_path: Path) -> None:
    empty = tmp_path / "empty"
    empty.mkdir()
    for stills, cutouts in ((empty, folders[1]), (folders[0], empty), (folders[1], folders[1])):
        with pytest.raises(edgedrag.InputError, match="no "):
            list(composites(stills, cutouts, 1, 0))


@pytest.mark.slow
def test_ground_report(edit_cli: Callable, folders: tuple[Path, Path], tmp_path: Path) -> None:
    report_file, sheet = tmp_path / "report.json", tmp_path / "page.png"
    done = edit_cli("bench", "ground", *folders, "--count", "1", "--json", "-o", report_file, "--sheet", sheet)
    assert done.returncode == 0, done.stderr
    report = json.loads(done.stdout)
    assert report == json.loads(report_file.read_text())
    assert report["composites"] == 1 and report["bundle"] == "embedded"
    assert {OWN, "telea", "navier_stokes"} <= set(report["hole"])
    assert set(report["revealed"]) == {*report["hole"], EDIT}
    assert (PATCHMATCH in report["hole"]) != (PATCHMATCH in report["left_out"])
    assert edgedrag.load_picture(sheet).pixels.shape[1] > 5 * 256
