"""What tracing costs while it is off: this edgedrag against a copy whose spans were taken out, and while it records.

The copy's `with span(...)` lines are `if True`, so that nothing of them is left to run. Both take turns in one run, as
in `bench ab`.
"""

from __future__ import annotations

import re
import shutil
import statistics
import tempfile
import time
from pathlib import Path
from typing import Any

import click
import numpy as np

import edgedrag
from edgedrag.benchmarks.latency.compare import describe, measure_ab
from edgedrag.benchmarks.latency.scene import Size, disc, test_photo
from edgedrag.benchmarks.latency.subject import Configuration
from edgedrag.benchmarks.report import write_report
from edgedrag.runtime import trace
from edgedrag.runtime.image import check_file
from edgedrag.runtime.trace_file import tracing

SPAN = re.compile(r"^(\s*)with (?:span|on_device)\(.*\):$", re.M)
SIZE = Size(512, 512)
CALLS = 100_000  # of a span that is off
ROUNDS = 40  # of drags, one with a recording and one without


def without_spans(folder: Path) -> int:
    """Write a checkout of the runtime without its spans; returns how many there were."""
    package, copy = Path(edgedrag.__file__).parent, folder / "src" / "edgedrag"
    copy.mkdir(parents=True)
    shutil.copy(package / "__init__.py", copy)
    shutil.copytree(package / "runtime", copy / "runtime", ignore=shutil.ignore_patterns("__pycache__"))
    count = 0
    for file in (copy / "runtime").rglob("*.py"):
        text, found = SPAN.subn(r"\1if True:", file.read_text(encoding="utf-8"))
        file.write_text(text, encoding="utf-8")
        count += found
    return count


def cost_of_spans(rounds: int = ROUNDS) -> dict[str, Any]:
    """Spans of a drag, processor nanoseconds of one that is off, and a recorded drag's time over another's."""
    photo = edgedrag.open().load(test_photo(SIZE.height, SIZE.width))
    mask, (x, y) = disc(SIZE.height, SIZE.width, SIZE.radius)

    def drag(number: int) -> float:
        start = time.perf_counter()
        photo.drag([((x, y), (x + 20 + number % 16, y))], mask)
        taken = time.perf_counter() - start
        photo.undo()
        return taken

    for number in range(5):
        drag(number)
    with trace.recording() as events:
        drag(0)
    start = time.process_time()  # whatever else the machine does
    for _ in range(CALLS):
        with trace.span("motion", "graph", stage="drag", branch="single"):
            pass
    off_ns = (time.process_time() - start) / CALLS * 1e9
    ratios, off = [], []
    with tempfile.TemporaryDirectory() as folder:
        for number in range(rounds):
            pair = {}
            for recorded in (number % 2 == 0, number % 2 == 1):
                with tracing(Path(folder) / "trace.json" if recorded else None, "drags"):
                    pair[recorded] = drag(number)
            ratios.append(pair[True] / pair[False])
            off.append(pair[False] * 1e3)
    return {
        "spans_per_drag": len(events),
        "off_ns_per_span": round(off_ns, 1),
        "off_share_of_drag": round(len(events) * off_ns / 1e6 / statistics.median(off), 6),
        "recording_over_off": round(statistics.median(ratios), 4),
        "recording_over_off_quartiles": [round(float(np.quantile(ratios, q)), 4) for q in (0.25, 0.75)],
    }


@click.command()
@click.option("--seconds", type=click.FloatRange(1), default=40.0, show_default=True, help="For both together.")
@click.option("-o", "--output", type=click.Path(path_type=Path), help="Write the figures to this JSON file.")
def main(seconds: float, output: Path | None) -> None:
    """Print the time of drags with spans that are off (B) over drags without any (A)."""
    if output is not None:
        check_file(output)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name) / "without-spans"
        removed = without_spans(folder)
        found = measure_ab((Configuration(source=folder), None), (Configuration(), None), SIZE, seconds, lambda _: None)
    found["spans"] = {"places": removed, **cost_of_spans()}
    write_report(found, output)
    click.echo(describe(found))
    for label, value in found["spans"].items():
        click.echo(f"  {label.replace('_', ' ')}: {value}")


if __name__ == "__main__":
    main()
