"""Mining on a cluster gives the files and the report that processes of one machine give."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest

from edgedrag.generator.data.cluster_mining import MiningWorker, on_cluster
from edgedrag.generator.data.mining import Job, MiningSettings, in_processes, mine, mine_to_file

SETTINGS = MiningSettings(count=2, made=3)


def write_picture(file: Path, seed: int) -> None:
    small = np.random.default_rng(seed).integers(0, 255, (24, 32, 3), np.uint8)
    cv2.imwrite(str(file), cv2.resize(small, (384, 288), interpolation=cv2.INTER_CUBIC))


def test_a_worker_returns_what_a_process_writes(tmp_path: Path) -> None:
    write_picture(tmp_path / "a.png", 0)
    (tmp_path / "cache" / "train").mkdir(parents=True)
    job = Job(tmp_path / "a.png", "train", (0.0, 1.0), 2, 3, 0)
    entry = mine_to_file((job, tmp_path / "cache"))
    mined, pairs = MiningWorker().run(((job, Path("nowhere")), (tmp_path / "a.png").read_bytes()))
    assert mined == entry and pairs == (tmp_path / "cache" / "train" / "a.png.npz").read_bytes()


@pytest.mark.slow
def test_a_cluster_gives_the_same(tmp_path: Path) -> None:
    pytest.importorskip("ray", reason="ray is not installed; the extra [cluster] brings it")
    clips = tmp_path / "clips"
    clips.mkdir()
    for number in range(2):
        write_picture(clips / f"{number}.png", number)
    reports = [
        mine([clips], tmp_path / name, SETTINGS, 1, run)
        for name, run in (("here", in_processes), ("cluster", on_cluster("auto")))
    ]
    assert reports[0] == reports[1]
    files = sorted(path.relative_to(tmp_path / "here") for path in (tmp_path / "here").rglob("*.npz"))
    assert len(files) == 2
    for file in files:
        assert (tmp_path / "here" / file).read_bytes() == (tmp_path / "cluster" / file).read_bytes()
