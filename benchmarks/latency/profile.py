"""A drag's time by graph, by step, and outside the graphs."""

from __future__ import annotations

import statistics
from collections.abc import Iterable, Sequence
from typing import Any

from edgedrag.runtime.session.edit import TOTAL
from edgedrag.runtime.trace import DEVICE_TRACK, Event

NESTED = 1e-3  # microseconds, by which a span may begin before the one before it ends


def median(values: Iterable[float]) -> float:
    return round(statistics.median(values), 3)


def graph_spans(events: Iterable[Event]) -> list[Event]:
    """The host's spans of graph runs; on a device they end when its work is done."""
    return [event for event in events if event["cat"] == "graph" and event["tid"] != DEVICE_TRACK]


def innermost_share(events: Sequence[Event]) -> float:
    """The share of recorded drags' total time in the host's innermost spans."""
    spans = [event for event in events if event["ph"] == "X" and event["tid"] != DEVICE_TRACK]

    def holds(outer: Event, inner: Event) -> bool:
        return outer["ts"] <= inner["ts"] and inner["ts"] + inner["dur"] <= outer["ts"] + outer["dur"]

    inner = [s for s in spans if not any(other is not s and holds(s, other) for other in spans)]
    return sum(s["dur"] for s in inner) / sum(s["dur"] for s in spans if s["name"] == TOTAL)


def own_times(events: Iterable[Event]) -> dict[str, float]:
    """Milliseconds of recorded drags by span, each without the spans inside it; they add up to the drags' total."""
    spans = [e for e in events if e["ph"] == "X" and e["tid"] != DEVICE_TRACK]
    around: list[Event] = []  # the spans that the present one lies in
    own: dict[str, float] = {}
    for span in sorted(spans, key=lambda e: (e["tid"], e["ts"], -e["dur"])):
        while around and (around[-1]["tid"] != span["tid"] or _end(around[-1]) <= span["ts"] + NESTED):
            around.pop()
        if span["name"] == TOTAL or around:
            own[span["name"]] = own.get(span["name"], 0.0) + span["dur"] / 1e3
            if around:
                own[around[-1]["name"]] -= span["dur"] / 1e3
            around.append(span)
    return own


def _end(span: Event) -> float:
    return float(span["ts"] + span["dur"])


def span_figures(drags: Sequence[dict[str, Any]]) -> dict[str, dict[str, float]]:
    """Medians of `own_times` over further drags and over first ones, the longest first."""
    figures = {}
    for kind, fresh in (("drag", False), ("first_drag", True)):
        found = [own_times(drag["events"]) for drag in drags if drag["fresh"] == fresh]
        names = {name for times in found for name in times}
        medians = {name: median(times.get(name, 0.0) for times in found) for name in names}
        figures[kind] = dict(sorted(medians.items(), key=lambda pair: (-pair[1], pair[0])))
    return figures


def graph_figures(drags: Sequence[dict[str, Any]]) -> dict[str, Any] | None:
    """Medians over drags with recorded spans, see `worker.Worker.profile`; None if there are none.

    Half of the drags are on newly loaded photos; only these run the graphs that depend on the photo alone.
    """
    if not drags:
        return None
    graphs: dict[str, list[float]] = {}
    steps: list[list[float]] = []
    outside: dict[str, list[float]] = {"drag": [], "first_drag": []}
    totals = []
    for drag in drags:
        inside: dict[str, float] = {}
        spans = graph_spans(drag["events"])
        loop = [(span["name"], span["dur"] / 1e3) for span in spans if span["args"]["stage"] == "denoise"]
        for span in spans:
            inside[span["name"]] = inside.get(span["name"], 0.0) + span["dur"] / 1e3
        for name, ms in inside.items():
            graphs.setdefault(name, []).append(ms)
        width = len({name for name, _ in loop})  # graphs per step
        steps.append([sum(ms for _, ms in loop[at : at + width]) for at in range(0, len(loop), width)])
        outside["first_drag" if drag["fresh"] else "drag"].append(drag["ms"] - sum(inside.values()))
        totals.append(drag["ms"])
    return {
        "n": len(drags),
        "graphs_ms": {name: median(values) for name, values in graphs.items()},
        "steps_ms": [median(values) for values in zip(*steps)],
        "outside_graphs_ms": {kind: median(values) for kind, values in outside.items() if values},
        "spans_ms": span_figures(drags),
        "total_ms": median(totals),
    }
