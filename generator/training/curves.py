"""Plots of a training run's log."""

from __future__ import annotations

import json
import os
from pathlib import Path

from edgedrag.runtime.files import aside_file


def draw_curves(log_file: Path, picture: Path) -> None:
    """Plot each value of a log.jsonl over the steps, as one PNG."""
    from matplotlib.figure import Figure  # half a second to import, and only here

    series: dict[str, list[tuple[int, float]]] = {}
    for line in log_file.read_text().splitlines():
        entry = json.loads(line)
        for name in entry.keys() - {"step"}:
            series.setdefault(name, []).append((entry["step"], entry[name]))
    columns = 3
    rows = -(-len(series) // columns)
    figure = Figure(figsize=(4 * columns, 2.4 * rows), layout="constrained")
    for number, name in enumerate(sorted(series)):
        axes = figure.add_subplot(rows, columns, number + 1)
        axes.plot(*zip(*series[name]), marker="." if len(series[name]) < 30 else "")
        axes.set_title(name, fontsize=9)
        axes.set_xlabel("step", fontsize=8)
    with aside_file(picture.parent) as aside:
        figure.savefig(aside, format="png", dpi=90)
        os.replace(aside, picture)
