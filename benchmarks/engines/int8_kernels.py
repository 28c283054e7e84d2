"""Comparing ways to run a bundle's INT8 graphs with ONNX Runtime on this processor: accuracy and speed.

python -m edgedrag.benchmarks.engines.int8_kernels BUNDLE --drags FOLDER -o REPORT.json

Without VNNI, x86 adds pairs of uint8 x int8 products in 16 bits, which saturate. The variants are workarounds.
"""

from __future__ import annotations

import json
import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import click
import numpy as np
import onnx_ir as ir
from tqdm import tqdm

from edgedrag.benchmarks.context import context
from edgedrag.benchmarks.latency.ratios import in_turns
from edgedrag.benchmarks.latency.scene import SMALL, disc, test_photo
from edgedrag.benchmarks.quality.methods import FullEdit
from edgedrag.benchmarks.quality.tables import mean
from edgedrag.benchmarks.report import write_report
from edgedrag.calibration.graphs.layers import constant
from edgedrag.export.graph_file import read_graph
from edgedrag.metrics.drag_sets import Task, find_samples, read_sample
from edgedrag.metrics.pixels import psnr_in_mask
from edgedrag.runtime.backends.base import CompiledGraph, OnnxBackend
from edgedrag.runtime.backends.onnxruntime import OnnxRuntimeCpu
from edgedrag.runtime.bundle.graphs import Graph
from edgedrag.runtime.bundle.manifest import Bundle, open_bundle
from edgedrag.runtime.drag.stages import Stages
from edgedrag.runtime.files import scratch_folder
from edgedrag.runtime.selection.self_test import self_test
from edgedrag.runtime.session.runtime import Runtime
from edgedrag.runtime.system.processor import multiplies_int8

Change = Callable[[ir.Model], None]
# Wall time, CPU time of all threads, and CPU time of the calling thread. The CPU times hardly depend on the load of the
# machine; the calling thread's is the latency of a drag without load.
CLOCKS = {"ms": time.perf_counter, "processor_ms": time.process_time, "calling_thread_ms": time.thread_time}
SATURATING = {"session.x64quantprecision": "0"}


def to_seven_bits(model: ir.Model) -> None:
    """Halve the quantized weights and biases: 2 x 255 x 64 fits 16 bits."""
    for node in model.graph:
        if node.op_type == "DequantizeLinear" and (values := constant(node.inputs[0])) is not None:
            scale = constant(node.inputs[1])
            assert scale is not None
            halved = np.rint(values.numpy() / 2).astype(values.numpy().dtype)
            replace(node, 0, halved)
            replace(node, 1, np.asarray(2 * scale.numpy(), np.float32))


def to_signed(model: ir.Model) -> None:
    """Change activations from uint8 with zero point 128 to int8 with zero point 0."""
    for value in model.graph.initializers.values():
        tensor = value.const_value
        if tensor is not None and tensor.dtype == ir.DataType.UINT8:
            value.const_value = ir.tensor((tensor.numpy().astype(np.int16) - 128).astype(np.int8), name=value.name)
            value.dtype = ir.DataType.INT8
    for node in model.graph:
        if node.op_type == "QuantizeLinear":
            node.outputs[0].dtype = ir.DataType.INT8


def replace(node: ir.Node, index: int, values: np.ndarray) -> None:
    """Replace a constant input of a node."""
    old = node.inputs[index]
    assert old is not None and node.graph is not None
    tensor = ir.tensor(values, name=f"{old.name}.{node.name}")
    new = ir.Value(name=tensor.name, shape=ir.Shape(values.shape), type=ir.TensorType(tensor.dtype), const_value=tensor)
    node.graph.register_initializer(new)
    node.replace_input_with(index, new)


@dataclass(frozen=True)
class Variant:
    """A way to run a bundle: precision, session settings, and a change to its graphs."""

    precision: str = "int8"
    settings: Mapping[str, str] = field(default_factory=dict)
    change: Change | None = None


VARIANTS = {
    "fp32": Variant("fp32"),
    "u8s8": Variant(settings=SATURATING),
    "u8u8": Variant(),  # edgedrag's setting
    "s8s8": Variant(settings={**SATURATING, "session.qdqisint8allowed": "1"}, change=to_signed),
    "u8s8, 7-bit weights": Variant(settings=SATURATING, change=to_seven_bits),
    "float sums": Variant(settings={"session.disable_quant_qdq": "1"}),
}


