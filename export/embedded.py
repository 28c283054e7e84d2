"""Exporting a checkpoint of the embedded generator as a bundle."""

from __future__ import annotations

import json
import platform
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import onnx
import torch
from torch import Tensor, nn
from tqdm import tqdm

from edgedrag.export.bundle_writer import new_bundle, write_manifest
from edgedrag.export.golden import add_golden
from edgedrag.export.hold import write_hold
from edgedrag.export.traced_graph import MULTIPLE, Shape, TracedGraph, parity_row, write_graph
from edgedrag.generator.diffusion.schedule import sampler
from edgedrag.generator.networks.embedded import EmbeddedGenerator
from edgedrag.generator.training.checkpoint import load_checkpoint
from edgedrag.runtime.bundle.graph_inputs import declared_shape
from edgedrag.runtime.bundle.manifest import FORMAT_VERSION
from edgedrag.runtime.files import sha256_of

VERSION = "7.0.0"
SIDES = (256, 192, 160, 128)  # shorter sides of the windows, whose longer side is 256 pixels
PARITY_SIZES = ((256, 256), (128, 192))

# name -> shape, meaning
TENSORS: dict[str, tuple[Shape, str]] = {
    "image": (declared_shape("image"), "the window, RGB, -1..1"),
    "mask": (declared_shape("mask"), "1 where pixels may change"),
    "points": (declared_shape("points"), "handle x, y, target x, y in pixels; a repeated row changes nothing"),
    "noise": ([1, 12, "H/4", "W/4"], "standard normal"),
    "coefficients": (declared_shape("coefficients"), "a, b, c of the sampler's row"),
    "timestep": (declared_shape("timestep"), "noise level, 0..999"),
    "f4": ([1, "A", "H/4", "W/4"], "features of the window at 1/4"),
    "f8": ([1, "B", "H/8", "W/8"], "features of the window at 1/8"),
    "f16": ([1, "C", "H/16", "W/16"], "features of the window at 1/16"),
    "flow": (declared_shape("flow"), "backward flow, pixels: the result at p shows the window at p + flow(p)"),
    "revealed": (declared_shape("revealed"), "0..1, 1 where the motion shows the ground behind what moved"),
    "warped": ([1, 3, "H", "W"], "the window warped by the flow, RGB, -1..1"),
    "c4": ([1, "A", "H/4", "W/4"], "conditioning of the denoiser at 1/4"),
    "c8": ([1, "B", "H/8", "W/8"], "conditioning of the denoiser at 1/8"),
    "c16": ([1, "C", "H/16", "W/16"], "conditioning of the denoiser at 1/16"),
    "latent": ([1, 12, "H/4", "W/4"], "the picture at half its size, folded 2 x 2, at the loop's noise level"),
    "result": ([1, 3, "H", "W"], "the generator's picture of the window, RGB, -1..1"),
}


@dataclass(frozen=True)
class GraphSpec:
    """A module that becomes a graph of a stage; the graph's inputs are named like the arguments of `forward`."""

    stage: str
    name: str
    module: Callable[[EmbeddedGenerator], nn.Module]
    outputs: tuple[str, ...]


GRAPHS = (
    GraphSpec("reference", "encoder", lambda g: g.encoder, ("f4", "f8", "f16")),
    GraphSpec("drag", "condition", lambda g: g.condition, ("warped", "c4", "c8", "c16", "latent")),
    GraphSpec("denoise", "denoiser", lambda g: g.denoiser, ("latent",)),
    GraphSpec("decode", "decoder", lambda g: g.decoder, ("result",)),
)


def shape_of(name: str, generator: EmbeddedGenerator) -> Shape:
    """A tensor's shape with the symbols A, B and C replaced by the network's widths."""
    widths = dict(zip("ABC", generator.config.widths))
    return [widths.get(d, d) if isinstance(d, str) else d for d in TENSORS[name][0]]


