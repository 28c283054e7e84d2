"""Comparing two engines on a bundle's graphs, tensor by tensor, with Polygraphy's comparator.

Both engines run each graph on the same recorded inputs, so that errors of one graph do not reach the next.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from edgedrag.benchmarks.engines.comparison.divided_tensors import divided_tensors
from edgedrag.benchmarks.engines.comparison.drag_inputs import Feed, Place
from edgedrag.benchmarks.engines.comparison.marked_graphs import GraphFile, Marked, shared_groups
from edgedrag.benchmarks.engines.comparison.runners import Side, make_runner, mute_polygraphy_log
from edgedrag.calibration.graphs.layers import CHANNEL_AXIS, along
from edgedrag.calibration.graphs.smoothing import Divisors
from edgedrag.runtime.bundle.graphs import Graph
from edgedrag.runtime.bundle.manifest import Bundle
from edgedrag.runtime.codes import Code
from edgedrag.runtime.errors import EdgedragError, EngineError

# Required SNR in dB, by the lower of the two precisions.
TOLERANCES = {"fp32": 60.0, "fp16": 40.0, "int8": 20.0}  # fp32 on a GPU may be TF32
EQUAL_DB = 200.0  # SNR of bit-identical tensors


@dataclass(frozen=True)
class Difference:
    """The difference of a tensor between the two sides, in the worst of the runs.

    Attributes:
        op, node, layer: the node that computes it in the first side's file; `layer` is its checkpoint name, or "".
        snr_db: signal to difference, at most EQUAL_DB; None if a value is NaN.
        within: whether it is within the tolerance.
    """

    tensor: str
    op: str
    node: str
    layer: str
    snr_db: float | None
    within: bool


@dataclass(frozen=True)
class GraphDifference:
    """A graph's outputs, from the bundle's files, and its layers, from files with all tensors as outputs."""

    graph: str
    branch: str
    runs: int
    outputs: tuple[Difference, ...]
    layers: tuple[Difference, ...]

    @property
    def title(self) -> str:
        return self.graph if self.branch == "single" else f"{self.graph} {self.branch}"


def tolerance(sides: tuple[Side, Side]) -> float:
    """The required SNR in dB, that of the lower precision."""
    return min(TOLERANCES[side.precision] for side in sides)


def compare_graphs(
    bundle: Bundle, sides: tuple[Side, Side], inputs: Mapping[Place, Sequence[Feed]], least_db: float
) -> Iterator[GraphDifference]:
    """Compare the second side with the first, graph by graph, on the recorded inputs.

    Args:
        least_db: required SNR, see `tolerance`.

    Raises:
        BundleError: a file is missing or damaged.
        EngineError: a side cannot load or run a graph; says which and why.
    """
    mute_polygraphy_log()
    graphs = {graph.name: graph for _, graph in bundle.graphs()}
    for (name, branch), feeds in inputs.items():
        yield _compare_graph(bundle, sides, graphs[name], branch, feeds, least_db)


def _compare_graph(
    bundle: Bundle, sides: tuple[Side, Side], graph: Graph, branch: str, feeds: Sequence[Feed], least_db: float
) -> GraphDifference:
    sizes = {name: values.shape for name, values in feeds[0].items()}
    variants = [graph.files(side.precision, side.placement) for side in sides]
    first, second = (GraphFile(bundle, files.get(branch, files["single"]), sizes) for files in variants)
    own = {name: name for name in graph.file_outputs.values() if name in first.tensors and name in second.tensors}
    runs = [_run(side, file.path, feeds, own, {}) for side, file in zip(sides, (first, second))]
    outputs = _differences([first.tensors[name] for name in own], runs, least_db)
    layers: list[Difference] = []
    divisors = [divided_tensors(bundle, graph, branch) if side.precision == "int8" else {} for side in sides]
    for group in shared_groups(first, second):
        wanted = list(zip(*group))
        with first.marked(wanted[0]) as one, second.marked(wanted[1]) as other:
            runs = [
                _run(side, file, feeds, {tensor.name: tensor.read_as for tensor in tensors}, divided)
                for side, file, tensors, divided in zip(sides, (one, other), wanted, divisors)
            ]
            layers += _differences(wanted[0], runs, least_db)
    return GraphDifference(graph.name, branch, len(feeds), tuple(outputs), tuple(layers))


def _run(side: Side, file: Path, feeds: Sequence[Feed], names: Mapping[str, str], divisors: Divisors) -> Any:
    """Polygraphy's results as a stream; a run happens when its result is read.

    Args:
        names: tensors to keep -> their names in the file.
        divisors: of the tensors that are divided by channel in the file.
    """
    from polygraphy.comparator import Comparator, IterationResult

    def restored(result: Any) -> Any:
        outputs = {name: np.asarray(result[read_as], np.float32) for name, read_as in names.items()}
        for name in outputs.keys() & divisors.keys():
            outputs[name] = outputs[name] * along(divisors[name], CHANNEL_AXIS["Conv"], outputs[name].ndim)
        return IterationResult(outputs, result.runtime, result.runner_name)

    return Comparator.postprocess(Comparator.run([make_runner(side, file, feeds)], feeds, streaming=True), restored)


def _differences(tensors: Sequence[Marked], runs: Sequence[Any], least_db: float) -> list[Difference]:
    """Run both sides; returns the lowest SNR of each tensor over the runs."""
    from polygraphy.comparator import Comparator, SnrCompareFunc

    compare = SnrCompareFunc(least_db, find_output_func=lambda name, index, result: [name])
    try:
        accuracy = Comparator.compare_accuracy(list(runs), compare_func=compare)
    except EdgedragError:
        raise
    except Exception as error:  # the libraries' exceptions share no base class
        raise EngineError(f"a graph does not run ({error})", Code.ENGINE_FAILED) from None
    [(_, iterations)] = accuracy[0].items()
    return [_worst(tensor, [run[tensor.name] for run in iterations], least_db) for tensor in tensors]


def _worst(tensor: Marked, results: Sequence[Any], least_db: float) -> Difference:
    """The worst of the comparator's results for a tensor, one for each run; False means that shapes differ."""
    measured = [result.snr if result is not False else math.nan for result in results]
    snr = None if any(math.isnan(db) for db in measured) else max(-EQUAL_DB, min(EQUAL_DB, *measured))
    db = None if snr is None else round(snr, 1)
    return Difference(tensor.name, tensor.op, tensor.node, tensor.layer, db, all(map(bool, results)))
