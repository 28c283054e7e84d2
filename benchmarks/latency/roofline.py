"""A roofline model of a drag: the graphs' FLOPs and bytes from the manifest, divided by the device's peaks.

On a GPU a graph takes the longer of arithmetic and memory traffic, at the shares of the peaks that published times
reach (points.json), plus a launch. On a CPU it takes its arithmetic, at a share of the measured speed of a large
convolution (`peaks`), plus the time of sampling pixels if it computes or reads a flow.
"""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from edgedrag.runtime.bundle.cost import Costs
from edgedrag.runtime.bundle.graphs import HOLD, Graph, Size
from edgedrag.runtime.bundle.manifest import Bundle
from edgedrag.runtime.errors import InputError
from edgedrag.runtime.sampling.sampler import GUIDANCE_EPSILON, make_table

HERE = Path(__file__).parent
CPU = "cpu"  # the device name of this machine
CPU_SHARES = {"fp32": 0.87, "int8": 0.6}  # shares of the probe's speed, fitted to the embedded bundle's graphs
LOOKUP_BYTES = 2200  # per pixel: sampling by a flow costs a CPU as much as copying these bytes
HOST_MS, HOST_MS_PER_MEGAPIXEL = 5.5, 1.4  # time outside the graphs
HELD_MS = 55.0  # on the host besides, where the runtime moves what is held: the hold's refinement, motion, checks
GROUND_MS = 60.0  # and the ground behind what moved without a given mask, or in one that holds all of it
PHOTO = 0.26  # megapixels, of 512 x 512
GPU_MEMORY_SHARE = 0.6  # share of the bandwidth; assumed
GPU_LAUNCH_MS = 0.3  # for each graph; assumed
INT8_SHARE = 0.9  # share of the arithmetic in INT8 if a bundle has no recipe; assumed
CONTEXT_MB = {"gpu": 900, "cpu": 160}  # engine and runtime; assumed for a GPU
SYSTEM_GB = 1.5  # used by the system on a device with unified memory
BANDS = {"cpu": 1.35, "gpu": 1.6}  # error factors to either side
WEIGHT_BYTES = {"fp32": 4, "fp16": 2, "int8": 1}


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

    @property
    def band(self) -> float:
        return BANDS[self.kind]

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
        )
        for name, row in table.items()
    }  # fmt: skip


def cpu_device(title: str, peaks: dict[str, Any], memory_mb: float | None) -> Device:
    """A processor with measured peaks.

    Raises:
        InputError: the peaks were not measured, because ONNX Runtime is not installed.
    """
    if peaks.get("fp32_gflops") is None:
        raise InputError(f"{title}: its peaks were not measured; that needs ONNX Runtime (extra [cpu])")
    gops = {"fp32": peaks["fp32_gflops"], "int8": peaks["int8_gops"]}
    return Device(
        CPU, title, "cpu", gops, peaks["copy_gb_s"], None if memory_mb is None else memory_mb / 1e3, True, 1.0
    )


def device_of(report: dict[str, Any], title: str) -> Device:
    """The device of a report: its processor with the peaks of the same run, or its GPU from the table.

    Raises:
        InputError: the device is neither.
    """
    context = report["context"] or {}
    if context.get("backend") == CPU:
        return cpu_device(title, report.get("peaks") or {}, context["memory_mb"])
    name = f"{context.get('board') or ''} {(context.get('gpu') or {}).get('name') or ''}"
    for device in read_devices().values():
        if device.match is not None and device.match in name and context["precision"] in device.gops:
            return replace(device, title=title)
    raise InputError(
        f"{title}: no prediction; only ONNX Runtime on the CPU and the GPUs of devices.json in fp16 or INT8 "
        f"are supported (found:{name})"
    )


def read_points() -> list[dict[str, Any]]:
    """Published times of networks on GPUs."""
    return json.loads((HERE / "points.json").read_text())["points"]


def reached(point: dict[str, Any]) -> float:
    """The share of the peak that a published time reaches."""
    return point["tflop"] / (point["ms"] / 1e3) / point["tops"]


def gpu_share(points: Sequence[dict[str, Any]]) -> float:
    """The share of the peak that networks reach: the geometric mean of the published ones."""
    shares = [math.log(reached(point)) for point in points if point["fitted"]]
    return math.exp(sum(shares) / len(shares))


