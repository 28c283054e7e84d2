"""Estimators of a tensor's INT8 range from its histogram. Values outside the range are clipped, others are rounded.

All ranges are symmetric, so that one number, the largest magnitude, describes them: scale = range / 127.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from edgedrag.calibration.graphs.statistics import BINS, TensorStatistics

LEVELS = 127
PERCENTILE = 0.99999


def min_max(statistics: TensorStatistics) -> float:
    """The peak: nothing is clipped."""
    return statistics.peak


def percentile(statistics: TensorStatistics) -> float:
    """The range that contains all but 1e-5 of the values."""
    shares = np.cumsum(statistics.counts) / statistics.counts.sum()
    last = int(np.searchsorted(shares, PERCENTILE))
    return min((last + 1) * statistics.reach / BINS, statistics.peak)


def mean_squared_error(statistics: TensorStatistics) -> float:
    """The range with the least mean squared error of clipping and rounding over the histogram."""
    magnitudes = (np.arange(BINS) + 0.5) * statistics.reach / BINS
    candidates = np.linspace(0.02, 1.0, 197) * statistics.peak
    scales = candidates[:, None] / LEVELS
    rounded = np.minimum(np.rint(magnitudes / scales), LEVELS) * scales
    # If the step is finer than a bin, the error is that of uniform noise.
    error = np.maximum((rounded - magnitudes) ** 2, np.where(magnitudes < candidates[:, None], scales**2 / 12, 0))
    return float(candidates[int(np.argmin(error @ statistics.counts))])


def entropy(statistics: TensorStatistics) -> float:
    """The range with the least divergence after quantization (Migacz, "8-bit inference with TensorRT", 2017).

    Magnitude 0 is left out: it is exact in every range, and an activation's many zeros would dominate the divergence.
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
    """Kullback-Leibler divergence of two histograms, nats; infinite if either is empty."""
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
