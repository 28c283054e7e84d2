"""Ratios and their intervals on simulated machines: that drift between runs is covered, and a true change seen."""

from __future__ import annotations

import numpy as np
import pytest

from edgedrag.benchmarks.latency.ratios import between_runs, in_pairs, in_turns, student


def run_of(rng: np.random.Generator, level: float = 50.0, drift: float = 0.03, windows: int = 5) -> list[list[float]]:
    """A run whose windows lie `drift` apart, and which as a whole lies as far from the next run."""
    own = rng.normal(0, drift)
    return [(level * np.exp(own + rng.normal(0, drift) + rng.gamma(2, 0.02, 60))).tolist() for _ in range(windows)]


def test_student_is_students() -> None:
    assert [student(0.95, d) for d in (3, 4, 8, 30)] == pytest.approx([3.182, 2.776, 2.306, 2.042], rel=0.01)


@pytest.mark.parametrize("drift", [0.005, 0.03])
def test_runs_of_one_configuration_differ_within_their_interval(drift: float) -> None:
    rng = np.random.default_rng(1)
    ratios = [between_runs(run_of(rng, drift=drift), run_of(rng, drift=drift)) for _ in range(40)]
    same = sum(ratio is not None and ratio.verdict == "no difference shown" for ratio in ratios)
    assert same >= 36, "at least 9 of 10"


def test_a_change_larger_than_the_drift_is_seen() -> None:
    rng = np.random.default_rng(2)
    slower = between_runs(run_of(rng, 50, 0.01), run_of(rng, 70, 0.01))
    faster = between_runs(run_of(rng, 70, 0.01), run_of(rng, 50, 0.01))
    assert slower is not None and slower.verdict == "slower" and slower.low < 1.4 < slower.high
    assert faster is not None and faster.verdict == "faster"


def test_taking_turns_sees_what_drift_would_hide() -> None:
    rng = np.random.default_rng(3)
    pairs = []
    for _ in range(5):
        drift = np.exp(np.cumsum(rng.normal(0, 0.05, 20)))  # the machine halves and doubles its speed
        a, b = ([(50 * d * change * np.exp(rng.normal(0, 0.01, 6))).tolist() for d in drift] for change in (1, 1.06))
        pairs.append((a, b))
    found = in_pairs(pairs)
    assert found is not None and found.verdict == "slower" and found.low < 1.06 < found.high
    together = in_turns(*pairs[0])
    assert together is not None and together.verdict == "slower"


def test_too_few_windows_say_nothing() -> None:
    rng = np.random.default_rng(4)
    assert between_runs(run_of(rng)[:2], run_of(rng)) is None
    assert in_pairs([(run_of(rng), run_of(rng))] * 2) is None
    assert in_turns([[1.0]], [[1.0]]) is None
