"""`edgedrag bench studio`: the station with one browser, under load, and over many edits."""

from __future__ import annotations

import asyncio
import os
import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from edgedrag.benchmarks.context import context
from edgedrag.benchmarks.formatting import number
from edgedrag.benchmarks.station.browser import Visitor, browser
from edgedrag.benchmarks.station.brushes import describe_strokes, strokes
from edgedrag.benchmarks.station.load import TRIES, Tally, crowd, row
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
LOOKS = (0.1, 0.4, 0.7, 1.0)  # shares of the edits after which memory is looked at; the last is compared with the first
PARTS = ("browser", "load", "edits")


@dataclass(frozen=True)
class Wanted:
    """What is measured, of PARTS; visitors at once and seconds are those of "load"."""

    visitors: int = 32
    seconds: float = 120.0
    edits: int = 500
    parts: Sequence[str] = PARTS


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
    """Concurrent visitors with a short queue; ends at most GRACE and a reply's timeout after `seconds`."""
    photo = encode_picture(Path("photo.jpg"), Picture(picture(CROWD_SIZE)))
    with Kiosk(folder / "crowd", "--queue", str(QUEUE)) as kiosk:
        before, begun = resident_mb(kiosk.process.pid), time.monotonic()
        tallies = asyncio.run(crowd(kiosk.url, photo, visitors, seconds))
        took, full = time.monotonic() - begun, resident_mb(kiosk.process.pid)
        time.sleep(SWEPT_SECONDS)
        empty = resident_mb(kiosk.process.pid)
    counts = [tally.edits for tally in tallies]
    return {
        "visitors": visitors,
        "seconds": seconds,
        "took_s": round(took, 1),
        "queue": QUEUE,
        "edits": sum(counts),
        "previews": sum(tally.previews for tally in tallies),
        "busy": sum(tally.busy for tally in tallies),
        "gave_up": sum(tally.gave_up for tally in tallies),
        "late": sum(tally.late for tally in tallies),
        "errors": sum(len(tally.errors) for tally in tallies),
        "first_errors": [error for tally in tallies for error in tally.errors][:3],
        "edits_each_least": min(counts),
        "edits_each_most": max(counts),
        "fairness": fairness(counts),
        **spread([second for tally in tallies for second in tally.seconds]),
        "each": [of_visitor(tally) for tally in tallies],
        "memory_at_the_start_mb": round(before, 1),
        "memory_at_the_end_mb": round(full, 1),
        "memory_when_all_have_gone_mb": round(empty, 1),
    }


def of_visitor(tally: Tally) -> dict[str, Any]:
    """What one of many visitors got."""
    counts = {"edits": tally.edits, "previews": tally.previews, "busy": tally.busy, "gave_up": tally.gave_up}
    return {**counts, "late": tally.late, "errors": len(tally.errors), **spread(tally.seconds)}


