"""Two reports of `edgedrag bench quality --jobs`: what gained, what lost, on the tasks that both have.

A difference counts where its 90% interval excludes 0: a bootstrap over clips and samples, since the pairs of one clip
resemble each other.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from edgedrag.benchmarks.quality.edits.report import EDITS, SPLITS
from edgedrag.benchmarks.quality.edits.tasks import BEST, DRAGBENCH, PAIRS, PULLS, clip_of
from edgedrag.benchmarks.quality.methods import OWN
from edgedrag.runtime.errors import InputError

RESAMPLES = 2000
INTERVAL = (5, 95)  # percentiles

Row = dict[str, Any]


@dataclass(frozen=True)
class Measure:
    """A figure of a task; `sign` is -1 where less is better."""

    group: str
    name: str
    sign: int
    of: Callable[[Row], float]


def _method(method: str, metric: str) -> Callable[[Row], float]:
    return lambda row: float(np.mean(row["methods"][method][metric]))


MEASURES = (
    Measure(PAIRS, "psnr_db", 1, _method(OWN, "psnr_db")),
    Measure(PAIRS, "stlpips", -1, _method(OWN, "stlpips")),
    Measure(PAIRS, "psnr_db of the best", 1, _method(BEST, "psnr_db")),
    Measure(PULLS, "gain_db", 1, _method(OWN, "gain_db")),
    Measure(PULLS, "gain_db of the best", 1, _method(BEST, "gain_db")),
    Measure(PULLS, "hold_iou", 1, lambda row: row["overlap"]["hold_iou"]),
    Measure(PULLS, "hold_iou of the best", 1, lambda row: row["overlap"]["hold_iou_best"]),
    Measure(DRAGBENCH, "md_px", -1, _method(OWN, "md_px")),
    Measure(DRAGBENCH, "if", 1, _method(OWN, "if")),
)


def read_edits(file: Path) -> dict[str, Any] | None:
    """A report of `bench quality --jobs`; None if the file is none."""
    try:
        report = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    return report if isinstance(report, dict) and report.get("kind") == EDITS and "by_task" in report else None


def interval(differences: np.ndarray, clips: Sequence[str]) -> tuple[float, float]:
    """The interval of a mean difference, by a bootstrap over clips."""
    names, index = np.unique(clips, return_inverse=True)
    sums, counts = (np.bincount(index, w, len(names)) for w in (differences, np.ones(len(differences))))
    drawn = np.random.default_rng(0).integers(0, len(names), (RESAMPLES, len(names)))
    low, high = np.percentile(sums[drawn].sum(1) / counts[drawn].sum(1), INTERVAL)
    return float(low), float(high)


def difference(measure: Measure, rows: Sequence[tuple[Row, Row]]) -> dict[str, Any]:
    """Means of both, the second's difference with its interval, and whether that is better, worse or the same."""
    one, other = (np.array([measure.of(pair[side]) for pair in rows]) for side in (0, 1))
    low, high = interval(other - one, [clip_of(pair[0]["name"]) for pair in rows])
    better, worse = (low > 0, high < 0) if measure.sign > 0 else (high < 0, low > 0)
    return {
        "tasks": len(rows),
        "a": round(float(one.mean()), 4),
        "b": round(float(other.mean()), 4),
        "difference": round(float((other - one).mean()), 4),
        "interval": [round(low, 4), round(high, 4)],
        "says": "better" if better else "worse" if worse else "same",
    }


def compare_edits(first: dict[str, Any], second: dict[str, Any]) -> dict[str, Any]:
    """The differences of the second report from the first.

    Raises:
        InputError: they have no task in common, or were measured on different data.
    """
    by_name = [{(row["group"], row["name"]): row for row in report["by_task"]} for report in (first, second)]
    shared = [(row, by_name[1][key]) for key, row in by_name[0].items() if key in by_name[1]]
    if not shared:
        raise InputError("the reports have no task in common; measure both on the same files")
    differences: dict[str, dict[str, Any]] = {}
    parts: dict[str, dict[str, Any]] = {}
    for measure in MEASURES:
        rows = [pair for pair in shared if pair[0]["group"] == measure.group]
        if not rows:
            continue
        name = f"{measure.group} {measure.name}"
        differences[name] = difference(measure, rows)
        for split, (part_of, names) in SPLITS.items():
            for part in names:
                of_part = [pair for pair in rows if part_of(pair[0]) == part]
                if of_part and len(of_part) < len(rows):
                    parts.setdefault(name, {})[f"{split} {part}"] = difference(measure, of_part)
    gained = [name for name, found in differences.items() if found["says"] == "better"]
    lost = [name for name, found in differences.items() if found["says"] == "worse"]
    return {
        "kind": first["kind"],
        "tasks": len(shared),
        "only_in_one": len(by_name[0]) + len(by_name[1]) - 2 * len(shared),
        "differences": differences,
        "parts": parts,
        "gained": gained,
        "lost": lost,
        "verdict": "mixed" if gained and lost else "better" if gained else "worse" if lost else "same",
    }


def describe(found: dict[str, Any]) -> str:
    """The comparison as text; of the parts, those that differ."""
    lines = [f"{found['tasks']} tasks in both; B minus A, 90% intervals over clips and samples"]

    def line(name: str, one: dict[str, Any]) -> str:
        low, high = one["interval"]
        cells = f"{one['a']:>9.3f} {one['b']:>9.3f} {one['difference']:>+9.3f}  {low:>+8.3f} to {high:<+8.3f}"
        return f"{name:<44}{cells} {one['says']}  ({one['tasks']})"

    for name, one in found["differences"].items():
        lines.append(line(name, one))
        parts = found["parts"].get(name, {})
        lines += [line(f"    {part}", inner) for part, inner in parts.items() if inner["says"] != "same"]
    lines.append(f"gained: {', '.join(found['gained']) or 'nothing'}; lost: {', '.join(found['lost']) or 'nothing'}")
    return "\n".join(lines)
