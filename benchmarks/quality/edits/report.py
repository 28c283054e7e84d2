"""Tables of many tasks' scores, by number of drags, by kind of thing, by tightness of the mask."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any

import numpy as np

from edgedrag.benchmarks.quality.edits.tasks import DRAGBENCH, JUDGED, KINDS, PAIRS, PULLS, UNKNOWN
from edgedrag.benchmarks.quality.methods import OWN
from edgedrag.benchmarks.quality.tables import as_text, count_verdicts, mean, median

Row = dict[str, Any]  # of `Scorer.score`
EDITS = "edits"  # kind of report
GROUPS = (PAIRS, PULLS, DRAGBENCH)
DIGITS = {"psnr_db": 2, "gain_db": 2, "stlpips": 4, "md_px": 2, "if": 4}
TIGHTNESS = {"below 0.65": (0.0, 0.65), "0.65 to 0.8": (0.65, 0.8), "0.8 and above": (0.8, 1.01)}  # share that moves
TITLES = {
    PAIRS: "frame pairs with a mask, against the true frame in the mask",
    PULLS: "one-finger pulls without a mask, against the true frame",
    DRAGBENCH: "DragBench's samples: landing distance (MD) and image fidelity (IF)",
}


def drags_of(row: Row) -> str:
    return "3 or more" if row["drags"] > 2 else str(row["drags"])


def tightness_of(row: Row) -> str | None:
    if "tightness" not in row:
        return None
    return next(name for name, (low, high) in TIGHTNESS.items() if low <= row["tightness"] < high)


SPLITS: dict[str, tuple[Callable[[Row], str | None], Sequence[str]]] = {
    "by_drags": (drags_of, ("1", "2", "3 or more")),
    "by_kind": (lambda row: row["kind"], (*KINDS, UNKNOWN)),
    "by_tightness": (tightness_of, tuple(TIGHTNESS)),
}


def values(rows: Iterable[Row], method: str, metric: str) -> list[float]:
    """A metric's values, one a task; of a list (one value a drag) all."""
    found = [row["methods"][method][metric] for row in rows]
    return [v for one in found for v in (one if isinstance(one, list) else [one])]


def table(rows: Sequence[Row]) -> dict[str, dict[str, float]]:
    """method -> metric -> mean over tasks, of MD over drags."""
    first = rows[0]["methods"]
    return {
        method: {metric: mean(values(rows, method, metric), DIGITS[metric]) for metric in first[method]}
        for method in first
    }


def group_figures(rows: Sequence[Row]) -> dict[str, Any]:
    """The tables of the tasks of one group."""
    figures: dict[str, Any] = {"tasks": len(rows), "methods": table(rows)}
    if "overlap" in rows[0]:
        figures["overlap"] = {name: mean((row["overlap"][name] for row in rows), 3) for name in rows[0]["overlap"]}
        figures["better_than_unedited"] = mean((row["methods"][OWN]["gain_db"] > 0 for row in rows), 3)
    for split, (part_of, names) in SPLITS.items():
        parts = {name: [row for row in rows if part_of(row) == name] for name in names}
        found = {name: {"tasks": len(part), "methods": table(part)} for name, part in parts.items() if part}
        if found:
            figures[split] = found
    figures["verdicts"] = count_verdicts(row["verdict"] for row in rows)
    figures["median_ms"] = median((row["ms"] for row in rows), 1)
    return figures


def rounded(row: Row) -> Row:
    """A row with its figures rounded, for the report."""

    def shorten(value: Any) -> Any:
        if isinstance(value, dict):
            return {key: shorten(inner) for key, inner in value.items()}
        if isinstance(value, (list, tuple)):
            return [shorten(inner) for inner in value]
        return round(float(value), 4) if isinstance(value, (float, np.floating)) else value

    return shorten(row)


def summarise(rows: Sequence[Row]) -> dict[str, Any]:
    """The figures of all groups, and each task's row."""
    groups = {group: [row for row in rows if row["group"] == group] for group in (*GROUPS, JUDGED)}
    judged = groups.pop(JUDGED)
    figures: dict[str, Any] = {name: group_figures(part) for name, part in groups.items() if part}
    if judged:
        figures[JUDGED] = {"tasks": len(judged), "verdicts": count_verdicts(row["verdict"] for row in judged)}
    return {"groups": figures, "by_task": [rounded(row) for row in rows]}


def describe(report: dict[str, Any]) -> str:
    """The report as text."""
    lines = [f"{report['bundle']} ({report['checkpoint_sha256'][:12]}), {report['backend']} {report['precision']}"]
    for group, figures in report["groups"].items():
        if group == JUDGED:
            lines += ["", f"{figures['tasks']} judged drags: {in_words(figures['verdicts'])}"]
            continue
        lines += ["", f"{TITLES[group]}: {figures['tasks']} tasks", *as_text(figures["methods"])]
        if "overlap" in figures:
            lines.append("hold and mask: " + ", ".join(f"{k} {v}" for k, v in figures["overlap"].items()))
        lines.append(f"verdicts: {in_words(figures['verdicts'])}; median of a drag {figures['median_ms']} ms")
        for split in SPLITS:
            for name, part in figures.get(split, {}).items():
                lines += [f"  {split.replace('_', ' ')}, {name} ({part['tasks']} tasks)"]
                lines += [f"  {line}" for line in as_text(part["methods"])]
    for name, why in report["failed"].items():
        lines.append(f"failed: {name}: {why}")
    return "\n".join(lines)


def in_words(counts: dict[str, int]) -> str:
    return ", ".join(f"{count} {verdict}" for verdict, count in counts.items())
