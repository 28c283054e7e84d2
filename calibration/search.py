"""Choosing the layers for INT8: each is tried alone, then as many together as an error budget allows."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path

from tqdm import tqdm

from edgedrag.calibration.graphs.estimators import ESTIMATORS
from edgedrag.calibration.graphs.layers import Layer
from edgedrag.calibration.graphs.placement import Ranges
from edgedrag.calibration.graphs.smoothing import Divisors
from edgedrag.calibration.runs.branches import place_branch
from edgedrag.calibration.runs.damage import Damage, Trial
from edgedrag.calibration.runs.record import Statistics
from edgedrag.calibration.runs.workbench import Place, Workbench
from edgedrag.runtime.backends.base import CompiledGraph

SHARED = "percentile"  # the estimator for sums
AMPLE_DB = 6.0  # margin over the budget's PSNR from which on a graph's sums are rounded too
UNTRIED = "mean_squared_error"  # the estimator of layers that are not tried alone


@dataclass(frozen=True)
class Budget:
    """The allowed error of INT8 in the mask, against fp32: least PSNR (dB) and largest ST-LPIPS."""

    psnr_db: float
    stlpips: float

    def allows(self, damage: Damage) -> bool:
        return damage.psnr_db >= self.psnr_db and (damage.stlpips is None or damage.stlpips <= self.stlpips)


@dataclass(frozen=True)
class Candidate:
    """A layer of a graph, and its number of multiplications in all calibration drags."""

    graph: str
    layer: Layer
    work: float

    @property
    def key(self) -> str:
        return f"{self.graph}/{self.layer.name}"


@dataclass(frozen=True)
class Tried:
    """The best way to convert a layer to INT8, and the error with this layer alone; None if it was not tried."""

    estimator: str
    smooth: bool
    damage: Damage | None
    plain: Damage | None = None  # without smoothing


@dataclass(frozen=True)
class Point:
    """A measured choice of layers: the share of all candidates' work in INT8, and the error."""

    share: float
    damage: Damage
    chosen: frozenset[str]


@dataclass(frozen=True)
class Estimators:
    """The estimator of each tensor's range; fields as in Ranges."""

    inputs: dict[str, str] = field(default_factory=dict)
    outputs: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Recorded:
    """Statistics of each graph's tensors over the drags, plain and smoothed (see `smoothing`)."""

    plain: Statistics
    smoothed: Statistics
    divisors: Mapping[str, Divisors]
    folds: Mapping[str, dict[str, str]]
    sums: Mapping[str, Sequence[str]]