def example_inputs(generator: EmbeddedGenerator, names: Sequence[str], h: int, w: int, seed: int = 0) -> list[Tensor]:
    """Plausible random inputs for a picture of h x w and three drags."""
    rng = torch.Generator().manual_seed(seed)

    def one(name: str) -> Tensor:
        sizes = {"H": h, "W": w, "N": 3}
        shape = []
        for dim in shape_of(name, generator):
            symbol, _, divisor = str(dim).partition("/")
            shape.append(dim if isinstance(dim, int) else sizes[symbol] // int(divisor or 1))
        if name == "mask":
            return (torch.rand(shape, generator=rng) > 0.3).float()
        if name == "points":
            return torch.rand(shape, generator=rng) * torch.tensor([w - 1.0, h - 1.0, w - 1.0, h - 1.0])
        if name in ("revealed", "coefficients"):
            return torch.rand(shape, generator=rng)
        if name == "timestep":
            return torch.tensor([759.0])
        return torch.randn(shape, generator=rng) * (6.0 if name == "flow" else 0.5)

    return [one(name) for name in names]


def traced(spec: GraphSpec, generator: EmbeddedGenerator) -> TracedGraph:
    tensors = {name: (shape_of(name, generator), meaning) for name, (_, meaning) in TENSORS.items()}
    return TracedGraph(spec.name, spec.module(generator), spec.outputs, tensors)


def export_embedded(
    checkpoint: Path, folder: Path, figures: dict[str, float] | None = None, hold: Path | None = None
) -> None:
    """Write the bundle of a checkpoint of the embedded generator.

    Weights are rounded to fp16 and parity is measured against PyTorch with the same rounded weights.

    Args:
        hold: a checkpoint of the hold, for a bundle with that stage.

    Raises:
        InputError: not such a checkpoint, or the folder cannot be written.
        EdgedragError: see `parity_row`.
    """
    generator, metadata = load_checkpoint(checkpoint)
    for weight in generator.parameters():
        weight.data = weight.data.half().float()
    stages: dict[str, list[dict[str, Any]]] = {}
    parity_figures: list[dict[str, Any]] = []
    with new_bundle(folder) as aside:
        for spec in tqdm(GRAPHS, desc="graphs"):
            graph, file = traced(spec, generator), aside / f"{spec.name}.onnx"
            entry = write_graph(graph, example_inputs(generator, graph.inputs, 96, 160), file)
            stages.setdefault(spec.stage, []).append(entry)
            for h, w in PARITY_SIZES:
                inputs = example_inputs(generator, graph.inputs, h, w, seed=h * 10007 + w)
                parity_figures.append(parity_row(graph, file, inputs, (h, w)))
        held = {} if hold is None else write_hold(hold, aside, stages, parity_figures)
        provenance = {
            "checkpoint_sha256": sha256_of(checkpoint),
            "training_data_sha256": metadata.get("training_data_sha256", ""),
            "training_clips": json.loads(metadata.get("training_clips", "[]")),
            "made_with": {
                "python": platform.python_version(),
                "torch": torch.__version__,
                "onnx": onnx.__version__,
                "training_steps": metadata.get("steps", ""),
            },
            "parity": parity_figures,
            "figures": figures or {},
        }
        default_steps = int(metadata.get("default_steps", "1"))
        write_manifest(aside, {**manifest(stages, default_steps, provenance), **held})
        add_golden(aside)


def manifest(stages: dict[str, list[dict[str, Any]]], default_steps: int, provenance: dict[str, Any]) -> dict[str, Any]:
    side = {"minimum": 64, "maximum": 1024, "multiple": MULTIPLE}
    sizes = [[256, s] for s in SIDES] + [[s, 256] for s in SIDES[1:]]
    return {
        "format": "edgedrag-bundle",
        "format_version": FORMAT_VERSION,
        "name": "embedded",
        "version": VERSION,
        "licence": "Apache-2.0",
        "description": "A small generator for drags on the CPU: a denoiser of what a motion moves and reveals.",
        "symbols": {"H": side, "W": side, "N": {"minimum": 1, "maximum": 64, "multiple": 1}},
        "inputs": {"image": {"low": -1.0, "high": 1.0}},
        "stages": stages,
        "sampler": sampler("sample", default_steps),
        "window": {"sizes": sizes, "margin": 0.06},
        "provenance": provenance,
    }
