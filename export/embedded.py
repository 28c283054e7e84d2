"""Exporting a checkpoint of the embedded generator as a bundle."""

from __future__ import annotations

import copy
import inspect
import json
import platform
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import onnx
import onnxruntime as ort
import torch
from torch import Tensor, nn
from tqdm import tqdm

from edgedrag.export.bundle_writer import file_variant, new_bundle, write_manifest
from edgedrag.export.costs import measure_cost
from edgedrag.export.golden import add_golden
from edgedrag.export.parity import snr_db
from edgedrag.export.trace import trace
from edgedrag.generator.diffusion.schedule import sampler
from edgedrag.generator.networks.embedded import EmbeddedGenerator
from edgedrag.generator.training.checkpoint import load_checkpoint
from edgedrag.runtime.bundle.graph_inputs import declared_shape
from edgedrag.runtime.errors import EdgedragError
from edgedrag.runtime.files import sha256_of

VERSION = "6.1.0"
MULTIPLE = 32
SIDES = (256, 192, 160, 128)  # shorter sides of the windows, whose longer side is 256 pixels
PARITY_SIZES = ((256, 256), (128, 192))
MIN_SNR_DB = 60.0

# name -> shape, meaning
TENSORS: dict[str, tuple[list[int | str], str]] = {
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


def input_names(module: nn.Module) -> list[str]:
    return list(inspect.signature(module.forward).parameters)


def shape_of(name: str, generator: EmbeddedGenerator) -> list[int | str]:
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


def parity(
    module: nn.Module, file: Path, generator: EmbeddedGenerator, outputs: Sequence[str], h: int, w: int
) -> float:
    """The lowest SNR (dB) of a graph's outputs on ONNX Runtime against the PyTorch module's."""
    names = input_names(module)
    inputs = example_inputs(generator, names, h, w, seed=h * 10007 + w)
    with torch.no_grad():
        expected = module(*inputs)
    expected = expected if isinstance(expected, tuple) else (expected,)
    session = ort.InferenceSession(str(file), providers=["CPUExecutionProvider"])
    actual = session.run(file_outputs(names, outputs), {n: t.numpy() for n, t in zip(names, inputs)})
    return min(snr_db(e.numpy(), f) for e, f in zip(expected, actual))


def export_embedded(checkpoint: Path, folder: Path, figures: dict[str, float] | None = None) -> None:
    """Write the bundle of a checkpoint of the embedded generator.

    Weights are rounded to fp16 and parity is measured against PyTorch with the same rounded weights.

    Raises:
        InputError: not such a checkpoint, or the folder cannot be written.
        EdgedragError: a graph's SNR against its module is below MIN_SNR_DB.
    """
    generator, metadata = load_checkpoint(checkpoint)
    for weight in generator.parameters():
        weight.data = weight.data.half().float()
    stages: dict[str, list[dict[str, Any]]] = {}
    parity_figures: list[dict[str, Any]] = []
    with new_bundle(folder) as aside:
        for spec in tqdm(GRAPHS, desc="graphs"):
            entry = write_graph(spec, generator, aside / f"{spec.name}.onnx")
            stages.setdefault(spec.stage, []).append(entry)
            parity_figures += check_parity(spec, generator, aside / f"{spec.name}.onnx")
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
        write_manifest(aside, manifest(stages, int(metadata.get("default_steps", "1")), provenance))
        add_golden(aside)


def write_graph(spec: GraphSpec, generator: EmbeddedGenerator, file: Path) -> dict[str, Any]:
    """Write a graph's file; returns its entry in the manifest."""
    module = spec.module(generator)
    names = input_names(module)
    shapes = [shape_of(n, generator) for n in names]
    example = example_inputs(generator, names, 96, 160)
    onnx.save(trace(module, example, names, file_outputs(names, spec.outputs), shapes, MULTIPLE), file)
    return {
        "name": spec.name,
        "inputs": [tensor_entry(n, generator) for n in names],
        "outputs": [tensor_entry(n, generator) for n in spec.outputs],
        "variants": [file_variant(file, "fp32", "ort")],
        "cost": measure_cost(copy.deepcopy(module).to("meta"), shapes),
    }


def check_parity(spec: GraphSpec, generator: EmbeddedGenerator, file: Path) -> list[dict[str, Any]]:
    """The SNR of a graph's file at each of PARITY_SIZES. Raises EdgedragError where it is too low."""
    figures = []
    for h, w in PARITY_SIZES:
        snr = parity(spec.module(generator), file, generator, spec.outputs, h, w)
        if snr < MIN_SNR_DB:
            raise EdgedragError(f"{spec.name} at {h} x {w}: SNR {snr:.1f} dB against PyTorch, below {MIN_SNR_DB}")
        figures.append({"graph": spec.name, "height": h, "width": w, "snr_db": round(snr, 1)})
    return figures


def file_outputs(inputs: Sequence[str], outputs: Sequence[str]) -> list[str]:
    """Output names in the file; an output X with the name of an input is called X_next (docs/bundle.md)."""
    return [f"{name}_next" if name in inputs else name for name in outputs]


def tensor_entry(name: str, generator: EmbeddedGenerator) -> dict[str, Any]:
    return {"name": name, "dtype": "float32", "shape": shape_of(name, generator), "meaning": TENSORS[name][1]}


def manifest(stages: dict[str, list[dict[str, Any]]], default_steps: int, provenance: dict[str, Any]) -> dict[str, Any]:
    side = {"minimum": 64, "maximum": 1024, "multiple": MULTIPLE}
    sizes = [[256, s] for s in SIDES] + [[s, 256] for s in SIDES[1:]]
    return {
        "format": "edgedrag-bundle",
        "format_version": 1,
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
