"""OpenVINO beside ONNX Runtime on a bundle's graphs, in one run: milliseconds, and whether the numbers are right.

python -m edgedrag.benchmarks.openvino_graphs BUNDLE -o REPORT.json

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
import onnxruntime as ort

from edgedrag.benchmarks.context import context
from edgedrag.benchmarks.latency import SMALL, disc, test_photo
from edgedrag.calibration.workbench import Workbench
from edgedrag.export.parity import snr_db
from edgedrag.runtime.bundle import open_bundle
from edgedrag.runtime.image import write_aside

THREADS = 2
HINTS = ("f32", "bf16")  # of OpenVINO: what it may compute floats in


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


def runners(file: Path, inputs: Mapping[str, np.ndarray], label: str) -> dict[str, Callable[[], list[np.ndarray]]]:
    """A graph on both engines."""
    import openvino

    options = ort.SessionOptions()
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")  # as the runtime has it
    session = ort.InferenceSession(str(file), options, providers=["CPUExecutionProvider"])
    outputs = [o.name for o in session.get_outputs()]
    found: dict[str, Callable[[], list[np.ndarray]]] = {f"onnxruntime {label}": lambda: session.run(None, dict(inputs))}
    for hint in HINTS:
        model = openvino.Core().read_model(str(file))
        model.reshape({name: list(values.shape) for name, values in inputs.items()})
        hints = {"INFERENCE_PRECISION_HINT": hint, "INFERENCE_NUM_THREADS": THREADS, "PERFORMANCE_HINT": "LATENCY"}
        compiled = openvino.compile_model(model, "CPU", hints)
        found[f"openvino {hint} {label}"] = partial(run_compiled, compiled, dict(inputs), outputs)
    return found


def run_compiled(compiled: Any, inputs: dict[str, np.ndarray], outputs: list[str]) -> list[np.ndarray]:
    found = compiled(inputs)
    return [found[name] for name in outputs]


def compare(all_runs: Mapping[str, Callable[[], list[np.ndarray]]], repeats: int) -> dict[str, dict[str, float]]:
    """Medians with the engines taking turns, and each one's worst SNR against the first."""
    reference = next(iter(all_runs.values()))()
    snr = {name: min(snr_db(a, b) for a, b in zip(reference, run())) for name, run in all_runs.items()}
    times: dict[str, list[float]] = {name: [] for name in all_runs}
    for _ in range(repeats):
        for name, run in all_runs.items():
            start = time.perf_counter()
            run()
            times[name].append((time.perf_counter() - start) * 1e3)
    return {
        name: {"median_ms": round(statistics.median(found), 2), "snr_db": round(snr[name], 1)}
        for name, found in times.items()
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
            found: dict[str, Callable[[], list[np.ndarray]]] = {}
            for variant in bench.graphs[name].variants:
                if variant.precision in ("fp32", "int8") and variant.branch == "single":
                    label = variant.precision if variant.placement == "ort" else f"{variant.precision} as for TensorRT"
                    found |= runners(opened.verified_file(variant), inputs, label)
            rows[name] = compare(found, repeats)
    report = {**context(bench.runtime), "openvino": importlib.metadata.version("openvino"), "graphs": rows}
    text = json.dumps(report, indent=1)
    if output is not None:
        write_aside(output, (text + "\n").encode())
    click.echo(text)


if __name__ == "__main__":
    main()
