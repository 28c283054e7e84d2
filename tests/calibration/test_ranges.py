from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from conftest import EXAMPLES

from edgedrag.calibration.ranges import record_ranges
from edgedrag.runtime.errors import InputError
from edgedrag.runtime.jobs import Job


def job(tmp_path: Path, seed: int = 0) -> Job:
    return Job(EXAMPLES / "chelsea.png", [((265.0, 240.0), (245.0, 250.0))], tmp_path / "out.png", seed=seed)


def test_ranges_of_real_drags_are_recorded_and_repeat(tmp_path: Path) -> None:
    found = record_ranges("embedded", [job(tmp_path), job(tmp_path, 1)])
    assert found == record_ranges("embedded", [job(tmp_path), job(tmp_path, 1)])
    assert found["drags"] == 2 and found["fits_fp16"] is True
    tensors = found["tensors"]
    assert tensors["mask"] == [0.0, 1.0]
    assert -1 <= tensors["image"][0] < tensors["image"][1] <= 1
    assert tensors["revealed"][0] >= 0 and tensors["revealed"][1] <= 1
    assert {"f4", "f8", "f16", "flow", "latent", "warped", "result"} <= set(tensors)
    assert not list(tmp_path.iterdir()), "recording writes no pictures"
    assert np.isfinite([v for pair in tensors.values() for v in pair]).all()


def test_no_drags(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no drags"):
        record_ranges("embedded", [])
