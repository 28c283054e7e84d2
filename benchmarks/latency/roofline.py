"""The time of a drag on a device: its graphs' work over the device's peaks, at efficiencies that were measured.

An engine on a class of device that was measured has its own efficiencies (`efficiency`). On another GPU arithmetic runs
at the share of the peak that published networks and the measured one reach (points.json), and the rest as on the
measured GPU; on another CPU all as on the measured one. What lies outside the graphs is known for versions of a network
whose drags were measured.
"""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from edgedrag.benchmarks.latency.efficiency import (
    Efficiency,
    Peaks,
    device_class,
    efficiencies,
)
from edgedrag.benchmarks.latency.left_out import host_ms, unmeasured_gpus
from edgedrag.benchmarks.latency.work import Work, counted, estimated
from edgedrag.runtime.bundle.cost import Costs
from edgedrag.runtime.bundle.graphs import HOLD, Graph
from edgedrag.runtime.bundle.manifest import Bundle
from edgedrag.runtime.errors import InputError
from edgedrag.runtime.sampling.sampler import GUIDANCE_EPSILON, make_table

HERE = Path(__file__).parent
CPU = "cpu"  # the device name of this machine
PHOTO = 0.262  # megapixels, of 512 x 512
INT8_SHARE = 0.9  # share of the arithmetic in INT8 if a bundle has no recipe; assumed
CONTEXT_MB = {"gpu": 900, "cpu": 160}  # engine and runtime; assumed for a GPU
SYSTEM_GB = 1.5  # used by the system on a device with unified memory
WEIGHT_BYTES = {"fp32": 4, "fp16": 2, "int8": 1}
MEASURED_GPU = ("cuda", "Hopper")
MEASURED_CPU = ("cpu", "x86 with VNNI")
ARITHMETIC = slice(0, 3)  # of efficiency.COST_KINDS


@dataclass(frozen=True)
class Device:
    """Peaks in 10^9 operations/s by precision, GB/s, memory in GB; `host` multiplies the time outside the graphs."""

    name: str
    title: str
    kind: str  # cpu or gpu
    gops: dict[str, float]
    gb_s: float
    memory_gb: float | None
    unified: bool
    host: float
    marks: Sequence[str] = ()
    match: str | None = None
    engine: str = "tensorrt"
    family: str = ""  # its class, see `efficiency.device_class`

    @property
    def available_mb(self) -> float | None:
        """Memory available for a bundle; None if unknown."""
        if self.memory_gb is None:
            return None
        return (self.memory_gb - (SYSTEM_GB if self.unified else 0)) * 1e3


def read_devices() -> dict[str, Device]:
    """The table's devices by name."""
    table = json.loads((HERE / "devices.json").read_text())["devices"]
    return {
        name: Device(
            name, row["title"], "gpu", {"fp16": row["fp16_tops"] * 1e3, "int8": row["int8_tops"] * 1e3},
            row["gb_s"], row["memory_gb"], row["unified"], row["host"], row["marks"], row["match"],
            *_gpu_engine(row["title"]),
        )
        for name, row in table.items()
    }  # fmt: skip


def _gpu_engine(title: str) -> tuple[str, str]:
    """The engine that the prediction is for, and the class: where CUDA was measured that, else TensorRT."""
    family = device_class("cuda", title, ())
    return ("cuda" if ("cuda", family) == MEASURED_GPU else "tensorrt"), family


def cpu_device(
    title: str, peaks: dict[str, Any], memory_mb: float | None, instructions: Sequence[str], engine: str = "cpu"
) -> Device:
    """A processor with measured peaks.

    Args:
        instructions: see `runtime.system.processor.vector_instructions`.

    Raises:
        InputError: the peaks were not measured, because ONNX Runtime is not installed.
    """
    if peaks.get("fp32_gflops") is None:
        raise InputError(f"{title}: its peaks were not measured; that needs ONNX Runtime (extra [cpu])")
    gops = {"fp32": peaks["fp32_gflops"], "int8": peaks["int8_gops"]}
    memory_gb = None if memory_mb is None else memory_mb / 1e3
    family = device_class(engine, title, instructions)
    return Device(CPU, title, "cpu", gops, peaks["copy_gb_s"], memory_gb, True, 1.0, engine=engine, family=family)


def device_of(report: dict[str, Any], title: str) -> Device:
    """The device of a report: its processor with the peaks of the same run, or its GPU from the table.

    Raises:
        InputError: the device is neither.
    """
    context = report["context"] or {}
    if context.get("backend") == CPU:
        instructions = context.get("vector_instructions", ())
        return cpu_device(title, report.get("peaks") or {}, context["memory_mb"], instructions)
    name = f"{context.get('board') or ''} {(context.get('gpu') or {}).get('name') or ''}"
    for device in read_devices().values():
        if device.match is not None and device.match in name and context["precision"] in device.gops:
            return replace(device, title=title, engine=context["backend"])
    raise InputError(
        f"{title}: no prediction; only ONNX Runtime on the CPU and the GPUs of devices.json in fp16 or INT8 "
        f"are supported (found:{name})"
    )


