"""From a tensor's histogram to the range that INT8 covers: values beyond are clipped, values within are rounded.

All ranges are symmetric, so that one number, the largest magnitude covered, tells everything:
scale = range / 127 in every engine.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from edgedrag.calibration.graphs.statistics import BINS, TensorStatistics

LEVELS = 127
PERCENTILE = 0.99999


def min_max(statistics: TensorStatistics) -> float:
    """Nothing is clipped."""
    return statistics.peak


def percentile(statistics: TensorStatistics) -> float:
    """All but a hundred-thousandth of the values are inside."""
    shares = np.cumsum(statistics.counts) / statistics.counts.sum()
    last = int(np.searchsorted(shares, PERCENTILE))
    return min((last + 1) * statistics.reach / BINS, statistics.peak)


def mean_squared_error(statistics: TensorStatistics) -> float:
    """The range whose clipping and rounding cost least, in the mean square, over the histogram."""
    magnitudes = (np.arange(BINS) + 0.5) * statistics.reach / BINS
    candidates = np.linspace(0.02, 1.0, 197) * statistics.peak
    scales = candidates[:, None] / LEVELS
    rounded = np.minimum(np.rint(magnitudes / scales), LEVELS) * scales
    # Where rounding is finer than a bin, the bin's middle says nothing of it: uniform noise does.
    error = np.maximum((rounded - magnitudes) ** 2, np.where(magnitudes < candidates[:, None], scales**2 / 12, 0))
    return float(candidates[int(np.argmin(error @ statistics.counts))])


def entropy(statistics: TensorStatistics) -> float:
    """The range whose 128 levels tell most of the clipped distribution (Migacz, "8-bit inference with TensorRT", 2017).

    Magnitude 0 is left out: it is exact in every range, and would hide all else behind an activation's zeros.
    """
    counts = statistics.counts.astype(np.float64)
    counts[0] = 0
    occupied = int(np.flatnonzero(counts)[-1]) + 1 if counts.any() else BINS
    best, least = occupied, np.inf
    for inside in range(min(LEVELS + 1, occupied), occupied + 1, 8):
        clipped = counts[:inside].copy()
        clipped[-1] += counts[inside:].sum()
        level = np.arange(inside) * (LEVELS + 1) // inside
        filled = counts[:inside] > 0
        sums, members = (np.bincount(level, w, LEVELS + 1) for w in (counts[:inside], filled.astype(np.float64)))
        spread = np.where(filled, (sums / np.maximum(members, 1))[level], 0)
        divergence = kullback_leibler(clipped, spread)
        if divergence < least:
            best, least = inside, divergence
    return min(best * statistics.reach / BINS, statistics.peak)


def kullback_leibler(reference: np.ndarray, other: np.ndarray) -> float:
    """Divergence of two histograms, nats; infinite where `other` has nothing to tell at all."""
    if not other.any() or not reference.any():
        return np.inf
    p, q = reference / reference.sum(), other / other.sum()
    there = p > 0
    return float((p[there] * np.log(p[there] / np.maximum(q[there], 1e-12))).sum())


ESTIMATORS: dict[str, Callable[[TensorStatistics], float]] = {
    "min_max": min_max,
    "percentile": percentile,
    "entropy": entropy,
    "mean_squared_error": mean_squared_error,
}
