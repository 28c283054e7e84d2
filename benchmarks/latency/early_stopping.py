"""Percentiles that a number of queries supports: MLPerf's early stopping, as LoadGen does it.

Of n latencies, sorted, the (n - t)th from 0 is an upper bound of the true percentile p with 99% confidence, where t is
the largest number of queries over the percentile that would still pass: with as many of n over it, a process
whose true rate over it is 1 - p would show so few in less than 1% of runs (binomial). LoadGen wants t of at least 1,
so p90 takes 64 queries and p99 takes 662. The queries are taken for independent.
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
    """The largest number of n independent queries that may be over a percentile; -1 where not even none may."""
    rate, chance = 1 - percentile / 100, 0.0
    for over in range(n + 1):
        log = math.lgamma(n + 1) - math.lgamma(over + 1) - math.lgamma(n - over + 1)
        chance += math.exp(log + over * math.log(rate) + (n - over) * math.log1p(-rate))
        if chance > 1 - CONFIDENCE:
            return over - 1
    return n


@cache
def fewest_queries(percentile: int) -> int:
    """The least n of which one query may be over the percentile."""
    n = 2
    while allowed_over(n, percentile) < 1:
        n += 1
    return n


def bound(latencies: Sequence[float], percentile: int) -> float | None:
    """The upper bound of a percentile, or None where there are too few queries."""
    n = len(latencies)
    over = allowed_over(n, percentile)
    return sorted(latencies)[n - over] if over >= 1 else None


def percentiles(latencies: Sequence[float]) -> dict[str, dict[str, Any]]:
    """p50, p90 and p99: the value, its bound, and the queries that it takes; None and why where there are fewer."""
    results: dict[str, dict[str, Any]] = {}
    for percentile in PERCENTILES:
        least, limit = fewest_queries(percentile), bound(latencies, percentile)
        if limit is None:
            why = f"p{percentile} takes {least} queries at {CONFIDENCE:.0%} confidence; there are {len(latencies)}"
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
