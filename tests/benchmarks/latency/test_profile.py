"""Where a recorded drag's time goes."""

from __future__ import annotations

from typing import Any

import pytest

from edgedrag.benchmarks.latency.profile import own_times, span_figures
from edgedrag.benchmarks.latency.tables import spans
from edgedrag.runtime.session.edit import TOTAL
from edgedrag.runtime.trace import DEVICE_TRACK


def span(name: str, begins: float, ends: float, track: int = 1) -> dict[str, Any]:
    """A complete event; times in milliseconds."""
    return {"name": name, "ph": "X", "cat": "x", "ts": begins * 1e3, "dur": (ends - begins) * 1e3, "tid": track}


EVENTS = [
    span("load", 0, 5),  # before the drag
    span("upload", 11, 12),
    span("graph", 12, 20),
    span("stage", 11, 21),
    span(TOTAL, 10, 22),
    span("graph", 12, 19, DEVICE_TRACK),
    span("graph", 31, 34),
    span(TOTAL, 30, 35),
    span("other thread", 11, 40, 2),
]


def test_own_times_add_up_to_the_drags_total() -> None:
    own = own_times(EVENTS)
    assert own == pytest.approx({TOTAL: 2 + 2, "stage": 1, "upload": 1, "graph": 8 + 3})
    assert sum(own.values()) == pytest.approx(12 + 5)


def test_the_table_has_the_largest_shares_first() -> None:
    drags = [{"fresh": fresh, "events": EVENTS} for fresh in (True, False, False)]
    figures = span_figures(drags)
    assert list(figures["drag"]) == ["graph", TOTAL, "stage", "upload"] and figures["drag"] == figures["first_drag"]
    report = {"context": {}, "runs": [{"size": "512x512", "steps": 1, "profile": {"spans_ms": figures}}]}
    table = spans([report, {"context": {}, "runs": [{"size": "512x512", "steps": 1, "profile": None}]}])
    assert [row[3] for row in table.rows] == ["drag", "first drag"]
    assert table.rows[0][5].startswith("graph 65%")
