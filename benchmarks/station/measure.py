"""`edgedrag bench studio`: the station with one browser, under load, and over many edits."""

from __future__ import annotations

import asyncio
import os
import statistics
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from edgedrag.benchmarks.context import context
from edgedrag.benchmarks.formatting import number
from edgedrag.benchmarks.station.browser import Visitor, browser
from edgedrag.benchmarks.station.brushes import describe_strokes, strokes
from edgedrag.benchmarks.station.load import Tally, crowd, row
from edgedrag.benchmarks.station.process import Kiosk
from edgedrag.benchmarks.station.synthetic import SIZES, photo_file, picture
from edgedrag.runtime.errors import InputError
from edgedrag.runtime.files import scratch_folder
from edgedrag.runtime.photo.picture import Picture, encode_picture
from edgedrag.runtime.session.runtime import Runtime
from edgedrag.studio.health.memory import resident_mb

CROWD_SIZE = (1200, 800)
QUEUE = 16  # queue length under load; short, so that "busy" replies occur
PULLS = 8  # in the browser, for each photo
EDITS_EACH = 10  # of each visitor in the memory test
SWEPT_SECONDS = 3  # wait until memory of ended sessions is returned to the system
FIRST, LAST = 50, 500  # edits after which memory is compared


def in_browser(folder: Path) -> dict[str, Any]:
    """Preview frames per second and time from release to result, by photo."""
    figures: dict[str, Any] = {}
    with Kiosk(folder / "one") as kiosk, browser() as running:
        for name, size in SIZES.items():
            visitor = Visitor(running, kiosk.url)
            visitor.open(photo_file(folder, size), *size)
            rates, releases = [], []
            for number in range(PULLS):
                x, y = size[0] * (0.3 + 0.05 * number), size[1] * (0.35 + 0.04 * number)
                visitor.forget_frames()
                begun = time.monotonic()
                visitor.pull((x, y), (x + size[0] * 0.04, y + size[1] * 0.03), steps=60, let_go=False)
                rates.append(visitor.frames() / (time.monotonic() - begun))
                visitor.forget_result()
                visitor.touch("touchEnd")
                visitor.shown()
                releases.append(visitor.release_ms())
            figures[name] = {
                "pulls": PULLS,
                "preview_frames_per_s": round(statistics.median(rates), 1),
                "preview_frames_per_s_least": round(min(rates), 1),
                "release_to_result_ms": round(statistics.median(releases), 1),
                "release_to_result_ms_most": round(max(releases), 1),
                "brushes": strokes(visitor, size),
            }
            visitor.context.close()
        figures["browser"] = f"Chromium {running.version}, no graphics card, 1280 x 800"
    return figures


def under_load(folder: Path, visitors: int, seconds: float) -> dict[str, Any]:
    """Concurrent visitors with a short queue."""
    photo = encode_picture(Path("photo.jpg"), Picture(picture(CROWD_SIZE)))
    with Kiosk(folder / "crowd", "--queue", str(QUEUE)) as kiosk:
        tallies = asyncio.run(crowd(kiosk.url, photo, visitors, seconds))
        full = resident_mb(kiosk.process.pid)
        time.sleep(SWEPT_SECONDS)
        empty = resident_mb(kiosk.process.pid)
    counts = [tally.edits for tally in tallies]
    return {
        "visitors": visitors,
        "seconds": seconds,
        "queue": QUEUE,
        "edits": sum(counts),
        "previews": sum(tally.previews for tally in tallies),
        "busy": sum(tally.busy for tally in tallies),
        "errors": sum(len(tally.errors) for tally in tallies),
        "first_errors": [error for tally in tallies for error in tally.errors][:3],
        "edits_each_least": min(counts),
        "edits_each_most": max(counts),
        "fairness": fairness(counts),
        **spread(tallies),
        "memory_at_the_end_mb": round(full, 1),
        "memory_when_all_have_gone_mb": round(empty, 1),
    }


def over_many_edits(folder: Path) -> dict[str, Any]:
    """Resident memory after FIRST and after LAST edits of consecutive visitors."""
    photo = encode_picture(Path("photo.jpg"), Picture(picture(CROWD_SIZE)))
    with Kiosk(folder / "many") as kiosk:
        held, errors = [], 0
        for begin, end in ((0, FIRST), (FIRST, LAST)):
            tally = asyncio.run(row(kiosk.url, photo, (end - begin) // EDITS_EACH, EDITS_EACH, begin))
            errors += len(tally.errors)
            time.sleep(SWEPT_SECONDS)
            held.append(resident_mb(kiosk.process.pid))
    return {
        "edits": [FIRST, LAST],
        "memory_mb": [round(mb, 1) for mb in held],
        "growth": round(held[1] / held[0] - 1, 4),
        "errors": errors,
    }


def fairness(counts: Sequence[int]) -> float:
    """Jain's fairness index: 1 if all counts are equal, 1 / n if one visitor gets everything."""
    squares = sum(count**2 for count in counts)
    return round(sum(counts) ** 2 / (len(counts) * squares), 4) if squares else 0.0


def spread(tallies: Sequence[Tally]) -> dict[str, float]:
    """Median and 95th percentile of the time from request to result, ms."""
    seconds = sorted(second for tally in tallies for second in tally.seconds)
    if not seconds:
        return {}
    return {
        "edit_ms_median": round(statistics.median(seconds) * 1e3, 1),
        "edit_ms_95": round(seconds[int(0.95 * (len(seconds) - 1))] * 1e3, 1),
    }


def measure(runtime: Runtime, visitors: int, seconds: float) -> dict[str, Any]:
    """All figures; `in_browser` has the reason if no browser is available."""
    with scratch_folder() as folder:
        try:
            seen: dict[str, Any] = in_browser(folder)
        except InputError as error:
            seen = {"skipped": str(error)}
        return {
            **context(runtime),
            "load_average": round(os.getloadavg()[0], 2),  # before the measurement
            "in_browser": seen,
            "over_many_edits": over_many_edits(folder),
            "under_load": under_load(folder, visitors, seconds),
        }


def describe(figures: dict[str, Any]) -> str:
    """The figures as text."""
    lines = []
    for name, seen in figures["in_browser"].items():
        if isinstance(seen, dict):
            lines.append(
                f"{name:<8} {number(seen['preview_frames_per_s'])} preview frames a second, "
                f"result {number(seen['release_to_result_ms'])} ms after release"
            )
            lines += describe_strokes(seen["brushes"])
        else:
            lines.append(f"{name:<8} {seen}")
    many, load = figures["over_many_edits"], figures["under_load"]
    held = many["memory_mb"]
    lines.append(
        f"memory   {number(held[0])} MB after {FIRST} edits, {number(held[1])} MB after {LAST} ({many['growth']:+.1%})"
    )
    lines.append(
        f"load     {load['visitors']} visitors for {number(load['seconds'])} s: {load['edits']} edits, "
        f"{load['busy']} busy, {load['errors']} errors, fairness {number(load['fairness'])}, "
        f"95% within {number(load.get('edit_ms_95', 0))} ms"
    )
    return "\n".join(lines)
