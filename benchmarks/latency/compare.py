"""Comparing two configurations: from two reports, or interleaved in one run."""

from __future__ import annotations

import math
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from edgedrag.benchmarks.context import full_context
from edgedrag.benchmarks.formatting import number
from edgedrag.benchmarks.latency import ratios
from edgedrag.benchmarks.latency.early_stopping import median
from edgedrag.benchmarks.latency.interleaved import Turns, take_turns, whole_rounds
from edgedrag.benchmarks.latency.machine_load import MachineLoad, first_line
from edgedrag.benchmarks.latency.measure import FORMAT, FORMAT_VERSION
from edgedrag.benchmarks.latency.ratios import Ratio
from edgedrag.benchmarks.latency.scene import Size
from edgedrag.benchmarks.latency.series import pooled
from edgedrag.benchmarks.latency.single_stream import SHARES, Asker, Cell, started
from edgedrag.benchmarks.latency.subject import Configuration, Subject
from edgedrag.benchmarks.nvidia import Card
from edgedrag.benchmarks.report import read_json
from edgedrag.runtime.errors import InputError
from edgedrag.runtime.files import scratch_folder

PAIRS = 5  # number of pairs of interleaved processes
# From the start of a process to the beginning and to the end of its first drag: kinds, and fields of `started`,
START = {"ready": "ready_ms", "start": "total_ms"}
STARTS = 3  # of so many processes on each side of a pair; the last one goes on
DECIDES = "drag"  # the kind of query that determines verdict and exit code
CONTEXT_FIELDS = (
    "device", "cpus", "bundle", "manifest_sha256", "backend", "precision", "governor", "nvpmodel", "git_revision",
)  # fmt: skip


def read_report(file: Path) -> dict[str, Any]:
    """Read a report of `bench latency`.

    Raises:
        InputError: the file is no such report, or has another format version.
    """
    report = read_json(file)
    if not isinstance(report, dict) or report.get("format") != FORMAT:
        raise InputError(f"{file}: not a report of `edgedrag bench latency`")
    if report.get("format_version") != FORMAT_VERSION:
        raise InputError(
            f"{file}: report version {report.get('format_version')}, this edgedrag reads version {FORMAT_VERSION}; "
            "measure again"
        )
    return report


def series_of(report: dict[str, Any]) -> dict[tuple[str, int, str], list[list[float]]]:
    """Samples by window, for each size, step count and kind of query."""
    parts = [*report["runs"], *report.get("interactive", ()), *report.get("sustained", ())]
    return {
        (part["size"], part["steps"], kind): part[kind]["samples_ms"]
        for part in parts
        for kind in (*SHARES, "result")
        if kind in part
    }


def compare_reports(first: dict[str, Any], second: dict[str, Any]) -> dict[str, Any]:
    """Ratios of all series that both reports have. The intervals of drags hold jointly with 95% confidence.

    Raises:
        InputError: the reports have no series in common.
    """
    ours, theirs = series_of(first), series_of(second)
    shared = [key for key in ours if key in theirs]
    if not shared:
        raise InputError("the reports have no size, step count and scenario in common")
    confidence = 1 - (1 - ratios.CONFIDENCE) / max(1, sum(kind == DECIDES for _, _, kind in shared))
    rows = []
    for size, steps, kind in shared:
        windows = ours[size, steps, kind], theirs[size, steps, kind]
        rows.append(_row(size, steps, kind, windows, ratios.between_runs(*windows, confidence)))
    differs = {
        name: [(report["context"] or {}).get(name) for report in (first, second)]
        for name in CONTEXT_FIELDS
        if (first["context"] or {}).get(name) != (second["context"] or {}).get(name)
    }
    return {
        "verdict": overall(rows),
        "complete": bool(first["complete"] and second["complete"]),
        "in_turns": False,
        "rows": rows,
        "differs": differs,
    }


def _row(size: str, steps: int, kind: str, windows: tuple[Any, Any], ratio: Ratio | None) -> dict[str, Any]:
    sides = [pooled(side) for side in windows]
    outcome = ratio.as_json() if ratio else {"ratio": None, "interval": None, "verdict": "no difference shown"}
    return {
        "size": size,
        "steps": steps,
        "kind": kind,
        "n": [len(side) for side in sides],
        "median_ms": [median(side) for side in sides],
        **outcome,
        "reason": None if ratio else f"a comparison needs {ratios.LEAST_WINDOWS} windows, or pairs, of each",
    }


def overall(rows: list[dict[str, Any]]) -> str:
    """Slower if any drag is; faster if some are and none is slower. Without drags, all rows count."""
    verdicts = {row["verdict"] for row in rows if row["kind"] == DECIDES} or {row["verdict"] for row in rows}
    return next((v for v in ("slower", "faster") if v in verdicts), "no difference shown")


