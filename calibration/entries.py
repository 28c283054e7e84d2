"""The entries of a recipe, from the result of a search."""

from __future__ import annotations

import importlib.metadata
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from edgedrag.calibration.candidates import zero_range
from edgedrag.calibration.graphs.layers import Layer
from edgedrag.calibration.graphs.statistics import TensorStatistics
from edgedrag.calibration.search import SHARED, Candidate, Point, Recorded, Search, Tried

PACKAGES = ("edgedrag", "numpy", "onnx", "onnxruntime", "opencv-python-headless")


@dataclass(frozen=True)
class SearchResult:
    """A search, the errors of each layer alone, and the final choice."""

    search: Search
    recorded: Recorded
    candidates: Sequence[Candidate]
    tried: Mapping[str, Tried]
    best: Point


def graph_entry(result: SearchResult, name: str, layers: Sequence[Layer], sha256: str) -> dict[str, Any]:
    """A graph's part of the recipe."""
    chosen = [layer for layer in layers if f"{name}/{layer.name}" in result.best.chosen]
    return {
        "sha256": sha256,
        "layers": _layer_entries(result, name, layers, chosen),
        **_tensor_entries(result, name, chosen),
        "rest": "fp16",
        "fp32_nodes": [],
    }


def _layer_entries(
    result: SearchResult, name: str, layers: Sequence[Layer], chosen: Sequence[Layer]
) -> list[dict[str, Any]]:
    total = sum(c.work for c in result.candidates)
    work = {c.key: c.work / total for c in result.candidates}
    entries = []
    for layer in layers:
        key = f"{name}/{layer.name}"
        entry: dict[str, Any] = {"name": layer.name, "op": layer.op, "precision": "int8" if layer in chosen else "rest"}
        if key in result.tried:
            how = result.tried[key]
            alone = how.damage and asdict(how.damage)
            entry |= {"work": work[key], "estimator": how.estimator, "smooth": how.smooth, "alone": alone}
        else:
            entry |= {"work": 0.0, "why": zero_range(layer, result.recorded.plain[name])}
        entries.append(entry)
    return entries


def _tensor_entries(result: SearchResult, name: str, chosen: Sequence[Layer]) -> dict[str, dict[str, Any]]:
    """The ranges of the chosen layers' inputs and outputs, and of sums."""
    plain, smoothed = result.recorded.plain[name], result.recorded.smoothed[name]
    ranges, estimators = result.search.ranges(name, chosen, result.tried)
    inputs = {}
    for tensor, value in ranges.inputs.items():
        divided = ranges.divisors.get(tensor)
        statistics = (plain if divided is None else smoothed)[tensor]
        inputs[tensor] = tensor_entry(statistics, value, estimators.inputs[tensor])
        if divided is not None:
            inputs[tensor]["divisors"] = [float(d) for d in divided]
        if tensor in ranges.folds:
            inputs[tensor]["folded"] = ranges.folds[tensor]
    outputs = {}
    for tensor, value in ranges.outputs.items():
        statistics = (smoothed if tensor in ranges.folds.values() else plain)[tensor]
        outputs[tensor] = tensor_entry(statistics, value, estimators.outputs[tensor])
    sums = {tensor: tensor_entry(plain[tensor], value, SHARED) for tensor, value in ranges.sums.items()}
    return {"inputs": inputs, "outputs": outputs, "sums": sums}


def tensor_entry(statistics: TensorStatistics, value: float, estimator: str) -> dict[str, Any]:
    """A tensor's part of the recipe, with the spread of its peaks over timesteps if there are several."""
    steps = {str(step): list(ends) for step, ends in sorted(statistics.extremes.items()) if step >= 0}
    peaks = [max(abs(low), abs(high)) for low, high in steps.values()]
    spread = round(max(peaks) / min(peaks), 3) if len(peaks) > 1 and min(peaks) > 0 else None
    return {
        "range": value,
        "estimator": estimator,
        "peak": statistics.peak,
        "timesteps": steps,
        "spread": spread,
    }


def point_entry(point: Point) -> dict[str, Any]:
    return {**asdict(point.damage), "share": round(point.share, 4)}


def versions() -> dict[str, str]:
    return {package: importlib.metadata.version(package) for package in PACKAGES}
