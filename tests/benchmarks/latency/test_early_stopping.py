"""Percentile bounds against LoadGen's numbers, and against a distribution whose percentiles are known."""

from __future__ import annotations

import numpy as np
import pytest

from edgedrag.benchmarks.latency.early_stopping import allowed_over, bound, fewest_queries, percentiles


def test_the_queries_that_loadgen_asks_for() -> None:
    assert [fewest_queries(p) for p in (50, 90, 99)] == [11, 64, 662]
    assert allowed_over(43, 90) == -1 and allowed_over(44, 90) == 0, "without one over it, LoadGen's 44"
    assert allowed_over(458, 99) == -1 and allowed_over(459, 99) == 0
    assert bound(range(10_000), 99) == 10_000 - 77, "LoadGen discards 77 of ten thousand"


@pytest.mark.parametrize(("percentile", "least"), [(50, 11), (90, 64), (99, 662)])
def test_a_percentile_that_n_does_not_support_is_refused(percentile: int, least: int) -> None:
    few, enough = (percentiles(np.arange(n).tolist())[f"p{percentile}"] for n in (least - 1, least))
    assert few["ms"] is None and few["bound_ms"] is None
    assert str(least) in few["reason"] and str(least - 1) in few["reason"]
    assert enough["reason"] is None and enough["ms"] <= enough["bound_ms"] <= least - 1


@pytest.mark.parametrize("n", [64, 100, 331, 1000])
def test_the_bound_on_p90_covers_it_in_99_of_100_runs(n: int) -> None:
    rng = np.random.default_rng(n)
    runs = np.exp(rng.standard_normal((4000, n)) * 0.3) * 50  # lognormal, as latencies are
    true = 50 * np.exp(0.3 * 1.2815515655446004)
    covered = np.mean([bound(run, 90) >= true for run in runs.tolist()])
    assert covered >= 0.99 - 3 * (0.01 * 0.99 / 4000) ** 0.5
    empirical = np.mean(np.percentile(runs, 90, axis=1) >= true)
    assert empirical < 0.7, "the percentile of the sample alone covers about half"


def test_the_bound_comes_near_with_more_queries() -> None:
    rng = np.random.default_rng(0)
    runs = np.exp(rng.standard_normal((200, 4000)) * 0.3)
    true = np.exp(0.3 * 1.2815515655446004)
    excess = [np.mean([bound(run[:n], 90) for run in runs.tolist()]) / true - 1 for n in (64, 500, 4000)]
    assert excess[0] > excess[1] > excess[2] and excess[2] < 0.03
