"""Sustained load: drags for minutes without a pause, with clocks, temperatures and throttling."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from typing import Any

from edgedrag.benchmarks import sensors
from edgedrag.benchmarks.latency.power import Energy
from edgedrag.benchmarks.latency.profile import median
from edgedrag.benchmarks.latency.scene import Size
from edgedrag.benchmarks.latency.series import figures
from edgedrag.benchmarks.latency.single_stream import Asker, Bench, Cell, batch_size

SPANS = 60  # number of spans of a run; sensors are read at the end of each
ENDS = 0.1  # share of the spans at either end that are compared


@dataclass
class Course:
    """Milliseconds by span, and the sensor readings at the end of each span."""

    cell: Cell
    energy: Energy
    spans: list[list[float]] = field(default_factory=list)
    shown: list[dict[str, Any]] = field(default_factory=list)


def run(bench: Bench, size: Size, minutes: float, courses: list[Course]) -> None:
    """Add the cold start to `bench.measured` and one course to `courses`; uses the first step count."""
    with bench.open_subject((size,)) as subject:
        course = Course(bench.cells((size,))[0], Energy(bench.card))
        courses.append(course)
        asker = Asker(subject, course.cell, bench.folder)
        asker.warm_up()
        begin, length = time.perf_counter(), minutes * 60 / SPANS
        with course.energy:
            for number in range(SPANS):
                bench.say(f"{number * length / 60:.1f} of {minutes:g} minutes")
                course.spans.append([])
                asker_end = begin + (number + 1) * length
                while time.perf_counter() < asker_end or not course.spans[-1]:
                    last = course.spans[-1][-1] if course.spans[-1] else length * 1e3
                    course.spans[-1].extend(asker.ask("drag", batch_size(last)))
                course.shown.append({"at_s": round(time.perf_counter() - begin, 1), **sensors.sample(bench.card)})


def summary(course: Course) -> dict[str, Any]:
    """Figures, drift from the first to the last tenth, clocks and temperatures over time, and throttling."""
    spans = [span for span in course.spans if span]
    ends = max(1, round(ENDS * len(spans)))
    first, last = (median([ms for span in part for ms in span]) for part in (spans[:ends], spans[-ends:]))
    keys = {key for shown in course.shown for key in shown["throttle"]}
    grown = {
        key: values[-1] - values[0]
        for key in sorted(keys)
        if (values := [shown["throttle"].get(key, 0) for shown in course.shown])[-1] > values[0]
    }
    reasons = {shown["throttle"].get("gpu_reasons", 0) for shown in course.shown} - {0}
    return {
        "size": str(course.cell.size),
        "steps": course.cell.steps,
        "minutes": round(course.shown[-1]["at_s"] / 60, 2) if course.shown else 0.0,
        "drag": figures(course.spans),
        "first_tenth_ms": first,
        "last_tenth_ms": last,
        "drift": round(last / first - 1, 4),
        "throttled": bool(grown or reasons) if keys else None,
        "throttle_grown": grown,
        "shown": course.shown,
        "absent": [
            name for name in ("clocks", "temperatures_c", "throttle") if not any(shown[name] for shown in course.shown)
        ],
        "energy": course.energy.per(sum(map(len, spans))),
    }
