"""Statistics that stream, and the ranges that are read from them."""

from __future__ import annotations

import numpy as np
import pytest

from edgedrag.calibration.graphs.estimators import ESTIMATORS, LEVELS
from edgedrag.calibration.graphs.statistics import BINS, TensorStatistics


def statistics(values: np.ndarray, parts: int = 1) -> TensorStatistics:
    found = TensorStatistics()
    for part in np.array_split(values, parts):
        found.add(part.reshape(1, 1, -1, 1).astype(np.float32), 1)
    return found


def test_a_histogram_does_not_depend_on_the_order_of_its_parts() -> None:
    values = np.random.default_rng(0).normal(size=9000) * np.repeat([0.1, 4.0, 1.0], 3000)
    forwards, backwards = statistics(values, 9), statistics(values[::-1], 9)
    assert forwards.reach == backwards.reach == 2.0 ** np.ceil(np.log2(np.abs(values).max()))
    assert np.array_equal(forwards.counts, backwards.counts)
    assert forwards.counts.sum() == 9000 and len(forwards.counts) == BINS
    assert forwards.peak == pytest.approx(np.abs(values).max())


def test_extremes_are_recorded_by_timestep_and_peaks_by_channel() -> None:
    found = TensorStatistics()
    found.add(np.array([[[[1.0, -2.0]], [[0.5, 0.25]]]], np.float32), 1, 999)
    found.add(np.array([[[[-3.0, 0.0]], [[0.0, 0.0]]]], np.float32), 1, 499)
    assert found.extremes == {999: (-2.0, 1.0), 499: (-3.0, 0.0)}
    assert found.peaks.tolist() == [3.0, 0.5]
    again = TensorStatistics.from_arrays(found.arrays())
    assert again.extremes == found.extremes and np.array_equal(again.counts, found.counts)


def test_what_is_not_a_number_is_refused() -> None:
    with pytest.raises(FloatingPointError):
        TensorStatistics().add(np.array([[1.0, np.nan]], np.float32), 1)


def rounding_error(values: np.ndarray, covered: float) -> float:
    scale = covered / LEVELS
    return float(((np.clip(np.rint(values / scale), -LEVELS, LEVELS) * scale - values) ** 2).mean())


@pytest.mark.parametrize("shape", ["normal", "laplace", "outliers"])
def test_the_squared_error_of_a_range_is_the_least(shape: str) -> None:
    rng = np.random.default_rng(1)
    values = rng.laplace(size=200_000) if shape == "laplace" else rng.normal(size=200_000)
    if shape == "outliers":
        values[:20] *= 60
    ranges = {name: estimate(statistics(values)) for name, estimate in ESTIMATORS.items()}
    errors = {name: rounding_error(values, covered) for name, covered in ranges.items()}
    assert errors["mean_squared_error"] <= min(errors.values()) * 1.02
    assert ranges["min_max"] == pytest.approx(np.abs(values).max())
    assert ranges["percentile"] <= ranges["min_max"]
    if shape == "outliers":
        assert errors["mean_squared_error"] < 0.6 * errors["min_max"]
        assert ranges["percentile"] > 4, "one value in a hundred thousand is beyond it"


def test_entropy_keeps_what_has_weight_and_lets_outliers_go() -> None:
    values = np.random.default_rng(2).normal(size=400_000)
    values[0] = 50.0
    covered = ESTIMATORS["entropy"](statistics(values))
    assert 2.5 < covered < 25