class Search:
    """Searches for a choice of layers by measuring a bundle with the recorded ranges."""

    def __init__(self, bench: Workbench, recorded: Recorded, candidates: Sequence[Candidate]):
        self._bench, self._recorded, self._candidates = bench, recorded, candidates
        self._estimates: dict[tuple[bool, str, str, str], float] = {}
        self._shared: set[str] = set()
        self._total = sum(c.work for c in candidates)

    def try_alone(self, trial: Trial, matches: Callable[[str], bool], state: Path) -> dict[str, Tried]:
        """Try each layer alone in INT8, with every estimator; layers in the file `state` are not measured again."""
        tried = read_state(state)
        with state.open("a") as lines:
            for candidate in tqdm(self._candidates, desc="sensitivity", unit="layer", file=sys.stderr):
                if candidate.key not in tried:
                    result = self._best(trial, candidate) if matches(candidate.key) else Tried(UNTRIED, False, None)
                    tried[candidate.key] = result
                    lines.write(json.dumps([candidate.key, asdict(result)]) + "\n")
                    lines.flush()
        return tried

    def share(self, budget: Budget, trial: Trial, tried: Mapping[str, Tried]) -> dict[str, Tried]:
        """Find the graphs whose sums can be rounded too, so that ONNX Runtime computes chains of layers in 8 bits.

        Inputs of such a graph are not smoothed, since its sums need the undivided tensors. Returns the updated `tried`.
        """
        updated = dict(tried)
        ample = Budget(budget.psnr_db + AMPLE_DB, budget.stlpips)
        for graph, sums in self._recorded.sums.items():
            of_graph = [c for c in self._candidates if c.graph == graph]
            if not of_graph or not sums or self._bench.is_large(graph):
                continue
            plain = {c.key: Tried(tried[c.key].estimator, False, tried[c.key].plain) for c in of_graph}
            self._shared.add(graph)
            if ample.allows(self._measure(trial, plain, of_graph, ample).damage):
                updated |= plain
            else:
                self._shared.remove(graph)
        return updated

    def most_within(self, budget: Budget, trial: Trial, tried: Mapping[str, Tried]) -> tuple[Point, list[Point]]:
        """The best choice within the budget, and all measured choices.

        Layers are sorted by error per work. The longest prefix within the budget is found by bisection; then each
        later layer is added if it still fits. Untried layers are always included.
        """
        always = [c for c in self._candidates if tried[c.key].damage is None]
        ordered = sorted((c for c in self._candidates if c not in always), key=lambda c: cost(c, tried[c.key]))
        points: list[Point] = []
        progress = tqdm(desc="search", unit="choice", file=sys.stderr)

        def fits(chosen: Sequence[Candidate]) -> bool:
            points.append(self._measure(trial, tried, [*always, *chosen], budget))
            progress.update()
            return budget.allows(points[-1].damage)

        best: Point | None = None
        low, high = 0, len(ordered) + 1  # `low` layers fit, `high` do not
        while high - low > 1:
            middle = len(ordered) if high > len(ordered) else (low + high) // 2
            if fits(ordered[:middle]):
                low, best = middle, points[-1]
            else:
                high = middle
        taken = ordered[:low]
        for candidate in ordered[high:]:
            if fits([*taken, candidate]):
                taken, best = [*taken, candidate], points[-1]
        if best is None:
            fits([])
            best = points[-1]
        progress.close()
        return best, points

    def ranges(self, graph: str, layers: Iterable[Layer], tried: Mapping[str, Tried]) -> tuple[Ranges, Estimators]:
        """The ranges of these layers' tensors and their estimators; the widest range that a layer requests is used.

        An input of several layers is smoothed if the first of them requests it.
        """
        ranges, estimators = Ranges(), Estimators()
        outputs = {layer.output for layer in layers}
        smooth: dict[str, bool] = {}
        for layer in layers:
            tensor = layer.input
            if smooth.setdefault(tensor, tried[f"{graph}/{layer.name}"].smooth):
                ranges.divisors[tensor] = self._recorded.divisors[graph][tensor]
                if self._recorded.folds[graph].get(tensor) in outputs:
                    ranges.folds[tensor] = self._recorded.folds[graph][tensor]
        if graph in self._shared:
            alive = [name for name in self._recorded.sums[graph] if self._recorded.plain[graph][name].peak > 0]
            ranges.sums.update({name: self._estimate(False, graph, name, SHARED) for name in alive})
        divided = {*ranges.divisors, *ranges.folds.values()}
        for layer in layers:
            how = tried[f"{graph}/{layer.name}"]
            for tensor, chosen, names in (
                (layer.input, ranges.inputs, estimators.inputs),
                (layer.output, ranges.outputs, estimators.outputs),
            ):
                value = self._estimate(tensor in divided, graph, tensor, how.estimator)
                if value > chosen.get(tensor, 0.0):
                    chosen[tensor], names[tensor] = value, how.estimator
        return ranges, estimators

    def _estimate(self, smoothed: bool, graph: str, tensor: str, estimator: str) -> float:
        """A range, computed on first use."""
        key = (smoothed, graph, tensor, estimator)
        if key not in self._estimates:
            statistics = self._recorded.smoothed if smoothed else self._recorded.plain
            self._estimates[key] = ESTIMATORS[estimator](statistics[graph][tensor])
        return self._estimates[key]

    def _best(self, trial: Trial, candidate: Candidate) -> Tried:
        """The estimator with the least error, with a smoothed input if that is better."""
        ways = [self._try(trial, candidate, name, False) for name in ESTIMATORS]
        best = max(ways, key=gain)
        best = replace(best, plain=best.damage)
        if candidate.layer.input in self._recorded.divisors[candidate.graph]:
            smooth = self._try(trial, candidate, best.estimator, True)
            best = max(best, replace(smooth, plain=best.damage), key=gain)
        return best

    def _try(self, trial: Trial, candidate: Candidate, estimator: str, smooth: bool) -> Tried:
        how = {candidate.key: Tried(estimator, smooth, None)}
        graphs = self._quantized(candidate.graph, [candidate.layer], how)
        return Tried(estimator, smooth, trial.measure(graphs))

    def _measure(self, trial: Trial, tried: Mapping[str, Tried], chosen: Sequence[Candidate], budget: Budget) -> Point:
        graphs: dict[Place, CompiledGraph] = {}
        for name in dict.fromkeys(c.graph for c in chosen):
            graphs |= self._quantized(name, [c.layer for c in chosen if c.graph == name], tried)
        damage = trial.measure(graphs, perceptual_from=budget.psnr_db)
        return Point(sum(c.work for c in chosen) / self._total, damage, frozenset(c.key for c in chosen))

    def _quantized(self, graph: str, layers: Sequence[Layer], tried: Mapping[str, Tried]) -> dict[Place, CompiledGraph]:
        """All branches of a graph with these layers in INT8."""
        ranges, chosen = self.ranges(graph, layers, tried)[0], {layer.name for layer in layers}
        places = [(graph, branch) for branch in self._bench.files[graph]]
        models = {place: place_branch(self._bench, place, chosen, ranges, "ort") for place in places}
        return {place: self._bench.compile(graph, model) for place, model in models.items()}


def gain(tried: Tried) -> float:
    return tried.damage.psnr_db if tried.damage is not None else 0.0


def cost(candidate: Candidate, tried: Tried) -> float:
    """Mean squared error of a layer alone, per unit of work."""
    assert tried.damage is not None
    return 10 ** (-tried.damage.psnr_db / 10) / candidate.work


def read_state(state: Path) -> dict[str, Tried]:
    """The results of an interrupted search; a truncated line is ignored."""
    tried = {}
    for line in state.read_text().splitlines() if state.is_file() else ():
        try:
            key, entry = json.loads(line)
        except ValueError:
            continue
        damages = {of: entry[of] and Damage(**entry[of]) for of in ("damage", "plain")}
        tried[key] = Tried(entry["estimator"], entry["smooth"], **damages)
    return tried
