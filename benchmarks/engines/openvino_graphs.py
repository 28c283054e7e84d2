"""OpenVINO beside ONNX Runtime on a bundle's graphs, in one run: milliseconds, and whether the numbers are right.

python -m edgedrag.benchmarks.engines.openvino_graphs BUNDLE -o REPORT.json

BUNDLE has INT8 variants; inputs are recorded while a drag runs. Needs `pip install openvino`.
"""

from __future__ import annotations

import importlib.metadata
import json
import statistics
import tempfile
import time
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any

import click
import numpy as np

from edgedrag.benchmarks.context import context
from edgedrag.benchmarks.latency.scene import SMALL, disc, test_photo
from edgedrag.benchmarks.report import write_report
from edgedrag.calibration.workbench import Workbench
from edgedrag.export.parity import snr_db
from edgedrag.runtime.backends.base import Backend, CompiledGraph
from edgedrag.runtime.backends.onnxruntime import OnnxRuntimeCpu
from edgedrag.runtime.backends.openvino import OpenVinoCpu
from edgedrag.runtime.bundle import Graph, open_bundle

Run = Callable[[], dict[str, np.ndarray]]


def record_inputs(bench: Workbench) -> dict[str, dict[str, np.ndarray]]:
    """What each graph is given while one drag runs."""
    found: dict[str, dict[str, np.ndarray]] = {}
    for (name, _), slot in bench.slots.items():
        wanted = [t.name for t in bench.graphs[name].inputs]
        slot.listener = lambda inputs, _, name=name, wanted=wanted: found.update(
            {name: bench.download({n: inputs[n] for n in wanted})}
        )
    (height, width), radius = SMALL
    mask, (x, y) = disc(height, width, radius)
    bench.runtime.load(test_photo(height, width)).drag([((x, y), (x + radius / 4, y))], mask)
    bench.restore()
    return found


def runners(graph: Graph, file: Path, inputs: Mapping[str, np.ndarray], label: str) -> dict[str, Run]:
    """A graph on the runtime's two engines for CPUs, OpenVINO's floats in each precision that it has."""
    onnxruntime, openvino = OnnxRuntimeCpu(), OpenVinoCpu()
    engines: list[tuple[str, OnnxRuntimeCpu | OpenVinoCpu, str]] = [
        ("onnxruntime", onnxruntime, "fp32"),
        ("openvino f32", openvino, "fp32"),
    ]
    if "bf16" in openvino.precisions:
        engines.append(("openvino bf16", openvino, "bf16"))
    return {
        f"{name} {label}": partial(run_on, engine, engine.compile(graph, file, precision), inputs)
        for name, engine, precision in engines
    }


def run_on(engine: Backend, graph: CompiledGraph, inputs: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    found = graph.run({name: engine.upload(values) for name, values in inputs.items()})
    return {name: np.array(engine.download(value)) for name, value in found.items()}


def compare(all_runs: Mapping[str, Run], repeats: int) -> dict[str, dict[str, float]]:
    """Medians with the engines taking turns, and each one's worst SNR against the first.

    Of the two runs of a turn the second counts, which does not find another engine's weights in the caches.
    """
    reference = next(iter(all_runs.values()))()
    snr = {}
    for name, run in all_runs.items():
        found = run()
        snr[name] = min(snr_db(values, found[tensor]) for tensor, values in reference.items())
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


@click.command()
@click.argument("bundle", type=click.Path(path_type=Path))
@click.option("--repeats", default=25, show_default=True)
@click.option("-o", "--output", type=click.Path(path_type=Path))
def main(bundle: Path, repeats: int, output: Path | None) -> None:
    """Time the graphs of BUNDLE on both engines."""
    opened = open_bundle(bundle)
    rows: dict[str, Any] = {}
    with tempfile.TemporaryDirectory() as scratch:
        bench = Workbench(opened, Path(scratch))
        for name, inputs in record_inputs(bench).items():
            graph, found = bench.graphs[name], dict[str, Run]()
            for variant in graph.variants:
                if variant.precision in ("fp32", "int8") and variant.branch == "single":
                    label = variant.precision if variant.placement == "ort" else f"{variant.precision} as for TensorRT"
                    found |= runners(graph, opened.verified_file(variant), inputs, label)
            rows[name] = compare(found, repeats)
    report = {**context(bench.runtime), "openvino": importlib.metadata.version("openvino"), "graphs": rows}
    write_report(report, output)
    click.echo(json.dumps(report, indent=1))


if __name__ == "__main__":
    main()
