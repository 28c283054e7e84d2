"""MLPerf's scenarios on one subject: how queries arrive, and a driver for where LoadGen is not installed.

- single-stream: each query when the one before it is done;
- offline: all samples at once, as many as fit the time;
- server: arrivals of a Poisson process, with a bound of the latency that nine of ten queries must keep.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np

PERCENTILE = 90  # of the latency that a run is judged by
LEAST_QUERIES = 64  # for a bound of that percentile at 99% confidence
SEED = 0  # of samples and arrivals
SURPLUS = 1.1  # samples of an offline run over those that are expected to fit, as LoadGen takes


@dataclass(frozen=True)
class Settings:
    """A run.

    Attributes:
        scenario: "single-stream", "offline" or "server".
        seconds: that it takes at least.
        samples: number of distinct samples.
        rate: samples per second: of an offline run those expected, of a server run those that arrive on average.
        bound_ms: of the latency in a server run.
    """

    scenario: str
    seconds: float
    samples: int
    rate: float
    bound_ms: float


@dataclass(frozen=True)
class Query:
    """A sample's times in seconds since the start of the run; latency counts from `arrived`."""

    sample: int
    arrived: float
    started: float
    done: float

    @property
    def ms(self) -> float:
        return (self.done - self.arrived) * 1e3


Act = Callable[[int], object]  # runs a sample


def arrivals(settings: Settings) -> Iterator[float | None]:
    """When each query of an unlimited run arrives, seconds since its start; None for "when the last one is done"."""
    if settings.scenario == "server":
        rng, at = np.random.default_rng(SEED), 0.0
        while True:
            at += float(rng.exponential(1 / settings.rate))
            yield at
    while True:
        yield None if settings.scenario == "single-stream" else 0.0


def drive(settings: Settings, act: Act) -> list[Query]:
    """Run queries in the order of their arrival, one at a time."""
    order = np.random.default_rng(SEED)
    whole = max(LEAST_QUERIES, round(SURPLUS * settings.rate * settings.seconds))
    queries: list[Query] = []
    begin = time.perf_counter()
    for at in arrivals(settings):
        now = time.perf_counter() - begin
        arrived = now if at is None else at
        if settings.scenario == "offline" and len(queries) >= whole:
            break
        if settings.scenario != "offline" and arrived >= settings.seconds and len(queries) >= LEAST_QUERIES:
            break
        time.sleep(max(0.0, arrived - now))
        sample, started = int(order.integers(settings.samples)), time.perf_counter() - begin
        act(sample)
        queries.append(Query(sample, arrived, started, time.perf_counter() - begin))
    return queries
