"""Statistics of a bundle's tensors over the calibration drags, and the layers that can run in INT8."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from edgedrag.calibration.graphs.layers import OUTPUT_AXIS, Layer, find_sums, weight_of
from edgedrag.calibration.graphs.smoothing import find_divisors, find_folds
from edgedrag.calibration.graphs.statistics import TensorStatistics
from edgedrag.calibration.runs.drags import CalibrationDrag, CalibrationSet
from edgedrag.calibration.runs.record import Statistics, record
from edgedrag.calibration.runs.workbench import Workbench
from edgedrag.calibration.search import Candidate, Recorded


def record_all(bench: Workbench, layers: Mapping[str, Sequence[Layer]], drags: CalibrationSet, state: Path) -> Recorded:
    """Run all drags twice, to record the tensors' statistics, then those of the smoothed tensors."""
    sums = {name: find_sums(bench.original(name), graph_layers) for name, graph_layers in layers.items()}
    plain = record(bench, layers, sums, drags.drags, state / "plain.npz")
    divisors = {
        name: find_divisors(bench.original(name), graph_layers, plain[name]) for name, graph_layers in layers.items()
    }
    folds = {name: find_folds(bench.original(name), graph_layers) for name, graph_layers in layers.items()}
    smoothed = record(bench, layers, sums, drags.drags, state / "smoothed.npz", divisors)
    return Recorded(plain, smoothed, divisors, folds, sums)


def find_candidates(bench: Workbench, layers: Mapping[str, Sequence[Layer]], statistics: Statistics) -> list[Candidate]:
    """The layers whose tensors are not always 0, with their numbers of multiplications in all drags."""
    candidates = []
    for name, of_graph in layers.items():
        nodes = {str(node.name): node for node in bench.original(name).graph} if of_graph else {}
        for layer in of_graph:
            if not zero_range(layer, statistics[name]):
                weight = weight_of(nodes[layer.node])
                each = weight.size / weight.shape[OUTPUT_AXIS[layer.op]]  # multiplications for one output value
                candidates.append(Candidate(name, layer, float(statistics[name][layer.output].counts.sum()) * each))
    return candidates


def zero_range(layer: Layer, statistics: Mapping[str, TensorStatistics]) -> str:
    """The reason why a layer is no candidate: its input or output was always 0; otherwise ""."""
    for end, tensor in (("input", layer.input), ("output", layer.output)):
        if statistics[tensor].peak == 0:
            return f"its {end} was always 0"
    return ""


def pick_evenly(drags: CalibrationSet, count: int) -> list[CalibrationDrag]:
    """Evenly spread drags, each at its lowest step count."""
    total = len(drags.drags)
    picked = [drags.drags[i * total // min(count, total)] for i in range(min(count, total))]
    return [replace(drag, steps=drag.steps[:1]) for drag in picked]
