"""Compares row sampling with GridSample on ONNX Runtime's CPU kernels, interleaved on a bundle's fp32 graphs.

Made the figures 1.04x and 1.23x of docs/int8.md and benchmarks/results/row_sampling.json:

python tools/row_sampling.py BUNDLE -o REPORT.json

Inputs are recorded while a drag runs on a 512 x 512 photo.
"""

from __future__ import annotations

import json
import tempfile
from functools import partial
from pathlib import Path

import click
from graph_runs import compare, record_inputs, run_on

from edgedrag.benchmarks.context import context
from edgedrag.benchmarks.report import write_report
from edgedrag.calibration.graphs.row_sampling import sample_by_rows
from edgedrag.calibration.runs.workbench import Workbench
from edgedrag.runtime.backends.onnxruntime import OnnxRuntimeCpu
from edgedrag.runtime.bundle.manifest import open_bundle


@click.command()
@click.argument("bundle", type=click.Path(path_type=Path))
@click.option("--repeats", default=50, show_default=True)
@click.option("-o", "--output", type=click.Path(path_type=Path))
def main(bundle: Path, repeats: int, output: Path | None) -> None:
    """Time the graphs of BUNDLE that sample whole pictures."""
    rows = {}
    engine = OnnxRuntimeCpu()
    with tempfile.TemporaryDirectory() as scratch:
        bench = Workbench(open_bundle(bundle), Path(scratch))
        for name, inputs in record_inputs(bench).items():
            model = bench.model(name)
            nodes = len(model.graph)
            sample_by_rows(model)
            if len(model.graph) == nodes:
                continue
            graphs = {"GridSample": bench.compile(name, bench.model(name)), "rows": bench.compile(name, model)}
            timings = compare({k: partial(run_on, engine, graph, inputs) for k, graph in graphs.items()}, repeats)
            ratio = timings["GridSample"]["median_ms"] / timings["rows"]["median_ms"]
            rows[name] = {**timings, "gridsample_over_rows": round(ratio, 2)}
    report = {**context(bench.runtime), "graphs": rows}
    write_report(report, output)
    click.echo(json.dumps(report, indent=1))


if __name__ == "__main__":
    main()
