"""Timing LightningDrag's networks in PyTorch with random weights, as the baseline of the TensorRT engines.

Also estimates the drag of the published code: its schedule with the same networks.
"""

from __future__ import annotations

import gc
import statistics
import time
from collections.abc import Callable
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

from edgedrag.export.half import halve
from edgedrag.export.lightningdrag.costs import RUNS, STEPS, PublishedStep
from edgedrag.export.lightningdrag.graphs import GraphSpec, graphs_of, is_half, shape_of
from edgedrag.generator.networks.lightningdrag.sizes import Size
from edgedrag.generator.networks.lightningdrag.weights import RandomWeights

WARM, TIMED = 3, 20


class AppearanceAlone(nn.Module):
    """The appearance encoder as published, without the projections, which run at every step."""

    def __init__(self, encoder: nn.Module, prompt: Tensor):
        super().__init__()
        self.encoder = encoder
        self.register_buffer("prompt", prompt)

    def forward(self, source_latent: Tensor) -> Any:
        return self.encoder(source_latent, self.prompt)


def modules(size: Size) -> list[tuple[str, GraphSpec, Callable[[], nn.Module]]]:
    """Name, graph whose inputs it has, and builder of each network."""
    weights = RandomWeights(size, 0)
    built: list[tuple[str, GraphSpec, Callable[[], nn.Module]]] = []
    specs = graphs_of(size)
    for spec in specs:
        for branch in spec.branches:
            name = spec.name if branch.name == "single" else f"{spec.name}_{branch.name}"
            built.append((name, spec, lambda branch=branch: branch.build(weights)))  # type: ignore[misc]
    graphs = {spec.name: spec for spec in specs}
    pair = graphs["unet"].branches[0]

    def step() -> nn.Module:
        return PublishedStep(pair.build(weights), *weights.denoiser().projections())

    def appearance() -> nn.Module:
        return AppearanceAlone(weights.appearance_encoder(), weights.prompt())

    return [
        *built,
        ("published_step", graphs["unet"], step),
        ("published_appearance", graphs["appearance"], appearance),
    ]


def inputs_of(spec: GraphSpec, size: Size, height: int, width: int, device: str, precision: str) -> list[Tensor]:
    """Random tensors in the types that the manifest states."""
    rng = torch.Generator().manual_seed(0)
    tensors = []
    for name in spec.inputs:
        dims = [
            dim if isinstance(dim, int) else {"H": height, "W": width}[dim[0]] // int(dim.partition("/")[2] or 1)
            for dim in shape_of(name, size)
        ]
        values = torch.rand(dims, generator=rng) * 0.5
        tensors.append((values.half() if is_half(name, precision) else values).to(device))
    return tensors


def median_ms(run: Callable[[], object], device: str, warm: int = WARM, timed: int = TIMED) -> float:
    """The median time of single synchronised runs, ms."""

    def wait() -> None:
        if device != "cpu":
            torch.cuda.synchronize()

    spans = []
    for turn in range(warm + timed):
        started = time.perf_counter()
        run()
        wait()
        if turn >= warm:
            spans.append((time.perf_counter() - started) * 1e3)
    return round(statistics.median(spans), 3)


@torch.no_grad()
def time_networks(
    size: Size, height: int, width: int, device: str, compiled: bool, timed: int = TIMED
) -> dict[str, dict[str, float | None]]:
    """Milliseconds of each network at batch 1, eager and with torch.compile (None if not run).

    In fp32 on "cpu", in fp16 on other devices.
    """
    precision = "fp32" if device == "cpu" else "fp16"
    rows: dict[str, dict[str, float | None]] = {}
    for name, spec, build in modules(size):
        with torch.device(device):  # a GPU draws random weights much faster
            module = build().eval().to(device)
        if precision == "fp16":
            halve(module, {})
        inputs = inputs_of(spec, size, height, width, device, precision)
        row: dict[str, float | None] = {"compile": None}
        row["eager"] = median_ms(partial(module, *inputs), device, timed=timed)
        if compiled:
            row["compile"] = median_ms(partial(torch.compile(module), *inputs), device, timed=timed)
        rows[name] = row
        del module, inputs
        gc.collect()
        if device != "cpu":
            torch.cuda.empty_cache()
    return rows


def published_drag_ms(rows: dict[str, dict[str, float | None]], how: str, images: int) -> float | None:
    """The time of a drag with the published schedule (ms): runs at batch 1, sequentially for each image."""
    names = {"appearance": "published_appearance"}
    total = 0.0
    for name, once, each in RUNS:
        ms = rows[names.get(name, name)][how]
        if ms is None:
            return None
        total += ms * (once + images * each)
    step = rows["published_step"][how]
    return None if step is None else round(total + images * STEPS * step, 2)


def our_drag_ms(
    rows: dict[str, dict[str, float | None]], size: Size, how: str, pairs: int, singles: int
) -> float | None:
    """The time of a first drag with edgedrag's schedule in PyTorch, ms."""
    once = [rows[spec.name][how] for spec in graphs_of(size) if spec.stage != "denoise"]
    loop = [rows["unet_pair"][how], rows["unet"][how]]
    if any(ms is None for ms in (*once, *loop)):
        return None
    return round(sum(ms or 0 for ms in once) + pairs * (loop[0] or 0) + singles * (loop[1] or 0), 2)
