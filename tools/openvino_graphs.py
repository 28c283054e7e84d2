"""Compares OpenVINO with ONNX Runtime on a bundle's graphs, in one run: milliseconds and SNR.

Made the table "OpenVINO" of docs/int8.md and benchmarks/results/openvino.json:

python tools/openvino_graphs.py BUNDLE -o REPORT.json

BUNDLE has INT8 variants; inputs are recorded while a drag runs. Needs `pip install openvino`.
"""

from __future__ import annotations

import importlib.metadata
import json
import tempfile
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any

import click
import numpy as np
from graph_runs import Run, compare, record_inputs, run_on

from edgedrag.benchmarks.context import context
from edgedrag.benchmarks.report import write_report
from edgedrag.calibration.runs.workbench import Workbench
from edgedrag.runtime.backends.onnxruntime import OnnxRuntimeCpu
from edgedrag.runtime.backends.openvino import OpenVinoCpu
from edgedrag.runtime.bundle.graphs import Graph
from edgedrag.runtime.bundle.manifest import open_bundle


def runners(graph: Graph, file: Path, inputs: Mapping[str, np.ndarray], label: str) -> dict[str, Run]:
    """A graph on ONNX Runtime and on OpenVINO, the latter in each of its float precisions."""
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
            graph, runs = bench.graphs[name], dict[str, Run]()
            for variant in graph.variants:
                if variant.precision in ("fp32", "int8") and variant.branch == "single":
                    label = variant.precision if variant.placement == "ort" else f"{variant.precision} as for TensorRT"
                    runs |= runners(graph, opened.verified_file(variant), inputs, label)
            rows[name] = compare(runs, repeats)
    report = {**context(bench.runtime), "openvino": importlib.metadata.version("openvino"), "graphs": rows}
    write_report(report, output)
    click.echo(json.dumps(report, indent=1))


if __name__ == "__main__":
    main()
