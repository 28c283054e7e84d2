"""Compares INT8 ranges from real drags with ranges from random inputs, for the same layers.

Made the table "Real drags against random inputs" of docs/int8.md and benchmarks/results/int8_inputs.json:

python tools/noise_inputs.py BUNDLE --drags FOLDER --check FOLDER -o REPORT.json

BUNDLE is calibrated; its recipe names the layers. All ranges have the least mean squared error, without smoothing, so
that only the inputs differ.
"""

from __future__ import annotations

import json
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path

import click
import numpy as np

from edgedrag.benchmarks.context import context
from edgedrag.benchmarks.report import write_report
from edgedrag.calibration.candidates import pick_evenly
from edgedrag.calibration.graphs.estimators import mean_squared_error
from edgedrag.calibration.graphs.layers import Layer, find_layers
from edgedrag.calibration.graphs.placement import Ranges, place
from edgedrag.calibration.recipe import in_int8
from edgedrag.calibration.runs.damage import Damage, Trial
from edgedrag.calibration.runs.drags import CalibrationDrag, CalibrationSet, read_drags
from edgedrag.calibration.runs.record import RecordingGraph, Statistics, record, watched
from edgedrag.calibration.runs.workbench import Workbench
from edgedrag.metrics.stlpips import STLPIPS
from edgedrag.runtime.backends.onnxruntime import OnnxRuntimeCpu
from edgedrag.runtime.bundle.manifest import open_bundle

SEEDS = 3
RUNS = 24  # runs on noise, and drags, for each seed


def record_noise(bench: Workbench, layers: Mapping[str, Sequence[Layer]], seed: int) -> Statistics:
    """Statistics of graphs on standard normal inputs of the right shapes."""
    rng, backend = np.random.default_rng(seed), OnnxRuntimeCpu()
    height, width = bench.bundle.sizes[0]
    statistics: Statistics = {}
    for name, graph_layers in layers.items():
        recording = RecordingGraph(bench, (name, "single"), watched(graph_layers), statistics.setdefault(name, {}), {})
        for _ in range(RUNS):
            shapes = {t.name: t.concrete({"H": height, "W": width, "N": 1}) for t in bench.graphs[name].inputs}
            recording.run({n: backend.upload(rng.standard_normal(s).astype(np.float32)) for n, s in shapes.items()})
    return statistics


def record_drags(
    bench: Workbench, layers: Mapping[str, Sequence[Layer]], drags: CalibrationSet, seed: int, folder: Path
) -> Statistics:
    """Statistics over RUNS drags, chosen at random by the seed."""
    order = np.random.default_rng(seed).permutation(len(drags.drags))[:RUNS]
    picked: list[CalibrationDrag] = [drags.drags[i] for i in order]
    return record(bench, layers, dict.fromkeys(layers, ()), picked, folder / f"{seed}.npz")


def measure(bench: Workbench, trial: Trial, layers: Mapping[str, Sequence[Layer]], statistics: Statistics) -> Damage:
    """The error with these layers in INT8 and ranges from these statistics."""
    graphs = {}
    for name, graph_layers in layers.items():
        of = {tensor: mean_squared_error(s) for tensor, s in statistics[name].items()}
        inputs, outputs = ({t: of[t] for t in tensors} for tensors in zip(*((y.input, y.output) for y in graph_layers)))
        model = bench.model(name)
        place(model, graph_layers, Ranges(inputs, outputs), "ort")
        graphs[name, "single"] = bench.compile(name, model)
    return trial.measure(graphs, perceptual_from=0.0)


@click.command()
@click.argument("bundle", type=click.Path(path_type=Path))
@click.option("--drags", type=click.Path(path_type=Path), required=True, help="Drags to take ranges from.")
@click.option("--check", type=click.Path(path_type=Path), required=True, help="Other drags, to measure on.")
@click.option("-o", "--output", type=click.Path(path_type=Path))
def main(bundle: Path, drags: Path, check: Path, output: Path | None) -> None:
    """Compare ranges from real drags with ranges from noise, three seeds each."""
    opened = open_bundle(bundle)
    recipe = json.loads(opened.verified_recipe().read_text())
    steps = tuple(recipe["calibration"]["steps"])
    with tempfile.TemporaryDirectory() as scratch:
        work = Path(scratch, "graphs")
        work.mkdir()
        bench = Workbench(opened, work)
        layers = {
            name: [layer for layer in find_layers(bench.model(name)) if layer.name in in_int8(entry)]
            for name, entry in recipe["graphs"].items()
            if in_int8(entry)
        }
        trial = Trial(bench, pick_evenly(read_drags(check, steps, 0, 100.0), RUNS), STLPIPS())
        real = read_drags(drags, steps, 0, 100.0)
        rows = {
            kind: [asdict(measure(bench, trial, layers, statistics)) for statistics in by_seed]
            for kind, by_seed in (
                ("real drags", [record_drags(bench, layers, real, s, Path(scratch)) for s in range(SEEDS)]),
                ("random noise", [record_noise(bench, layers, s) for s in range(SEEDS)]),
            )
        }
        report = {**context(bench.runtime), "checked_on": RUNS, "by_inputs": rows}
    write_report(report, output)
    click.echo(json.dumps(report, indent=1))


if __name__ == "__main__":
    main()
