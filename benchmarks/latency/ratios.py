"""Ratios of latencies with confidence intervals.

Ratios are of medians. Their standard error comes from a bootstrap of whole windows and of blocks of neighbouring
queries within them; since windows are few, the interval is Student's t with this standard error.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import NormalDist
from typing import Any

import numpy as np

from edgedrag.benchmarks.latency.series import Windows

RESAMPLES = 400
BLOCK = 8  # neighbouring queries that are resampled together
CONFIDENCE = 0.95
LEAST_WINDOWS = 3


@dataclass(frozen=True)
class Ratio:
    """The second's time over the first's, with its confidence interval."""

    value: float
    low: float
    high: float
    confidence: float

    @property
    def verdict(self) -> str:
        """The second is "faster" or "slower", or "no difference shown"."""
        return "slower" if self.low > 1 else "faster" if self.high < 1 else "no difference shown"

    def as_json(self) -> dict[str, Any]:
        return {
            "ratio": round(self.value, 4),
            "interval": [round(self.low, 4), round(self.high, 4)],
            "confidence": self.confidence,
            "verdict": self.verdict,
        }


def student(chance: float, freedom: float) -> float:
    """The two-sided quantile of Student's t, by its expansion about the normal quantile (freedom >= 2)."""
    z = NormalDist().inv_cdf(0.5 + chance / 2)
    return (
        z
        + (z**3 + z) / (4 * freedom)
        + (5 * z**5 + 16 * z**3 + 3 * z) / (96 * freedom**2)
        + (3 * z**7 + 19 * z**5 + 17 * z**3 - 15 * z) / (384 * freedom**3)
    )


def _resampled(window: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """A block bootstrap sample of a window, of the same length."""
    block = max(1, min(BLOCK, len(window) // 4))
    starts = rng.integers(0, len(window) - block + 1, -(-len(window) // block))
    return window[(starts[:, None] + np.arange(block)).ravel()[: len(window)]]


def _log_medians(windows: Windows, rng: np.random.Generator) -> np.ndarray:
    """Logarithms of medians of resampled runs, [RESAMPLES].

    A run is resampled from its windows. Between-run variance, estimated from the variance between windows, is added:
    a single run does not show that it is smaller.
    """
    arrays = [np.asarray(window, float) for window in windows if len(window)]
    levels = np.array([np.log(np.median(window)) for window in arrays])
    samples = np.empty(RESAMPLES)
    for number in range(RESAMPLES):
        drawn = rng.integers(0, len(arrays), len(arrays))
        run = np.log(np.median(np.concatenate([_resampled(arrays[at], rng) for at in drawn])))
        samples[number] = run + rng.choice(levels) - levels.mean()
    return samples


def between_runs(first: Windows, second: Windows, confidence: float = CONFIDENCE) -> Ratio | None:
    """The ratio of two consecutive runs; None if either has fewer than three windows."""
    first, second = ([w for w in windows if len(w)] for windows in (first, second))
    least = min(len(first), len(second))
    if least < LEAST_WINDOWS:
        return None
    rng = np.random.default_rng(0)
    ends = [float(np.log(np.median(np.concatenate([np.asarray(w) for w in windows])))) for windows in (first, second)]
    spreads = [_log_medians(windows, rng).var() * len(windows) / (len(windows) - 1) for windows in (first, second)]
    degrees = [len(windows) - 1 for windows in (first, second)]
    freedom = sum(spreads) ** 2 / max(sum(s**2 / d for s, d in zip(spreads, degrees)), 1e-30)  # Welch
    return _around(ends[1] - ends[0], sum(spreads) ** 0.5, max(freedom, LEAST_WINDOWS - 1), confidence)


def in_turns(
    first: Sequence[Sequence[float]], second: Sequence[Sequence[float]], confidence: float = CONFIDENCE
) -> Ratio | None:
    """The ratio of two sides interleaved in one run, turn by turn; None with fewer than three turns."""
    steps = np.array([np.log(np.median(b)) - np.log(np.median(a)) for a, b in zip(first, second)])
    if len(steps) < LEAST_WINDOWS:
        return None
    rng = np.random.default_rng(0)
    means = np.array([np.median(_resampled(steps, rng)) for _ in range(RESAMPLES)])
    error = means.std() * (len(steps) / (len(steps) - 1)) ** 0.5
    return _around(float(np.median(steps)), error, len(steps) - 1, confidence)


def in_pairs(pairs: Sequence[tuple[Windows, Windows]], confidence: float = CONFIDENCE) -> Ratio | None:
    """The ratio of two sides from several pairs of interleaved processes; each pair's turns are in order.

    Processes of the same configuration differ a little over their whole lifetime, so pairs are resampled, and blocks
    of turns within them. None with fewer than three pairs.
    """
    steps = [np.array([np.log(np.median(b)) - np.log(np.median(a)) for a, b in zip(*pair)]) for pair in pairs]
    steps = [pair for pair in steps if len(pair)]
    if len(steps) < LEAST_WINDOWS:
        return None
    rng = np.random.default_rng(0)
    means = [
        np.mean([np.median(_resampled(steps[at], rng)) for at in rng.integers(0, len(steps), len(steps))])
        for _ in range(RESAMPLES)
    ]
    error = float(np.std(means)) * (len(steps) / (len(steps) - 1)) ** 0.5
    return _around(float(np.mean([np.median(pair) for pair in steps])), error, len(steps) - 1, confidence)


def _around(log_ratio: float, error: float, freedom: float, confidence: float) -> Ratio:
    reach = student(confidence, freedom) * error
    value, low, high = np.exp([log_ratio, log_ratio - reach, log_ratio + reach]).tolist()
    return Ratio(value, low, high, confidence)
