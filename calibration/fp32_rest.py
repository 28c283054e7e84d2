"""Choosing the parts of a bundle that stay in fp32 for TensorRT, where the rest of an INT8 graph is fp16."""

from __future__ import annotations

import math
from collections.abc import Collection
from dataclasses import asdict
from typing import Any

from edgedrag.calibration.runs.branches import single_branch_names
from edgedrag.calibration.runs.damage import Damage, Trial
from edgedrag.calibration.runs.drags import CalibrationDrag
from edgedrag.calibration.runs.halves import PeakGraph, overflowing
from edgedrag.calibration.runs.record import Statistics
from edgedrag.calibration.runs.workbench import Workbench
from edgedrag.calibration.search import Budget
from edgedrag.calibration.writer import placed


def keep_in_fp32(
    bench: Workbench,
    trial: Trial,
    recipe: dict[str, Any],
    budget: Budget,
    statistics: Statistics,
    drag: CalibrationDrag,
) -> None:
    """Enter into the recipe what stays in fp32: nodes that overflow in fp16, and whole graphs.

    Graphs go to fp32, the one with the largest error first, until the error is within the budget and not above that of
    the chosen layers alone. This is skipped for bundles with large graphs: a CPU would take hours to run them in fp16.
    """
    find_overflows(bench, recipe, statistics, drag)
    if not any(slot.large for slot in bench.slots.values()):
        keep_worst_graphs(bench, trial, recipe, budget)


def find_overflows(bench: Workbench, recipe: dict[str, Any], statistics: Statistics, drag: CalibrationDrag) -> None:
    """Enter the nodes whose tensors exceed fp16 in a drag; of large graphs, only tensors in `statistics` are known."""
    peaks = {name: {t: s.peak for t, s in tensors.items()} for name, tensors in statistics.items()}
    inner = {place: PeakGraph(bench, place) for place, slot in bench.slots.items() if not slot.large}
    for place, graph in inner.items():
        bench.slots[place].substitute = graph
    drag.run(bench.runtime)
    bench.restore()
    for place in bench.slots:
        of_place = {own: peaks[place[0]].get(single, 0.0) for own, single in single_branch_names(bench, place).items()}
        of_place |= inner[place].peaks if place in inner else {}
        entry = recipe["graphs"][place[0]]
        entry["fp32_nodes"] += [
            n for n in overflowing(bench.original(*place), of_place) if n not in entry["fp32_nodes"]
        ]


def keep_worst_graphs(bench: Workbench, trial: Trial, recipe: dict[str, Any], budget: Budget) -> None:
    """Put graphs into fp32, the one with the largest error first, until the error is within the budget."""
    chosen, graphs = recipe["figures"]["chosen"], recipe["graphs"]
    limits = Budget(min(budget.psnr_db, chosen["psnr_db"]), max(budget.stlpips, chosen["stlpips"] or 0.0))

    def measure(names: Collection[str], perceptual_from: float = math.inf) -> Damage:
        places = [place for place in bench.slots if place[0] in names]
        compiled = {p: bench.compile(p[0], placed(bench, p, graphs[p[0]], "tensorrt")) for p in places}
        return trial.measure(compiled, perceptual_from)

    alone = {name: measure([name]) for name in graphs}
    while True:
        damage = measure(list(graphs), perceptual_from=0.0)
        in_fp16 = [name for name, entry in graphs.items() if entry["rest"] == "fp16"]
        if limits.allows(damage) or not in_fp16:
            break
        graphs[min(in_fp16, key=lambda name: alone[name].psnr_db)]["rest"] = "fp32"
    recipe["figures"]["tensorrt"] = asdict(damage)
