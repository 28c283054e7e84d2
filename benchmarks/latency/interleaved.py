"""Interleaving several processes on one machine, so that drift affects all of them equally."""

from __future__ import annotations

import statistics
import time
from collections.abc import Mapping

from edgedrag.benchmarks.latency.series import WINDOWS
from edgedrag.benchmarks.latency.single_stream import LONG_MS, Asker

TURN_SECONDS = 0.15  # length of a turn of one process
LEAST_TURNS = 3

Turns = dict[str, list[list[float]]]  # milliseconds by side and turn; all sides have the same number of turns


def take_turns(askers: Mapping[str, Asker], kind: str, seconds: float, turns: Turns) -> None:
    """Fill `turns` until the time is over; every second round runs in reverse order.

    The first query of a turn is dropped, because the caches still hold data of the other processes; not of one whose
    queries are so long that this makes no difference. Where a side has such, what the others' turns are sized by is the
    first round.
    """
    sizes, dropped = {}, {}
    first: dict[str, list[float]] = {}
    for side, asker in askers.items():
        turns.setdefault(side, [])
        taken = first[side] = list(asker.ask(kind, 1))
        dropped[side] = int(taken[0] < LONG_MS)
        taken += asker.ask(kind, (WINDOWS - 1) * dropped[side])
        sizes[side] = max(1, min(12, round(TURN_SECONDS * 1e3 / statistics.median(taken))))
    end, number = time.perf_counter() + seconds, 0
    if not all(dropped.values()):
        for side, taken in first.items():
            turns[side].append(taken[dropped[side] :])
        number = 1
    while time.perf_counter() < end or number < LEAST_TURNS:
        for side in list(askers)[:: -1 if number % 2 else 1]:
            turns[side].append(list(askers[side].ask(kind, sizes[side] + dropped[side]))[dropped[side] :])
        number += 1


def whole_rounds(turns: Turns) -> Turns:
    """Drop the turns of an incomplete last round."""
    least = min(map(len, turns.values()), default=0)
    return {side: taken[:least] for side, taken in turns.items()}