class VariantCpu(OnnxRuntimeCpu):
    """ONNX Runtime with a variant's settings and changed graphs."""

    def __init__(self, variant: Variant, scratch: Path):
        super().__init__()
        self.settings = {**OnnxRuntimeCpu.settings, **variant.settings}
        self._change, self._scratch = variant.change, scratch

    load = OnnxBackend.load  # of the files as they are changed below

    def compile(self, graph: Graph, file: Path, precision: str) -> CompiledGraph:
        if self._change is None:
            return super().compile(graph, file, precision)
        model = read_graph(file)
        self._change(model)
        changed = self._scratch / file.name
        ir.save(model, changed, external_data=f"{changed.stem}.data")
        return super().compile(graph, changed, precision)


def open_variants(bundle: Bundle, scratch: Path) -> dict[str, Runtime]:
    runtimes = {}
    for number, (name, variant) in enumerate(VARIANTS.items()):
        folder = scratch / str(number)
        folder.mkdir()
        runtimes[name] = Runtime(bundle, Stages(bundle, VariantCpu(variant, folder), variant.precision))
    return runtimes


def speed(runtimes: Mapping[str, Runtime], repeats: int) -> dict[str, dict[str, Any]]:
    """First drags on a 512 x 512 photo, the variants interleaved: ms by clock, and the ratio of fp32's time to it.

    Each turn makes two drags and counts the second, so that the variant's weights are in the caches.
    """
    (height, width), radius = SMALL
    image = test_photo(height, width)
    mask, (x, y) = disc(height, width, radius)
    taken: dict[str, dict[str, list[list[float]]]] = {name: {clock: [] for clock in CLOCKS} for name in runtimes}
    for turn in range(repeats + 2):
        for name, runtime in runtimes.items():
            for _ in range(2):
                started = {clock: read() for clock, read in CLOCKS.items()}
                runtime.load(image).drag([((x, y), (x + radius / 4, y + turn % 5))], mask)
                spent = {clock: (read() - started[clock]) * 1e3 for clock, read in CLOCKS.items()}
            if turn > 1:  # the first turns warm up
                for clock, milliseconds in spent.items():
                    taken[name][clock].append([milliseconds])
    rows: dict[str, dict[str, Any]] = {}
    for name, clocks in taken.items():
        rows[name] = {clock: round(statistics.median(t for (t,) in samples), 2) for clock, samples in clocks.items()}
        for clock, samples in clocks.items():
            ratio = in_turns(samples, taken["fp32"][clock])
            if ratio is not None:
                times = [round(value, 3) for value in (ratio.value, ratio.low, ratio.high)]
                rows[name][f"fp32_over_{clock}"] = dict(zip(("ratio", "low", "high"), times))
    return rows


def damage(runtimes: Mapping[str, Runtime], tasks: Sequence[Task]) -> dict[str, dict[str, Any]]:
    """PSNR of each variant's edits against fp32's, in the mask, one step."""
    psnr: dict[str, list[float]] = {name: [] for name in runtimes if name != "fp32"}
    for task in tqdm(tasks, unit="drag"):
        true = FullEdit(runtimes["fp32"], 1, 0)(task)
        for name, values in psnr.items():
            values.append(psnr_in_mask(FullEdit(runtimes[name], 1, 0)(task).image, true.image, true.mask))
    return {
        name: {"drags": len(values), "psnr_db": mean(values, 2), "worst_psnr_db": round(min(values), 2)}
        for name, values in psnr.items()
    }


@click.command()
@click.argument("bundle")
@click.option("--drags", type=click.Path(path_type=Path), required=True, help="Folder of samples in DragBench's form.")
@click.option("--repeats", default=25, show_default=True, help="Timed drags of each variant.")
@click.option("-o", "--output", type=click.Path(path_type=Path))
def main(bundle: str, drags: Path, repeats: int, output: Path | None) -> None:
    """Compare ways to run the INT8 graphs of BUNDLE on this processor."""
    opened = open_bundle(bundle)
    tasks = [read_sample(folder, 100.0) for folder in find_samples(drags).values()]
    with scratch_folder() as scratch:
        runtimes = open_variants(opened, scratch)
        rows = speed(runtimes, repeats)
        lost = damage(runtimes, tasks)
        for name, runtime in runtimes.items():
            golden = self_test(opened, runtime.stages)
            rows[name] |= {"golden_db": None if golden is None else golden.psnr_db, **lost.get(name, {})}
    report = {**context(runtimes["u8u8"]), "saturates_by_itself": not multiplies_int8(), "variants": rows}
    write_report(report, output)
    click.echo(json.dumps(report, indent=1))


if __name__ == "__main__":
    main()
