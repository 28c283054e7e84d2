"""`edgedrag calibrate`: a bundle and real drags to a bundle that also runs in INT8, with the recipe of how."""

from __future__ import annotations

import copy
import hashlib
import importlib.metadata
import json
import math
import re
import shutil
import tempfile
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from edgedrag.calibration.graphs.layers import OUTPUT_AXIS, Layer, find_layers, find_sums, weight_of
from edgedrag.calibration.graphs.smoothing import find_divisors, find_folds
from edgedrag.calibration.graphs.statistics import TensorStatistics
from edgedrag.calibration.recipe import hashes, read_recipe
from edgedrag.calibration.runs.branches import single_branch_names
from edgedrag.calibration.runs.damage import Damage, Trial
from edgedrag.calibration.runs.drags import CalibrationDrag, CalibrationSet, read_drags
from edgedrag.calibration.runs.halves import PeakGraph, overflowing
from edgedrag.calibration.runs.record import Statistics, record
from edgedrag.calibration.runs.workbench import Workbench
from edgedrag.calibration.search import SHARED, Budget, Candidate, Point, Recorded, Search, Tried
from edgedrag.calibration.writer import placed, write_bundle
from edgedrag.export.bundle_writer import check_bundle_folder
from edgedrag.metrics.stlpips import STLPIPS
from edgedrag.runtime.bundle.manifest import SHIPPED, Bundle, open_bundle
from edgedrag.runtime.errors import InputError

PACKAGES = ("edgedrag", "numpy", "onnx", "onnxruntime", "opencv-python-headless")


@dataclass(frozen=True)
class Request:
    """What to calibrate, and how.

    Attributes:
        drags: a folder of DragBench's form or a list of jobs.
        steps: counts that each drag runs at, rising; none for the bundle's default. Layers are tried at the first.
        searched: drags that layers are tried on, evenly out of all.
        measure: pattern of the "graph/layer" that are tried alone; the others go to INT8 untried.
    """

    drags: Path
    budget: Budget
    steps: tuple[int, ...]
    seed: int
    searched: int
    measure: str
    max_megapixels: float


def calibrate(folder: str | Path, request: Request, output: Path) -> dict[str, Any]:
    """Measure, choose, and write the bundle `output`; returns the recipe.

    What was measured before an interrupt is kept beside `output` and taken up by the same call.

    Raises:
        InputError: no drags, none that can run, a bundle that has INT8 already, or options without sense.
        BundleError: the bundle cannot be read.
        EdgedragError: a tensor is not a number.
    """
    bundle = open_whole(folder)
    check_bundle_folder(output)
    try:
        matches = re.compile(request.measure).search
    except re.error as error:
        raise InputError(f"'{request.measure}' is no pattern ({error})") from None
    steps = request.steps or (bundle.sampler["default_steps"],)
    drags = read_drags(request.drags, steps, request.seed, request.max_megapixels)
    weights = hashes(bundle)
    with resumable_state(output, [weights, drags.sha256, request.searched, request.measure, versions()]) as state:
        scratch = state / "scratch"
        shutil.rmtree(scratch, ignore_errors=True)
        scratch.mkdir()
        bench = Workbench(bundle, scratch)
        layers = {name: find_layers(bench.model(name)) for name in bench.graphs}
        recorded = record_all(bench, layers, drags, state)
        candidates = find_candidates(bench, layers, recorded.plain)
        searched = pick_evenly(drags, request.searched)
        trial = Trial(bench, searched, STLPIPS())
        search = Search(bench, recorded, candidates)
        tried = search.try_alone(trial, lambda key: matches(key) is not None, state / "layers.jsonl")
        tried = search.share(request.budget, trial, tried)
        best, choices = search.most_within(request.budget, trial, tried)
        recipe = {
            "format": "edgedrag-recipe",
            "format_version": 1,
            "bundle": f"{bundle.name} {bundle.manifest['version']}",
            "graphs": {
                name: graph_entry(search, recorded, name, found, candidates, tried, best, weights[name])
                for name, found in layers.items()
            },
            "calibration": {
                "drags": len(drags.drags),
                "sha256": drags.sha256,
                "skipped": len(drags.skipped),
                "searched": len(searched),
                "steps": list(steps),
                "seed": request.seed,
            },
            "budget": asdict(request.budget),
            "figures": {"all_int8": point_entry(choices[0]), "chosen": point_entry(best), "tensorrt": None},
            "choices": [point_entry(point) for point in choices],
            "versions": versions(),
        }
        choose_rest(bench, trial, recipe, request.budget, recorded.plain, searched[0])
        write_bundle(bench, recipe, output)
    return recipe