def over_many_edits(folder: Path, edits: int, say: Callable[[str], None]) -> dict[str, Any]:
    """Resident memory before the first, at some between, and after the last of many edits by consecutive visitors."""
    photo = encode_picture(Path("photo.jpg"), Picture(picture(CROWD_SIZE)))
    total, made, begun = Tally(), 0, time.monotonic()
    with Kiosk(folder / "many") as kiosk:
        at, held = [0], [resident_mb(kiosk.process.pid)]
        for share in LOOKS:
            visitors = max(round(edits * share / EDITS_EACH) - made // EDITS_EACH, 1)
            tally = asyncio.run(row(kiosk.url, photo, visitors, EDITS_EACH, made))
            total.edits, total.errors = total.edits + tally.edits, total.errors + tally.errors
            total.seconds += tally.seconds
            time.sleep(SWEPT_SECONDS)
            made += visitors * EDITS_EACH
            at.append(made)
            held.append(resident_mb(kiosk.process.pid))
            say(f"{made} of {edits} edits, {held[-1]:.0f} MB, {time.monotonic() - begun:.0f} s")
    return {
        "edits": at,
        "made": total.edits,
        "memory_mb": [round(mb, 1) for mb in held],
        "growth": round(held[-1] / held[1] - 1, 4),
        "errors": len(total.errors),
        "first_errors": total.errors[:3],
        **spread(total.seconds),
    }


def fairness(counts: Sequence[int]) -> float:
    """Jain's fairness index: 1 if all counts are equal, 1 / n if one visitor gets everything."""
    squares = sum(count**2 for count in counts)
    return round(sum(counts) ** 2 / (len(counts) * squares), 4) if squares else 0.0


def spread(seconds: Sequence[float]) -> dict[str, float]:
    """Percentiles of the time from the first request of an edit to its result, ms; empty where there was none."""
    if not seconds:
        return {}
    ordered = sorted(seconds)
    at = {"median": 0.5, "95": 0.95, "99": 0.99, "most": 1.0}
    return {f"edit_ms_{name}": round(ordered[int(share * (len(ordered) - 1))] * 1e3, 1) for name, share in at.items()}


def measure(runtime: Runtime, what: Wanted, say: Callable[[str], None]) -> dict[str, Any]:
    """The figures of the parts that are wanted; `in_browser` has the reason if no browser is available.

    Args:
        say: called with the name of each part as it begins.
    """
    figures = {**context(runtime), "load_average": round(os.getloadavg()[0], 2)}  # before the measurement
    with scratch_folder() as folder:
        if "browser" in what.parts:
            say("in a browser")
            try:
                figures["in_browser"] = in_browser(folder)
            except InputError as error:
                figures["in_browser"] = {"skipped": str(error)}
        if "load" in what.parts:
            say(f"{what.visitors} visitors for {number(what.seconds)} s")
            figures["under_load"] = under_load(folder, what.visitors, what.seconds)
        if "edits" in what.parts:
            say(f"{what.edits} edits")
            figures["over_many_edits"] = over_many_edits(folder, what.edits, say)
    return figures


def describe(figures: dict[str, Any]) -> str:
    """The figures as text."""
    lines = []
    for name, seen in figures.get("in_browser", {}).items():
        if isinstance(seen, dict):
            lines.append(
                f"{name:<8} {number(seen['preview_frames_per_s'])} preview frames a second, "
                f"result {number(seen['release_to_result_ms'])} ms after release"
            )
            lines += describe_strokes(seen["brushes"])
        else:
            lines.append(f"{name:<8} {seen}")
    if load := figures.get("under_load"):
        lines += _describe_load(load)
    if many := figures.get("over_many_edits"):
        held = ", ".join(f"{number(mb)} MB after {count}" for count, mb in zip(many["edits"], many["memory_mb"]))
        lines.append(
            f"memory   {held} edits ({many['growth']:+.1%} since the first {many['edits'][1]}), {many['errors']} errors"
        )
    return "\n".join(lines)


def _describe_load(load: dict[str, Any]) -> list[str]:
    medians = [visitor["edit_ms_median"] for visitor in load["each"] if visitor["edits"]]
    slowest = [visitor["edit_ms_95"] for visitor in load["each"] if visitor["edits"]]
    lines = [
        f"load     {load['visitors']} visitors for {number(load['seconds'])} s ({number(load['took_s'])} until all had "
        f"gone): {load['edits']} edits, {load['edits_each_least']} to {load['edits_each_most']} each, fairness "
        f"{number(load['fairness'])}",
        f"         {load['busy']} answers busy, {load['gave_up']} edits given up after {TRIES} of them, {load['late']} "
        f"visitors late, {load['errors']} errors",
    ]
    if medians:
        lines.append(
            f"         request to result {number(load['edit_ms_median'])} ms in the median (of a visitor "
            f"{number(min(medians))} to {number(max(medians))}), 95% within {number(load['edit_ms_95'])} ms (of a "
            f"visitor {number(min(slowest))} to {number(max(slowest))})"
        )
    names = ("at_the_start", "at_the_end", "when_all_have_gone")
    held = [number(load[f"memory_{name}_mb"]) for name in names]
    return [*lines, f"         {held[0]} MB before, {held[1]} MB with all of them, {held[2]} MB when they had gone"]
