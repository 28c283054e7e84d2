"""The cost of tracing: while it is off, against a copy of edgedrag without spans; and while it records.

python -m edgedrag.benchmarks.latency.tracing -o REPORT.json

In the copy, `with span(...)` is replaced by `if True`. Both are interleaved in one run, as in `bench ab`, with one
thread each, so that CPU time does not depend on the load of the machine.
"""

from __future__ import annotations

import json
import re
import shutil
import statistics
import time
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import click
import numpy as np

import edgedrag
from edgedrag.benchmarks.context import machine
from edgedrag.benchmarks.latency import ratios
from edgedrag.benchmarks.latency.profile import innermost_share
from edgedrag.benchmarks.latency.scene import Size, disc, test_photo, write_scene
from edgedrag.benchmarks.latency.subject import Configuration, Subject
from edgedrag.benchmarks.report import write_report
from edgedrag.runtime import trace
from edgedrag.runtime.files import check_file, scratch_folder
from edgedrag.runtime.options import RuntimeOptions
from edgedrag.runtime.trace_file import tracing

SPAN = re.compile(r"^(\s*)with (?:span|on_device)\(.*\):$", re.M)
SIZE = Size(512, 512)
PAIRS = 5  # number of pairs of interleaved processes
TURN = 4  # drags in a turn, after one that warms the caches
KINDS = ("ms", "processor_ms")  # wall time and CPU time
ONE_THREAD = RuntimeOptions(threads=1)
CALLS = 100_000  # timed calls of a disabled span
ROUNDS = 40  # pairs of a recorded and an unrecorded drag


def without_spans(folder: Path) -> int:
    """Write a copy of the runtime without spans; returns the number of removed spans."""
    package, copy = Path(edgedrag.__file__).parent, folder / "src" / "edgedrag"
    copy.mkdir(parents=True)
    shutil.copy(package / "__init__.py", copy)
    shutil.copytree(package / "runtime", copy / "runtime", ignore=shutil.ignore_patterns("__pycache__"))
    count = 0
    for file in (copy / "runtime").rglob("*.py"):
        text, replaced = SPAN.subn(r"\1if True:", file.read_text(encoding="utf-8"))
        file.write_text(text, encoding="utf-8")
        count += replaced
    return count


def off_over_without(folder: Path, seconds: float, pairs: int = PAIRS) -> dict[str, Any]:
    """The time of drags with disabled spans over drags without spans, with 95% intervals.

    Args:
        folder: for files; `folder / "without"` has the copy from `without_spans`.
        seconds: total time.
    """
    sides = (Configuration(ONE_THREAD, source=folder / "without"), Configuration(ONE_THREAD))
    taken: dict[str, list[tuple[list[list[float]], list[list[float]]]]] = {kind: [] for kind in KINDS}
    for _ in range(pairs):
        with ExitStack() as stack:
            subjects = [stack.enter_context(Subject(what, folder)) for what in sides]
            for subject in subjects:
                subject.load(write_scene(folder, SIZE))
            for kind in KINDS:
                taken[kind].append(([], []))
            end, turn = time.perf_counter() + seconds / pairs, 0
            while time.perf_counter() < end or turn < ratios.LEAST_WINDOWS:
                for side in (0, 1)[:: -1 if turn % 2 else 1]:
                    place = {"scene": str(SIZE), "steps": None, "first": turn * TURN, "fresh": False}
                    answers = list(subjects[side].ask("drags", **place, count=TURN + 1))[1:]
                    for kind in KINDS:
                        taken[kind][-1][side].append([answer[kind] for answer in answers])
                turn += 1
            opened = subjects[1].opened
    rows: dict[str, Any] = {**machine(opened["device"]), "precision": opened["precision"], "size": str(SIZE)}
    for kind, in_turns in taken.items():
        ratio = ratios.in_pairs(in_turns)
        middle = [statistics.median(ms for pair in in_turns for turn in pair[side] for ms in turn) for side in (0, 1)]
        rows[kind] = {"drags": sum(len(turn) for pair in in_turns for turn in pair[1])}
        rows[kind] |= {"without": round(middle[0], 3), "off": round(middle[1], 3)}
        rows[kind] |= ratio.as_json() if ratio else {"ratio": None}
    return rows


def cost_of_spans(rounds: int = ROUNDS) -> dict[str, Any]:
    """The cost of spans: their number and share of a drag, CPU time of a disabled span (ns), and the CPU time of
    recorded drags over that of others.
    """
    photo = edgedrag.open(threads=1).load(test_photo(SIZE.height, SIZE.width))
    mask, (x, y) = disc(SIZE.height, SIZE.width, SIZE.radius)

    def drag(number: int) -> float:
        start = time.process_time()
        photo.drag([((x, y), (x + 20 + number % 16, y))], mask)
        taken = time.process_time() - start
        photo.undo()
        return taken

    for number in range(5):
        drag(number)
    shares = []
    for number in range(rounds):
        with trace.recording() as events:
            drag(number)
        shares.append(innermost_share(events))
    start = time.process_time()
    for _ in range(CALLS):
        with trace.span("motion", "graph", stage="drag", branch="single"):
            pass
    off_ns = (time.process_time() - start) / CALLS * 1e9
    recorded_over_off = []
    with scratch_folder() as folder:
        for number in range(rounds):
            pair = {}
            for recorded in (number % 2 == 0, number % 2 == 1):
                with tracing(folder / "trace.json" if recorded else None, "drags"):
                    pair[recorded] = drag(number)
            recorded_over_off.append(pair[True] / pair[False])
    return {
        "spans_per_drag": len(events),
        "innermost_share": round(statistics.median(shares), 4),
        "innermost_share_least": round(min(shares), 4),
        "off_ns_per_span": round(off_ns, 1),
        "off_us_per_drag": round(len(events) * off_ns / 1e3, 1),
        "recording_over_off": round(statistics.median(recorded_over_off), 4),
        "recording_over_off_quartiles": [round(float(np.quantile(recorded_over_off, q)), 4) for q in (0.25, 0.75)],
    }


@click.command()
@click.option("--seconds", type=click.FloatRange(1), default=40.0, show_default=True, help="Total time.")
@click.option("-o", "--output", type=click.Path(path_type=Path), help="Write the figures to this JSON file.")
def main(seconds: float, output: Path | None) -> None:
    """Print the time of drags with disabled spans over drags without spans, and the cost of spans."""
    if output is not None:
        check_file(output)
    with scratch_folder() as folder:
        places = without_spans(folder / "without")
        figures = {**off_over_without(folder, seconds), "places": places, **cost_of_spans()}
    write_report(figures, output)
    click.echo(json.dumps(figures, indent=1))


if __name__ == "__main__":
    main()