def apply(folder: str | Path, file: Path, output: Path) -> dict[str, Any]:
    """Write the bundle that a recipe describes, without measuring anything; returns the recipe.

    Raises:
        InputError: no recipe, or one for other weights; or the bundle has INT8 already.
    """
    bundle = open_whole(folder)
    check_bundle_folder(output)
    recipe = read_recipe(file, bundle)
    with tempfile.TemporaryDirectory(dir=output.parent, prefix=f".{output.name}.") as scratch:
        write_bundle(Workbench(bundle, Path(scratch)), recipe, output)
    return recipe


def open_whole(folder: str | Path) -> Bundle:
    """A bundle without INT8. One that ships with edgedrag is taken as it was before its own calibration."""
    bundle = open_bundle(folder)
    quantized = [graph.name for _, graph in bundle.graphs() if any(v.precision == "int8" for v in graph.variants)]
    if quantized and bundle.folder.parent != SHIPPED:
        raise InputError(
            f"{bundle.folder}: is quantized already (graph '{quantized[0]}' has INT8); give the bundle it was made from"
        )
    return in_fp32(bundle)


def in_fp32(bundle: Bundle) -> Bundle:
    """The same bundle in fp32 alone, knowing nothing of its recipe and what that made."""
    manifest = copy.deepcopy(bundle.manifest)
    manifest.pop("recipe", None)
    for stage in manifest["stages"].values():
        for graph in stage:
            graph["variants"] = [v for v in graph["variants"] if v["precision"] == "fp32"]
    stages = {
        name: tuple(replace(g, variants=tuple(v for v in g.variants if v.precision == "fp32")) for g in graphs)
        for name, graphs in bundle.stages.items()
    }
    return replace(bundle, manifest=manifest, stages=stages)


@contextmanager
def resumable_state(output: Path, key: Sequence[Any]) -> Iterator[Path]:
    """A folder beside `output` for what an interrupted call of the same key left; gone when the work is done."""
    folder = output.parent / f".{output.name}.calibration"
    text = hashlib.sha256(json.dumps(key, sort_keys=True).encode()).hexdigest()
    mark = folder / "key"
    if not mark.is_file() or mark.read_text() != text:
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir()
        mark.write_text(text)
    yield folder
    shutil.rmtree(folder)


def record_all(bench: Workbench, layers: Mapping[str, Sequence[Layer]], drags: CalibrationSet, state: Path) -> Recorded:
    """Run all drags twice: for the statistics of tensors, and then for those of their smoothed selves."""
    sums = {name: find_sums(bench.model(name), found) for name, found in layers.items()}
    plain = record(bench, layers, sums, drags.drags, state / "plain.npz")
    divisors = {name: find_divisors(bench.model(name), found, plain[name]) for name, found in layers.items()}
    folds = {name: find_folds(bench.model(name), found) for name, found in layers.items()}
    smoothed = record(bench, layers, sums, drags.drags, state / "smoothed.npz", divisors)
    return Recorded(plain, smoothed, divisors, folds, sums)


def find_candidates(bench: Workbench, layers: Mapping[str, Sequence[Layer]], statistics: Statistics) -> list[Candidate]:
    """The layers whose tensors are not always 0, with the multiplications that the drags spent in each."""
    found = []
    for name, of_graph in layers.items():
        nodes = {str(node.name): node for node in bench.model(name).graph} if of_graph else {}
        for layer in of_graph:
            if not zero_range(layer, statistics[name]):
                weight = weight_of(nodes[layer.node])
                each = weight.size / weight.shape[OUTPUT_AXIS[layer.op]]  # multiplications for one output value
                found.append(Candidate(name, layer, float(statistics[name][layer.output].counts.sum()) * each))
    return found


def zero_range(layer: Layer, statistics: Mapping[str, TensorStatistics]) -> str:
    """Which end of a layer was always 0; "" where none was."""
    for end, tensor in (("input", layer.input), ("output", layer.output)):
        if statistics[tensor].peak == 0:
            return f"its {end} was always 0"
    return ""


