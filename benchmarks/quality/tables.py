"""Aggregating the scores of many edits into tables."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

from edgedrag.benchmarks.formatting import number

Figures = dict[str, Any]  # metric -> number; None if it could not be measured


def mean(values: Iterable[float], digits: int) -> float:
    return round(float(np.mean(list(values))), digits)


def median(values: Iterable[float], digits: int) -> float:
    return round(float(np.median(list(values))), digits)


def ratio(energies: Sequence[tuple[float, float]], digits: int = 3) -> float | None:
    """Ratio of summed (result, reference) energies, so that flat pictures count little; None if all are flat."""
    result, reference = np.sum(energies, axis=0)
    return round(float(result / reference), digits) if reference > 0 else None


def count_verdicts(verdicts: Iterable[str]) -> dict[str, int]:
    counts = Counter(verdicts)
    return {verdict: counts[verdict] for verdict in ("good", "doubtful", "bad")}


def as_text(rows: dict[str, Figures]) -> list[str]:
    """The lines of a table: a row for each method, a column for each metric."""
    columns = list(next(iter(rows.values())))
    widths = [max(len(c), 8) + 2 for c in columns]
    first = max(map(len, rows)) + 2
    lines = [" " * first + "".join(f"{c:>{w}}" for c, w in zip(columns, widths))]
    for name, figures in rows.items():
        cells = (number(figures[c]) for c in columns)
        lines.append(f"{name:<{first}}" + "".join(f"{cell:>{w}}" for cell, w in zip(cells, widths)))
    return lines
