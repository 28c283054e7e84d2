"""Statistics of the latencies of one kind of query, measured in windows."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from edgedrag.benchmarks.latency.early_stopping import median, percentiles

AGREE = 0.1  # largest deviation of stable windows' medians from their median, relative
WINDOWS = 3  # number of last windows that must agree

Windows = Sequence[Sequence[float]]  # milliseconds, by window, in order


def pooled(windows: Windows) -> list[float]:
    return [value for window in windows for value in window]


def agree(medians: Sequence[float]) -> bool:
    """Whether the last WINDOWS medians deviate by at most AGREE from their median."""
    last = list(medians[-WINDOWS:])
    middle = float(np.median(last))
    return len(last) == WINDOWS and max(abs(m - middle) for m in last) <= AGREE * middle


def figures(windows: Windows) -> dict[str, Any]:
    """Count, mean, median, percentiles with bounds, coefficient of variation, stability, and the samples.

    Median and percentiles are None where there are too few samples for a bound.

    Windows are measured consecutively, each in its own process.
    """
    filled = [list(window) for window in windows if len(window)]
    samples = pooled(filled)
    if not samples:
        return {"n": 0, "median_ms": None, "percentiles": percentiles(()), "stable": False, "samples_ms": []}
    medians = [round(float(np.median(window)), 3) for window in filled]
    return {
        "n": len(samples),
        "mean_ms": round(float(np.mean(samples)), 3),
        "median_ms": median(samples),
        "min_ms": round(min(samples), 3),
        "max_ms": round(max(samples), 3),
        "cov": round(float(np.std(samples) / np.mean(samples)), 4),
        "percentiles": percentiles(samples),
        "windows_median_ms": medians,
        "stable": agree(medians),
        "samples_ms": [[round(value, 3) for value in window] for window in filled],
    }
