"""MLPerf's single-stream scenario: each drag starts when the previous one is done.

A run has five windows, each in a new process, so that the figures include differences between processes and drift of
the machine, and every window has a cold start.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from edgedrag.benchmarks.latency.peaks import measure_peaks
from edgedrag.benchmarks.latency.power import Energy
from edgedrag.benchmarks.latency.profile import graph_figures
from edgedrag.benchmarks.latency.scene import Size, write_scene
from edgedrag.benchmarks.latency.series import WINDOWS, agree, figures
from edgedrag.benchmarks.latency.subject import Configuration, Subject
from edgedrag.benchmarks.nvidia import Card
from edgedrag.runtime import trace

PROCESSES = 5
SHARES = {"drag": 0.55, "first_drag": 0.3, "preview": 0.15}  # shares of a window's time
LEAST = 1  # smallest number of queries of each kind in a window
BATCH_SECONDS = 0.25  # length of a batch of queries
WARM_SECONDS = 1.5  # limit of the warm-up after its third batch
LONG_MS = 5000.0  # a query that takes longer needs no warm-up of many
PROFILED = 8  # drags with recorded spans
COLD = ("interpreter_ms", "import_ms", "open_ms", "load_weights_ms", "first_photo_ms", "first_drag_ms")


@dataclass(frozen=True)
class Cell:
    """A picture size and a number of steps."""

    size: Size
    steps: int


@dataclass
class Measured:
    """The measurements so far.

    Attributes:
        opened: the result of the first worker's `opened`.
        cold: the parts of the cold start in milliseconds, by process.
        windows: milliseconds by cell, kind of query, and window.
        profiles: drags with spans, by cell.
        warm_up: number of warm-up drags in each window, by cell.
    """

    opened: dict[str, Any] = field(default_factory=dict)
    cold: list[dict[str, float]] = field(default_factory=list)
    windows: dict[Cell, dict[str, list[list[float]]]] = field(default_factory=dict)
    profiles: dict[Cell, list[dict[str, Any]]] = field(default_factory=dict)
    warm_up: dict[Cell, list[int]] = field(default_factory=dict)
    energy: dict[Cell, Energy] = field(default_factory=dict)
    peaks: list[dict[str, Any]] = field(default_factory=list)
    host_mb: list[float] = field(default_factory=list)
    cell_mb: dict[Cell, float] = field(default_factory=dict)
    device_mb: list[float] = field(default_factory=list)


@dataclass(frozen=True)
class Bench:
    """What the scenarios share.

    Attributes:
        what: the configuration that is measured.
        steps: step counts to measure; None uses the bundle's default.
        folder: for scenes and logs.
        measured: filled by the scenarios; keeps its content if a run is interrupted.
        say: called with progress messages.
    """

    what: Configuration
    steps: tuple[int, ...] | None
    folder: Path
    say: Callable[[str], None]
    card: Card = field(default_factory=Card)
    measured: Measured = field(default_factory=Measured)

    def cells(self, sizes: tuple[Size, ...]) -> list[Cell]:
        """Each size with each step count; a subject has been opened before."""
        counts = self.steps or (self.measured.opened["default_steps"],)
        return [Cell(size, count) for size in sizes for count in counts]

    @contextmanager
    def open_subject(self, sizes: tuple[Size, ...]) -> Iterator[Subject]:
        """A process with the first photo loaded and a first drag made; records its cold start and memory."""
        measured = self.measured
        with Subject(self.what, self.folder) as subject:
            measured.opened = measured.opened or subject.opened
            measured.cold.append(started(subject, sizes[0], self.folder))
            yield subject
            used = subject.memory_mb()
            if used is not None:
                measured.host_mb.append(used)
            on_card = self.card.memory_mb(subject.pid)
            if on_card is not None:
                measured.device_mb.append(on_card)


def started(subject: Subject, size: Size, folder: Path) -> dict[str, float]:
    """The parts of a new process's cold start; `ready_ms`, where a first drag can begin; `total_ms`, where it ends."""
    loaded = subject.load(write_scene(folder, size))
    assert loaded is not None, "a new process has no photo"
    (first,) = subject.ask("drags", scene=str(size), steps=None, first=0, count=1, fresh=False)
    parts = {**subject.opened["cold"], "first_photo_ms": loaded}
    ready = sum(parts.values())
    return {**parts, "ready_ms": ready, "first_drag_ms": first["ms"], "total_ms": ready + first["ms"]}


def batch_size(ms: float) -> int:
    """The number of queries of this length in a batch."""
    return max(1, min(8, round(BATCH_SECONDS * 1e3 / max(ms, 1e-3))))