def pick_evenly(drags: CalibrationSet, count: int) -> list[CalibrationDrag]:
    """Some of the drags, at the least of their counts of steps."""
    total = len(drags.drags)
    picked = [drags.drags[i * total // min(count, total)] for i in range(min(count, total))]
    return [replace(drag, steps=drag.steps[:1]) for drag in picked]


def choose_rest(
    bench: Workbench,
    trial: Trial,
    recipe: dict[str, Any],
    budget: Budget,
    statistics: Statistics,
    drag: CalibrationDrag,
) -> None:
    """Enter into the recipe what TensorRT's graphs keep in fp32: nodes that overflow in fp16, and whole graphs
    where fp16 costs more than the budget, or than the chosen layers themselves, worst first.

    Of a large graph only the tensors of layers are looked at, which `statistics` holds.
    """
    chosen = recipe["figures"]["chosen"]
    limits = Budget(min(budget.psnr_db, chosen["psnr_db"]), max(budget.stlpips, chosen["stlpips"] or 0.0))
    graphs = recipe["graphs"]
    peaks = {name: {t: s.peak for t, s in tensors.items()} for name, tensors in statistics.items()}
    inner = {place: PeakGraph(bench, place) for place, slot in bench.slots.items() if not slot.large}
    for place, graph in inner.items():
        bench.slots[place].substitute = graph
    drag.run(bench.runtime)
    bench.restore()
    for place in bench.slots:
        found = {own: peaks[place[0]].get(single, 0.0) for own, single in single_branch_names(bench, place).items()}
        found |= inner[place].peaks if place in inner else {}
        entry = graphs[place[0]]
        entry["fp32_nodes"] += [n for n in overflowing(bench.model(*place), found) if n not in entry["fp32_nodes"]]
    if any(slot.large for slot in bench.slots.values()):
        return  # a CPU would take hours to run them in fp16

    def measure(names: Collection[str], perceptual_from: float = math.inf) -> Damage:
        places = [place for place in bench.slots if place[0] in names]
        compiled = {p: bench.compile(p[0], placed(bench, p, graphs[p[0]], "tensorrt")) for p in places}
        return trial.measure(compiled, perceptual_from)

    alone = {name: measure([name]) for name in graphs}
    while True:
        damage = measure(list(graphs), perceptual_from=0.0)
        halved = [name for name, entry in graphs.items() if entry["rest"] == "fp16"]
        if limits.allows(damage) or not halved:
            break
        graphs[min(halved, key=lambda name: alone[name].psnr_db)]["rest"] = "fp32"
    recipe["figures"]["tensorrt"] = asdict(damage)


def graph_entry(
    search: Search,
    recorded: Recorded,
    name: str,
    layers: Sequence[Layer],
    candidates: Sequence[Candidate],
    tried: Mapping[str, Tried],
    best: Point,
    sha256: str,
) -> dict[str, Any]:
    """A graph's part of the recipe."""
    total = sum(c.work for c in candidates)
    work = {c.key: c.work / total for c in candidates}
    chosen = [layer for layer in layers if f"{name}/{layer.name}" in best.chosen]
    ranges, estimators = search.ranges(name, chosen, tried)
    entries = []
    for layer in layers:
        key = f"{name}/{layer.name}"
        entry: dict[str, Any] = {"name": layer.name, "op": layer.op, "precision": "int8" if layer in chosen else "rest"}
        if key in tried:
            how = tried[key]
            alone = how.damage and asdict(how.damage)
            entry |= {"work": work[key], "estimator": how.estimator, "smooth": how.smooth, "alone": alone}
        else:
            entry |= {"work": 0.0, "why": zero_range(layer, recorded.plain[name])}
        entries.append(entry)
    inputs = {}
    for tensor, value in ranges.inputs.items():
        divided = ranges.divisors.get(tensor)
        statistics = recorded.plain[name][tensor] if divided is None else recorded.smoothed[name][tensor]
        inputs[tensor] = tensor_entry(statistics, value, estimators.inputs[tensor])
        if divided is not None:
            inputs[tensor]["divisors"] = [float(d) for d in divided]
        if tensor in ranges.folds:
            inputs[tensor]["folded"] = ranges.folds[tensor]
    outputs = {}
    for tensor, value in ranges.outputs.items():
        statistics = (recorded.smoothed if tensor in ranges.folds.values() else recorded.plain)[name][tensor]
        outputs[tensor] = tensor_entry(statistics, value, estimators.outputs[tensor])
    sums = {tensor: tensor_entry(recorded.plain[name][tensor], value, SHARED) for tensor, value in ranges.sums.items()}
    return {
        "sha256": sha256,
        "layers": entries,
        "inputs": inputs,
        "outputs": outputs,
        "sums": sums,
        "rest": "fp16",
        "fp32_nodes": [],
    }


def tensor_entry(statistics: TensorStatistics, value: float, estimator: str) -> dict[str, Any]:
    """A tensor's part of the recipe; the spread over timesteps where it was met at several."""
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
