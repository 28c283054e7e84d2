"""Bounds of latency percentiles by MLPerf's early-stopping rule, as LoadGen computes them.

Of n sorted latencies, the one at index n - t is an upper bound of the true percentile p with 99% confidence. t is the
largest number for which a binomial variable with n trials and rate 1 - p is at most t with a probability below 1%.
LoadGen requires t >= 1, so p90 needs 64 queries and p99 needs 662. Queries are assumed to be independent.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import cache
from typing import Any

import numpy as np

CONFIDENCE = 0.99
PERCENTILES = (50, 90, 99)


def allowed_over(n: int, percentile: int) -> int:
    """The number t for n queries; -1 if not even t = 0 satisfies the rule."""
    rate, chance = 1 - percentile / 100, 0.0
    for over in range(n + 1):
        log = math.lgamma(n + 1) - math.lgamma(over + 1) - math.lgamma(n - over + 1)
        chance += math.exp(log + over * math.log(rate) + (n - over) * math.log1p(-rate))
        if chance > 1 - CONFIDENCE:
            return over - 1
    return n


@cache
def fewest_queries(percentile: int) -> int:
    """The smallest n with t >= 1."""
    n = 2
    while allowed_over(n, percentile) < 1:
        n += 1
    return n


def bound(latencies: Sequence[float], percentile: int) -> float | None:
    """The upper bound of a percentile; None if there are too few queries."""
    n = len(latencies)
    over = allowed_over(n, percentile)
    return sorted(latencies)[n - over] if over >= 1 else None


def median(latencies: Sequence[float]) -> float | None:
    """The median, ms; None for so few queries that p50 has no bound."""
    return round(float(np.median(latencies)), 3) if len(latencies) >= fewest_queries(50) else None


def percentiles(latencies: Sequence[float]) -> dict[str, dict[str, Any]]:
    """p50, p90 and p99: value, bound and number of queries needed; None and the reason if there are fewer."""
    results: dict[str, dict[str, Any]] = {}
    for percentile in PERCENTILES:
        least, limit = fewest_queries(percentile), bound(latencies, percentile)
        if limit is None:
            why = f"p{percentile} needs {least} queries at {CONFIDENCE:.0%} confidence; there are {len(latencies)}"
            results[f"p{percentile}"] = {"ms": None, "bound_ms": None, "queries_needed": least, "reason": why}
        else:
            value = float(np.percentile(latencies, percentile, method="inverted_cdf"))
            results[f"p{percentile}"] = {
                "ms": round(value, 3),
                "bound_ms": round(limit, 3),
                "queries_needed": least,
                "reason": None,
            }
    return results