def measure_ab(
    first: tuple[Configuration, int | None],
    second: tuple[Configuration, int | None],
    size: Size,
    seconds: float,
    say: Callable[[str], None],
) -> dict[str, Any]:
    """Measure both sides in separate interleaved processes; `complete` is false if interrupted.

    Args:
        first, second: configuration and step count; None uses the bundle's default steps.
        seconds: total time.
    """
    pairs: dict[str, list[Turns]] = {kind: [] for kind in (*SHARES, *START)}
    contexts: dict[str, Any] = {}
    steps: dict[str, int] = {}
    sides = {"a": first, "b": second}
    complete, machine = False, MachineLoad()
    with scratch_folder() as folder:
        try:
            for pair in range(PAIRS):
                machine.sample()
                starts: dict[str, Turns] = {kind: {"a": [], "b": []} for kind in START}
                for side in (("a", "b") * (STARTS - 1))[:: -1 if pair % 2 else 1]:
                    say(f"pair {pair + 1} of {PAIRS}: start")
                    with Subject(sides[side][0], folder) as subject:
                        _add(starts, side, started(subject, size, folder))
                with ExitStack() as stack:
                    askers = {}
                    for side, (what, count) in sides.items():
                        subject = stack.enter_context(Subject(what, folder))
                        steps[side] = count or subject.opened["default_steps"]
                        contexts[side] = contexts.get(side) or side_context(subject, what)
                        _add(starts, side, started(subject, size, folder))
                        askers[side] = Asker(subject, Cell(size, steps[side]), folder)
                        askers[side].warm_up()
                    for kind, turns in starts.items():
                        pairs[kind].append(turns)
                    for kind, share in SHARES.items():
                        say(f"pair {pair + 1} of {PAIRS}: {kind}")
                        pairs[kind].append({})
                        take_turns(askers, kind, share * seconds / PAIRS, pairs[kind][-1])
            complete = True
        except KeyboardInterrupt:
            say("interrupted; the report has the samples so far")
    rows = ab_rows(pairs, size, steps)
    return {
        "format": "edgedrag-ab",
        "format_version": 1,
        "verdict": overall(rows),
        "complete": complete,
        "in_turns": True,
        "seconds": seconds,
        "seconds_for_5_percent": seconds_for(rows, seconds),
        "machine": machine.summary(),
        "rows": rows,
        "differs": ab_differences(contexts, steps),
        "a": contexts.get("a"),
        "b": contexts.get("b"),
        "samples_ms": {kind: [whole_rounds(turns) for turns in taken] for kind, taken in pairs.items()},
    }


def _add(starts: dict[str, Turns], side: str, parts: dict[str, float]) -> None:
    """Add a start to those of a side."""
    for kind, field in START.items():
        starts[kind][side].append([parts[field]])


def ab_rows(pairs: dict[str, list[Turns]], size: Size, steps: dict[str, int]) -> list[dict[str, Any]]:
    """The ratio of each kind of query, from its whole rounds."""
    rows = []
    for kind, taken in pairs.items():
        whole = [turns for turns in map(whole_rounds, taken) if turns and turns["a"]]
        if whole:
            windows = tuple([sample for turns in whole for sample in turns[side]] for side in ("a", "b"))
            ratio = ratios.in_pairs([(turns["a"], turns["b"]) for turns in whole])
            rows.append(_row(str(size), steps["a"], kind, (windows[0], windows[1]), ratio))
    return rows


def seconds_for(rows: list[dict[str, Any]], seconds: float, difference: float = 0.05) -> float | None:
    """How long a run would need for an interval of drags that shows such a difference; None without an interval.

    The interval's half narrows with the square root of the time. That between pairs of processes narrows less, so
    that this is the least.
    """
    interval = next((row["interval"] for row in rows if row["kind"] == DECIDES), None)
    if interval is None:
        return None
    half = math.log(interval[1] / interval[0]) / 2
    return round(seconds * (half / math.log1p(difference)) ** 2, 1)


def ab_differences(contexts: dict[str, Any], steps: dict[str, int]) -> dict[str, list[Any]]:
    """What differs between the sides' contexts and step counts."""
    differs = {
        name: [contexts[side].get(name) for side in ("a", "b")]
        for name in (*CONTEXT_FIELDS, "source")
        if len(contexts) == 2 and contexts["a"].get(name) != contexts["b"].get(name)
    }
    if len(set(steps.values())) == 2:
        differs["steps"] = [steps["a"], steps["b"]]
    return differs


def side_context(subject: Subject, what: Configuration) -> dict[str, Any]:
    """The context of one side, without git revision if another checkout is measured."""
    context = full_context(subject.opened, Card())
    if what.source is not None:
        context.update(source=what.source.name, git_revision=None)
    return {**context, "cold_start": subject.opened["cold"]}


def describe(comparison: dict[str, Any]) -> str:
    """The comparison as text."""
    how = "interleaved in one run" if comparison["in_turns"] else "two runs"
    busy = first_line(comparison.get("machine"))
    lines = [] if busy is None else [busy]
    lines.append(f"B against A, {how}: {comparison['verdict']}{'' if comparison['complete'] else ' (incomplete)'}")
    lines.append("  intervals have 95% confidence, jointly for all drags")
    for name, (a, b) in comparison["differs"].items():
        lines.append(f"  {name}: A {a}, B {b}")
    lines.append(f"{'photo':<12}{'steps':>6}  {'':<12}{'A, ms':>9}{'B, ms':>9}{'B / A':>8}  interval")
    for row in comparison["rows"]:
        head = f"{row['size']:<12}{row['steps']:>6}  {row['kind'].replace('_', ' '):<12}"
        head += "".join(f"{number(ms, 1):>9}" for ms in row["median_ms"])
        if row["ratio"] is None:
            lines.append(f"{head}{'-':>8}  {row['reason']}")
        else:
            low, high = row["interval"]
            lines.append(f"{head}{row['ratio']:>8.3f}  {low:.3f} to {high:.3f}  {row['verdict']}")
    needed = comparison.get("seconds_for_5_percent")
    if needed is not None:
        enough = needed <= comparison["seconds"]
        lines.append(
            f"A difference of 5% of drags would show in this run ({number(comparison['seconds'])} s)."
            if enough
            else f"To show a difference of 5% of drags it needs about --seconds {number(math.ceil(needed))}, or more."
        )
    return "\n".join(lines)
