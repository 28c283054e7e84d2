"""The golden set is whole and small, and accuracy stands beside latency for each backend, precision and step count."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from edgedrag.benchmarks.quality import golden
from edgedrag.metrics.stlpips import STLPIPS
from edgedrag.runtime.errors import InputError


def test_the_set_is_20_small_photos_with_drags_and_their_sources() -> None:
    folder = golden.shipped()
    tasks = golden.read_golden(folder, 100.0)
    assert len(tasks) == 20 and {task.photo.shape for task in tasks.values()} == {(256, 256, 3)}
    assert sum(file.stat().st_size for file in folder.iterdir()) < 1_000_000
    sources = {row["source"] for row in json.loads((folder / golden.INDEX).read_text())}
    readme = (folder / "README.md").read_text()
    assert all(f"`{source}`" in readme for source in sources), "each source has its licence in the README"
    for name, task in tasks.items():
        lengths = np.linalg.norm(task.points[:, 2:] - task.points[:, :2], axis=1)
        assert (lengths > 5).all() and task.mask.sum() > 2000, name


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("{", "not a list"),
        ("[]", "lists no photos"),
        ('[{"photo": "x.jpg"}]', "drags"),
        ('[{"photo": "none.jpg", "drags": [[8, 8, 9, 9]], "mask": [8, 8, 5]}]', "none.jpg"),
        ('[{"photo": "x.jpg", "drags": [[60, 60, 9, 9]], "mask": [8, 8, 5]}]', "x.jpg"),
        ('[{"photo": "x.jpg", "drags": [[8, 8, 9]], "mask": [8, 8, 5]}]', "x.jpg"),
    ],
)
def test_a_damaged_set_is_refused(content: str, message: str, tmp_path: Path) -> None:
    cv2.imwrite(str(tmp_path / "x.jpg"), np.full((64, 64, 3), 99, np.uint8))
    (tmp_path / golden.INDEX).write_text(content)
    with pytest.raises(InputError, match=message):
        golden.read_golden(tmp_path, 100.0)


@pytest.fixture(scope="module")
def two(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The set's first two photos."""
    folder = tmp_path_factory.mktemp("golden")
    rows = json.loads((golden.shipped() / golden.INDEX).read_text())[:2]
    for row in rows:
        (folder / row["photo"]).write_bytes((golden.shipped() / row["photo"]).read_bytes())
    (folder / golden.INDEX).write_text(json.dumps(rows))
    return folder


@pytest.mark.slow
def test_a_worse_picture_shows_beside_a_faster_time(two: Path) -> None:
    runtimes, absent = golden.open_all("embedded", ["cpu"], ["fp32", "int8"], 1)
    assert absent == {}
    found = golden.report(
        runtimes, absent, golden.measure(runtimes, (1, 2), golden.read_golden(two, 100.0), STLPIPS(), lambda _: None)
    )
    assert [(row["precision"], row["steps"]) for row in found["rows"]] == [
        ("fp32", 1), ("int8", 1), ("fp32", 2), ("int8", 2)
    ]  # fmt: skip
    reference, int8, *_ = found["rows"]
    assert reference["reference"] and reference["psnr_db"] is None
    assert 20 < int8["worst_psnr_db"] <= int8["psnr_db"] < 60 and 0 < int8["stlpips"] < 0.1
    assert sum(int8["verdicts"].values()) == 2 and int8["median_ms"] is None, "no median of two"
    text = golden.describe(json.loads(json.dumps(found)))
    assert "reference" in text
    assert "absent: cuda fp32: no GPU" in golden.describe({**found, "absent": {"cuda fp32": "no GPU"}})
    with pytest.raises(InputError, match=r"nothing to compare: cpu fp32: .*threads"):
        golden.open_all("embedded", ["cpu"], ["fp32"], 10**6)


def test_bad_options_are_errors(edit_cli: Callable[..., Any], tmp_path: Path) -> None:
    done = edit_cli("bench", "accuracy", "--precisions", "fp3")
    assert done.returncode == 2 and "fp32" in done.stderr
    done = edit_cli("bench", "accuracy", "--golden", tmp_path)
    assert done.returncode == 2 and "golden.json" in done.stderr