class Planner:
    """Predictions for one bundle at its largest window."""

    def __init__(self, bundle: Bundle):
        self.bundle = bundle
        self.size = max(bundle.sizes, key=lambda s: s[0] * s[1])
        self._costs = Costs(bundle, *self.size)
        self._share = gpu_share(read_points())
        recipe = bundle.manifest.get("recipe")
        self._recipe = json.loads(bundle.verified_recipe().read_text(encoding="utf-8"))["graphs"] if recipe else {}

    def drag_ms(
        self,
        device: Device,
        precision: str,
        steps: int | None = None,
        first: bool = False,
        megapixels: float = PHOTO,
    ) -> float:
        """Time of a drag on a photo whose reference stage has run; with `first`, including that stage."""
        table = make_table(self.bundle.sampler, steps)
        guided = int((abs(table.guidance - 1) > GUIDANCE_EPSILON).sum())
        stages = self.bundle.stages
        once = [*stages["drag"], *stages["decode"], *(stages["reference"] if first else ())]
        total = sum(self.graph_ms(graph, device, precision) for graph in once) + self._hold_ms(device, precision, first)
        for graph in stages["denoise"]:
            total += (len(table.steps) - guided) * self.graph_ms(graph, device, precision)
            total += guided * self.graph_ms(graph, device, precision, pair=True)
        held = HELD_MS if self.bundle.moves_held else 0.0
        return total + (HOST_MS + held + HOST_MS_PER_MEGAPIXEL * megapixels) * device.host

    def ground_ms(self, device: Device) -> float:
        """Time that a drag takes besides, where the ground behind what moves is made."""
        return GROUND_MS * device.host if self.bundle.moves_held else 0.0

    def _hold_ms(self, device: Device, precision: str, first: bool) -> float:
        """Time of the hold's graphs for a new handle; with `first`, including those that see the photo alone."""
        graphs = [graph for graph in self.bundle.stages[HOLD] if first or any(t.name == "point" for t in graph.inputs)]
        sizes = self.bundle.hold_sizes[0] if graphs else ()
        return sum(self.graph_ms(graph, device, precision, size=size) for graph in graphs for size in sizes)

    def graph_ms(
        self, graph: Graph, device: Device, precision: str, pair: bool = False, size: Size | None = None
    ) -> float:
        """Time of one run of a graph, at the largest window or another size."""
        costs = self._costs if size is None else Costs(self.bundle, *size)
        flops, moved = map(float, costs.of((graph.pair_cost if pair else None) or graph.cost))
        rest = "fp32" if device.kind == "cpu" else "fp16"
        share = self._int8_share(graph.name) if precision == "int8" else 0.0
        low, high = flops * share / device.gops["int8"] / 1e6, flops * (1 - share) / device.gops[rest] / 1e6
        if device.kind == "cpu":
            names = {tensor.name for tensor in (*graph.inputs, *graph.outputs)}
            lookups = self.size[0] * self.size[1] * LOOKUP_BYTES if "flow" in names else 0
            return low / CPU_SHARES["int8"] + high / CPU_SHARES["fp32"] + lookups / device.gb_s / 1e6
        moved *= (share + 2 * (1 - share)) / 4  # the manifest counts fp32
        traffic = moved / (GPU_MEMORY_SHARE * device.gb_s) / 1e6
        return max((low + high) / self._share, traffic) + GPU_LAUNCH_MS

    def memory_mb(self, device: Device, precision: str) -> float:
        """Weights, live tensors (estimated as a quarter of the busiest graph's traffic), and the engine."""
        weights = sum(graph.cost["parameters"] for _, graph in self.bundle.graphs()) * WEIGHT_BYTES[precision]
        busiest = max(float(self._costs.of(graph.pair_cost or graph.cost)[1]) for _, graph in self.bundle.graphs())
        return (weights + busiest / 4) / 1e6 + CONTEXT_MB[device.kind]

    def _int8_share(self, name: str) -> float:
        """The share of a graph's arithmetic that its recipe runs in INT8."""
        if not self._recipe:
            return INT8_SHARE
        layers = self._recipe.get(name, {"layers": []})["layers"]
        work = sum(layer["work"] for layer in layers)
        return sum(layer["work"] for layer in layers if layer["precision"] == "int8") / work if work else 0.0