def is_measured(device: Device) -> bool:
    """Whether the device's engine was measured on its class."""
    return (device.engine, device.family) in efficiencies()


def efficiency_of(device: Device) -> Efficiency:
    """The device's measured efficiencies, or those that stand in for them with the errors of GPUs left out."""
    measured = efficiencies().get((device.engine, device.family))
    if measured is not None:
        return measured
    share, calibration = unmeasured_gpus()
    near = efficiencies()[MEASURED_CPU if device.kind == "cpu" else MEASURED_GPU]
    factors = near.log_factors.copy()
    if device.kind == "gpu":
        factors[ARITHMETIC] = math.log(1 / share)
    return Efficiency(factors, calibration)


class Planner:
    """Predictions for one bundle at its largest window."""

    def __init__(self, bundle: Bundle):
        self.bundle = bundle
        self.version = str(bundle.manifest["version"])
        self.size = max(bundle.sizes, key=lambda s: s[0] * s[1])
        self._costs = Costs(bundle, *self.size)
        recipe = bundle.manifest.get("recipe")
        self._recipe = json.loads(bundle.verified_recipe().read_text(encoding="utf-8"))["graphs"] if recipe else {}

    def graphs_ms(self, device: Device, precision: str, steps: int | None = None, first: bool = False) -> float:
        """Time of a drag's graphs on a photo whose reference stage has run; with `first`, including that stage."""
        table = make_table(self.bundle.sampler, steps)
        guided = int((abs(table.guidance - 1) > GUIDANCE_EPSILON).sum())
        stages = self.bundle.stages
        once = [*stages["drag"], *stages["decode"], *(stages["reference"] if first else ())]
        total = sum(self.graph_ms(graph, device, precision) for graph in once)
        for graph in stages["denoise"]:
            total += (len(table.steps) - guided) * self.graph_ms(graph, device, precision)
            total += guided * self.graph_ms(graph, device, precision, pair=True)
        return total + self._hold_ms(device, first)

    def host_ms(self, device: Device, megapixels: float = PHOTO) -> float | None:
        """Time outside the graphs; None where no drag of this version was measured."""
        ms = host_ms(self.bundle.name, self.version, megapixels)
        return None if ms is None else ms * device.host

    def graph_ms(self, graph: Graph, device: Device, precision: str, pair: bool = False) -> float:
        """Time of one run of a graph."""
        share = self.int8_share(graph.name) if precision == "int8" else 0.0
        return self._ms(self._work(graph, pair, self.size), device, precision, share)

    def _hold_ms(self, device: Device, first: bool) -> float:
        """The hold runs in fp32 on the whole photo: its features once for a photo, its answers for each drag."""
        graphs = self.bundle.stages.get(HOLD, ())
        runs = [g for g in graphs if first or "point" in {tensor.name for tensor in g.inputs}]
        sizes = self.bundle.hold_sizes[0] if graphs else []
        return sum(self._ms(self._work(g, False, size), device, "fp32", 0.0) for g in runs for size in sizes)

    def _work(self, graph: Graph, pair: bool, size: tuple[int, int]) -> Work:
        cost = (graph.pair_cost if pair else None) or graph.cost
        name = f"{graph.name}, pair" if pair and graph.pair_cost else graph.name
        costs = Costs(self.bundle, *size)
        work = counted(self.bundle.name, name, size[0] * size[1])
        flops, moved = map(float, costs.of(cost))
        if work is None or abs(work[0] + work[1] - flops) > 0.05 * flops:  # another network of the same name
            return estimated(flops, moved)
        return work

    @staticmethod
    def _ms(work: Work, device: Device, precision: str, share: float) -> float:
        arithmetic = "fp32" if device.kind == "cpu" else "fp16"
        peaks = Peaks(device.gops[arithmetic], device.gops["int8"], device.gb_s)
        return efficiency_of(device).ms(work, "fp16" if arithmetic == "fp16" else "fp32", share, peaks)

    def memory_mb(self, device: Device, precision: str) -> float:
        """Weights, live tensors (estimated as a quarter of the busiest graph's traffic), and the engine."""
        weights = sum(graph.cost["parameters"] for _, graph in self.bundle.graphs()) * WEIGHT_BYTES[precision]
        busiest = max(float(self._costs.of(graph.pair_cost or graph.cost)[1]) for _, graph in self.bundle.graphs())
        return (weights + busiest / 4) / 1e6 + CONTEXT_MB[device.kind]

    def int8_share(self, name: str) -> float:
        """The share of a graph's arithmetic that its recipe runs in INT8."""
        if not self._recipe:
            return INT8_SHARE
        layers = self._recipe.get(name, {"layers": []})["layers"]
        work = sum(layer["work"] for layer in layers)
        return sum(layer["work"] for layer in layers if layer["precision"] == "int8") / work if work else 0.0
