"""Running and comparing a bundle's graphs on recorded inputs; used by openvino_graphs.py and row_sampling.py."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Mapping

import numpy as np

from edgedrag.benchmarks.latency.scene import SMALL, disc, test_photo
from edgedrag.calibration.runs.workbench import Workbench
from edgedrag.export.parity import snr_db
from edgedrag.runtime.backends.base import Backend, CompiledGraph

Run = Callable[[], dict[str, np.ndarray]]


def record_inputs(bench: Workbench) -> dict[str, dict[str, np.ndarray]]:
    """The inputs of each graph while one drag runs."""
    recorded: dict[str, dict[str, np.ndarray]] = {}
    for (name, _), slot in bench.slots.items():
        wanted = [t.name for t in bench.graphs[name].inputs]
        slot.listener = lambda inputs, _, name=name, wanted=wanted: recorded.update(
            {name: bench.download({n: inputs[n] for n in wanted})}
        )
    (height, width), radius = SMALL
    mask, (x, y) = disc(height, width, radius)
    bench.runtime.load(test_photo(height, width)).drag([((x, y), (x + radius / 4, y))], mask)
    bench.restore()
    return recorded


def run_on(engine: Backend, graph: CompiledGraph, inputs: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    outputs = graph.run({name: engine.upload(values) for name, values in inputs.items()})
    return {name: np.array(engine.download(value)) for name, value in outputs.items()}


def compare(all_runs: Mapping[str, Run], repeats: int) -> dict[str, dict[str, float]]:
    """Median times of the interleaved engines, and each one's lowest SNR against the first.

    Each turn makes two runs and counts the second, so that the engine's weights are in the caches.
    """
    reference = next(iter(all_runs.values()))()
    snr = {}
    for name, run in all_runs.items():
        outputs = run()
        snr[name] = min(snr_db(values, outputs[tensor]) for tensor, values in reference.items())
    times: dict[str, list[float]] = {name: [] for name in all_runs}
    for _ in range(repeats):
        for name, run in all_runs.items():
            run()
            start = time.perf_counter()
            run()
            times[name].append((time.perf_counter() - start) * 1e3)
    return {
        name: {"median_ms": round(statistics.median(taken), 2), "snr_db": round(snr[name], 1)}
        for name, taken in times.items()
    }