class Asker:
    """Sends drags and previews of one cell to a subject, cycling through the drags."""

    def __init__(self, subject: Subject, cell: Cell, folder: Path):
        """Load the cell's photo, which replaces the current one; its files are in `folder`."""
        subject.load(write_scene(folder, cell.size))
        self._subject, self._cell, self._turn = subject, cell, 1

    def ask(self, kind: str, count: int) -> Iterator[float]:
        """Run a number of queries, yielding their milliseconds."""
        place: dict[str, Any] = {"scene": str(self._cell.size), "first": self._turn, "count": count}
        self._turn += count
        if kind == "preview":
            answers = self._subject.ask("previews", **place)
        else:
            answers = self._subject.ask("drags", **place, steps=self._cell.steps, fresh=kind == "first_drag")
        for answer in answers:
            yield answer["ms"]

    def warm_up(self) -> int:
        """Drag until three batches agree, or one is long; returns the number of drags."""
        done, end = 0, time.perf_counter() + WARM_SECONDS
        medians: list[float] = []
        while len(medians) < WINDOWS or (not agree(medians) and time.perf_counter() < end):
            taken = list(self.ask("drag", batch_size(medians[-1]) if medians else 1))
            done += len(taken)
            medians.append(statistics.median(taken))
            if medians[-1] > LONG_MS:
                break
        return done

    def fill(self, kind: str, seconds: float, window: list[float]) -> None:
        """Run queries and add their times to a window until its time is over."""
        end = time.perf_counter() + seconds
        while time.perf_counter() < end or len(window) < LEAST:
            window.extend(self.ask(kind, batch_size(window[-1]) if window else 1))


def run(bench: Bench, sizes: tuple[Size, ...], seconds: float) -> None:
    """Fill `bench.measured`; `seconds` is for each cell."""
    for process in range(PROCESSES):
        bench.measured.peaks.append(measure_peaks(bench.what.options.threads))
        with bench.open_subject(sizes) as subject:
            cells = bench.cells(sizes)
            for cell in cells[process % len(cells) :] + cells[: process % len(cells)]:
                bench.say(f"window {process + 1} of {PROCESSES}: {cell.size}, {cell.steps} step(s)")
                measure_window(bench, subject, cell, seconds / PROCESSES)
                if process == PROCESSES - 1:
                    place = {"scene": str(cell.size), "steps": cell.steps}
                    profiled = list(subject.ask("profile", **place, first=0, count=PROFILED))
                    bench.measured.profiles[cell] = profiled
                    events = [event for drag in profiled for event in drag["events"]]
                    trace.forward(events, "measured process")


def measure_window(bench: Bench, subject: Subject, cell: Cell, seconds: float) -> None:
    """Add a window of each kind of query of a cell, and the memory after it."""
    measured = bench.measured
    asker = Asker(subject, cell, bench.folder)
    measured.warm_up.setdefault(cell, []).append(asker.warm_up())
    windows = measured.windows.setdefault(cell, {kind: [] for kind in SHARES})
    energy = measured.energy.setdefault(cell, Energy(bench.card))
    for kind, share in SHARES.items():
        windows[kind].append([])
        with energy if kind == "drag" else nullcontext():
            asker.fill(kind, share * seconds, windows[kind][-1])
    used = subject.memory_mb()
    if used is not None:
        measured.host_mb.append(used)
        # The minimum over processes: after another photo, some of its memory may still be in use.
        measured.cell_mb[cell] = min(used, measured.cell_mb.get(cell, used))


def summary(measured: Measured) -> dict[str, Any]:
    """The part of the report on this scenario."""
    runs = []
    for cell, kinds in sorted(measured.windows.items(), key=lambda item: (item[0].size.width, item[0].steps)):
        drags = sum(map(len, kinds["drag"]))
        runs.append(
            {
                "size": str(cell.size),
                "mask_width": 2 * cell.size.radius,
                "steps": cell.steps,
                "warm_up_drags": measured.warm_up.get(cell, []),
                "host_mb": measured.cell_mb.get(cell),
                **{kind: figures(windows) for kind, windows in kinds.items()},
                "profile": graph_figures(measured.profiles.get(cell, ())),
                "energy": measured.energy[cell].per(drags),
            }
        )
    return {"cold_start": cold_start(measured), "runs": runs, "memory": memory(measured)}


def cold_start(measured: Measured) -> dict[str, Any]:
    """Each part's median over processes, and their sums."""
    parts = {
        name: round(statistics.median(values), 2)
        for name in COLD
        if (values := [cold[name] for cold in measured.cold if name in cold])
    }
    total = sum(parts.values())
    ready = total - parts.get("first_drag_ms", 0)
    return {"n": len(measured.cold), **parts, "ready_ms": round(ready, 2), "total_ms": round(total, 2)}


def memory(measured: Measured) -> dict[str, Any]:
    """Peak memory of a process."""
    return {
        "host_mb": max(measured.host_mb, default=None),
        "device_mb": max(measured.device_mb, default=None),
        "device_reason": None if measured.device_mb else "no measured process uses an NVIDIA GPU",
    }
