"""How sides take turns, with made-up times."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from edgedrag.benchmarks.latency.interleaved import LEAST_TURNS, take_turns
from edgedrag.benchmarks.latency.single_stream import LONG_MS


class Queries:
    """Answers queries that take `ms`, without taking it, and counts them."""

    def __init__(self, ms: float):
        self.ms, self.count = ms, 0

    def ask(self, _: str, count: int) -> Iterator[float]:
        self.count += count
        return iter([self.ms] * count)


def taken(**sides: float) -> tuple[dict[str, int], dict[str, list[list[float]]]]:
    """Queries of each side, and the turns, of no time at all."""
    askers: Any = {name: Queries(ms) for name, ms in sides.items()}
    turns: dict[str, list[list[float]]] = {}
    take_turns(askers, "drag", 0.0, turns)
    return {name: asker.count for name, asker in askers.items()}, turns


def test_each_side_has_as_many_turns_and_drops_the_first_query_of_each() -> None:
    count, turns = taken(a=50.0, b=1000.0)
    assert [len(side) for side in turns.values()] == [LEAST_TURNS] * 2
    assert [len(turn) for turn in turns["a"]] == [3] * LEAST_TURNS and [len(turn) for turn in turns["b"]] == [1] * 3
    assert count == {"a": 3 + 4 * LEAST_TURNS, "b": 3 + 2 * LEAST_TURNS}


def test_no_query_of_minutes_is_made_that_does_not_count() -> None:
    count, turns = taken(a=50.0, b=2 * LONG_MS)
    assert count["b"] == LEAST_TURNS and turns["b"] == [[2 * LONG_MS]] * LEAST_TURNS
    assert len(turns["a"]) == LEAST_TURNS and all(turns["a"])
