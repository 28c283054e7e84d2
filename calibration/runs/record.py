"""Recording statistics of layers' inputs and outputs while real drags run in fp32."""

from __future__ import annotations

import io
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from tqdm import tqdm

from edgedrag.calibration.graphs.layers import CHANNEL_AXIS, Layer, along
from edgedrag.calibration.graphs.smoothing import Divisors
from edgedrag.calibration.graphs.statistics import TensorStatistics
from edgedrag.calibration.runs.branches import single_branch_names
from edgedrag.calibration.runs.drags import CalibrationDrag
from edgedrag.calibration.runs.inner import InnerTensors
from edgedrag.calibration.runs.workbench import Place, Workbench, copied
from edgedrag.runtime.backends.base import Array
from edgedrag.runtime.errors import EdgedragError
from edgedrag.runtime.files import write_aside

Statistics = dict[str, dict[str, TensorStatistics]]  # graph -> tensor -> statistics
SAVE_EVERY = 8  # drags


def watched(layers: Sequence[Layer], sums: Sequence[str] = ()) -> dict[str, int]:
    """The inputs and outputs of a graph's layers, and sums of them -> their channel axis."""
    axes = {name: CHANNEL_AXIS[layer.op] for layer in layers for name in (layer.input, layer.output)}
    return axes | dict.fromkeys(sums, 1)


class RecordingGraph:
    """A graph that adds its tensors, divided by the divisors, to statistics when it runs."""

    def __init__(
        self,
        bench: Workbench,
        place: Place,
        axes: Mapping[str, int],
        statistics: dict[str, TensorStatistics],
        divisors: Divisors,
    ):
        """`axes`, `statistics` and `divisors` are keyed by the tensors' names in the single branch."""
        graph = self._graph = place[0]
        self._axes, self._statistics, self._divisors = axes, statistics, divisors
        self._known_as = {own: single for own, single in single_branch_names(bench, place).items() if single in axes}
        self._inputs = [t.name for t in bench.graphs[graph].inputs]
        self._outputs = bench.graphs[graph].file_outputs
        self._inner = InnerTensors(bench, place, {*self._known_as, *self._outputs.values()} - set(self._inputs))

    def release(self) -> None:
        """Free memory until the next run."""
        self._inner.release()

    def run(self, inputs: Mapping[str, Array]) -> dict[str, Array]:
        given = {name: inputs[name] for name in self._inputs}
        timestep = int(inputs["timestep"].numpy()[0]) if "timestep" in self._inputs else -1
        for name in self._inputs:
            self._note(name, given[name].numpy(), timestep)
        outputs = {}
        for name, value in self._inner(given):
            self._note(name, value.numpy(), timestep)
            if name in self._outputs.values():
                outputs[name] = copied(value)
        return {name: outputs[stored] for name, stored in self._outputs.items()}

    def _note(self, name: str, values: np.ndarray, timestep: int) -> None:
        if name not in self._known_as:
            return
        name = self._known_as[name]
        axis = self._axes[name]
        if name in self._divisors:
            values = values / along(self._divisors[name], axis, values.ndim)
        try:
            self._statistics.setdefault(name, TensorStatistics()).add(values, axis, timestep)
        except FloatingPointError:
            raise EdgedragError(
                f"{self._graph}: tensor '{name}' has NaN or infinite values on these drags in fp32; the bundle's "
                "weights are damaged or badly trained"
            ) from None


def record(
    bench: Workbench,
    layers: Mapping[str, Sequence[Layer]],
    sums: Mapping[str, Sequence[str]],
    drags: Sequence[CalibrationDrag],
    state: Path,
    divisors: Mapping[str, Divisors] | None = None,
) -> Statistics:
    """Run the drags and return the statistics of each graph's layers and sums; with `divisors`, of smoothed inputs.

    Args:
        state: file from which an interrupted recording resumes.

    Raises:
        EdgedragError: a tensor has NaN or infinite values.
    """
    done = 0
    statistics: Statistics = {name: {} for name in layers}
    if state.is_file():
        done, stored = load(state)
        statistics |= stored
    for graph, graph_layers in layers.items():
        axes = watched(graph_layers, sums[graph])
        if divisors is not None:
            axes = {name: axis for name, axis in axes.items() if name in divisors[graph]}
        if axes and done < len(drags):
            of_graph = divisors[graph] if divisors is not None else {}
            for branch in bench.files[graph]:
                recording = RecordingGraph(bench, (graph, branch), axes, statistics[graph], of_graph)
                bench.slots[graph, branch].substitute = recording
    progress = tqdm(drags, desc="recording", unit="drag", file=sys.stderr)
    progress.update(done)
    for index in range(done, len(drags)):
        drags[index].run(bench.runtime)
        progress.update()
        if index + 1 == len(drags) or (index + 1) % SAVE_EVERY == 0:
            save(state, index + 1, statistics)
    progress.close()
    bench.restore()
    return statistics


def save(state: Path, done: int, statistics: Statistics) -> None:
    arrays = {
        f"{graph}|{tensor}|{key}": array
        for graph, tensors in statistics.items()
        for tensor, held in tensors.items()
        for key, array in held.arrays().items()
    }
    file = io.BytesIO()
    np.savez(file, allow_pickle=False, done=np.array(done), **arrays)
    write_aside(state, file.getvalue())


def load(state: Path) -> tuple[int, Statistics]:
    """The number of recorded drags, and their statistics."""
    with np.load(state, allow_pickle=False) as stored:
        parts: dict[tuple[str, str], dict[str, np.ndarray]] = {}
        for name in stored.files:
            if name != "done":
                graph, tensor, key = name.split("|")
                parts.setdefault((graph, tensor), {})[key] = stored[name]
        statistics: Statistics = {}
        for (graph, tensor), arrays in parts.items():
            statistics.setdefault(graph, {})[tensor] = TensorStatistics.from_arrays(arrays)
        return int(stored["done"]), statistics
