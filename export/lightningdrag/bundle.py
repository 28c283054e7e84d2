"""LightningDrag: weights in, bundle out, a network at a time so that the whole never lies in memory."""

from __future__ import annotations

import gc
import platform
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path
from typing import Any

import diffusers
import numpy as np
import onnx_ir as ir
import onnxruntime as ort
import torch
import transformers
from torch import Tensor, nn
from tqdm import tqdm

from edgedrag.export.bundle_writer import check_bundle_folder, file_variant, new_bundle, write_manifest
from edgedrag.export.capacity import check_disk, check_memory
from edgedrag.export.golden import golden_inputs, write_golden
from edgedrag.export.half import Peaks, halve, watch
from edgedrag.export.lightningdrag.costs import cost_of, published_schedule
from edgedrag.export.lightningdrag.graphs import (
    GRAPHS,
    LEAST,
    MOST,
    MULTIPLE,
    Branch,
    GraphSpec,
    is_half,
    meaning_of,
    shape_of,
    single,
)
from edgedrag.export.parity import snr_db
from edgedrag.export.scene import Scene
from edgedrag.export.trace import clean, dynamic_axes, to_program
from edgedrag.export.weight_file import WeightFile
from edgedrag.generator.networks.lightningdrag.scheduler import sampler_entry
from edgedrag.generator.networks.lightningdrag.sizes import CLIP_MEAN, CLIP_SIDE, CLIP_STD, Size
from edgedrag.generator.networks.lightningdrag.small_decoder import load_small_decoder
from edgedrag.generator.networks.lightningdrag.stages import SmallDecode
from edgedrag.generator.networks.lightningdrag.weights import Weights
from edgedrag.runtime.drag.composite import Generated, compose
from edgedrag.runtime.errors import EdgedragError
from edgedrag.runtime.sampling.sampler import make_table
from edgedrag.runtime.selection.self_test import sample

VERSION = "1.0.0"
MIN_SNR_DB = {"fp32": 80.0, "fp16": 35.0}
SCENES = {"full": (512, 512), "tiny": (256, 320)}  # H and W of the picture that is dragged on the way: a window
STEPS = 4
MEMORY_A_PARAMETER = 9  # bytes, of the largest network
MEMORY_BESIDE = 3 << 30  # bytes: the interpreter, PyTorch, and what runs through the networks
INPUTS: dict[str, Any] = {
    "image": {"low": -1.0, "high": 1.0},
    "clip_image": {
        "size": CLIP_SIDE,
        "fit": "crop",
        "mean": list(CLIP_MEAN),
        "std": list(CLIP_STD),
    },
}
WINDOWS = {
    "full": [[512, 512], [448, 576], [576, 448], [384, 640], [640, 384]],
    "tiny": [[256, 256], [256, 320], [320, 256]],
}


def export_lightningdrag(
    weights: Weights, folder: Path, precision: str = "fp32", method: str = "lcm", small_decoder: Path | None = None
) -> None:
    """Write the bundle of LightningDrag's weights.

    A drag is run through the networks on the way: each graph is compared with its module on that drag's tensors,
    and its activations say which layers fp16 cannot hold.

    Args:
        precision: "fp32" or "fp16".
        method: "lcm" where LCM-LoRA is in the weights, else "ddim".
        small_decoder: weights in TAESD's shape, to decode with in place of the VAE.

    Raises:
        InputError: a folder that cannot be written, too little memory or disk, or a decoder of another shape.
        EdgedragError: a graph does not agree with its module.
    """
    check_bundle_folder(folder)
    sampler = sampler_entry(method, weights.scheduler(), "scheduler_config.json")
    digest = weights.digest()  # reads every file, so that what cannot be read is found before the work
    graphs = with_decoder(small_decoder)
    costs = {(g.name, b.name): cost_of(g, b, weights.size) for g in graphs for b in g.branches}
    check_room(graphs, costs, folder, precision)
    with new_bundle(folder) as aside, torch.no_grad():
        scene = SCENES[weights.size.name]
        writer = GraphWriter(weights, aside, precision, Scene(*scene, INPUTS, make_table(sampler, STEPS)))
        with tqdm(total=len(costs), desc="graphs") as bar:
            for spec in graphs:
                writer.write(spec, bar)
        stages: dict[str, list[dict[str, Any]]] = {}
        for spec in graphs:
            stages.setdefault(spec.stage, []).append(graph_entry(spec, weights.size, precision, aside, costs))
        provenance = {
            "checkpoint_sha256": digest,
            "training_data_sha256": "",
            "made_with": {
                "python": platform.python_version(),
                "torch": torch.__version__,
                "diffusers": diffusers.__version__,
                "transformers": transformers.__version__,
                "onnxruntime": ort.__version__,
            },
            "parity": writer.parity,
            "fp32_layers": writer.fp32_layers,
        }
        write_manifest(aside, manifest(weights.size, stages, sampler, provenance))
        write_golden(aside, writer.golden(*scene))


class GraphWriter:
    """Writes graphs in the order in which a drag runs them, and runs the drag along."""

    def __init__(self, weights: Weights, folder: Path, precision: str, scene: Scene):
        self.parity: list[dict[str, Any]] = []
        self.fp32_layers: list[str] = []
        self._weights, self._folder, self._precision, self._scene = weights, folder, precision, scene
        self._tensors: dict[str, Tensor] = {}  # made by the stages so far
        self._makers: dict[str, str] = {}  # the graph that made each, the last of them
        self._data: dict[str, WeightFile] = {}
        self._peaks: dict[str, Peaks] = {}
        self._traced: dict[tuple[Branch, tuple[str, ...]], ir.Model] = {}  # by branch and its layers in fp32

    def write(self, spec: GraphSpec, bar: tqdm) -> None:
        """Make each branch's module, run it, write its graph and its weights, and compare.

        Raises:
            EdgedragError: they disagree.
        """
        made: dict[str, Tensor] = {}
        for branch in spec.branches:
            bar.set_postfix_str(spec.file_name(branch))
            made = {**self._write_branch(spec, branch), **made}
            bar.update()
        self._tensors.update(made)
        self._makers.update(dict.fromkeys(made, spec.name))

    def golden(self, height: int, width: int) -> dict[str, np.ndarray]:
        """The drag and what PyTorch made of it in float32, see `runtime/selection/self_test.py`."""
        stored = golden_inputs(height, width, self._scene.steps)
        low, high = INPUTS["image"]["low"], INPUTS["image"]["high"]
        result = (self._tensors["result"][0].permute(1, 2, 0).numpy() - low) / (high - low)
        stored["edited"] = compose(stored["picture"], stored["mask"], Generated(result, None, None))
        for name, tensor in self._tensors.items():
            stored[f"{self._makers[name]}/{name}"] = sample(tensor.numpy())
        return stored

    def _write_branch(self, spec: GraphSpec, branch: Branch) -> dict[str, Tensor]:
        """Returns what the branch made of the drag, in the last step where there are several."""
        file = self._folder / spec.file_name(branch)
        module = branch.build(self._weights).eval()
        given, expected, made = self._run(module, spec)
        kept: list[str] = []
        if self._precision == "fp16":
            kept = halve(module, self._peaks[spec.name])
            self.fp32_layers += [f"{file.stem}: {name}" for name in kept]
        if (branch, tuple(kept)) not in self._traced:
            self._traced[branch, tuple(kept)] = self._trace(module, spec, given)
        self._save(self._traced[branch, tuple(kept)], spec, file)
        del module
        gc.collect()  # a module and its graph's program hold each other
        snr = self._compare(spec, file, given, expected)
        if snr < MIN_SNR_DB[self._precision]:
            raise EdgedragError(f"{file.name}: SNR {snr:.1f} dB against PyTorch, below {MIN_SNR_DB[self._precision]}")
        height, width = self._scene.size
        self.parity.append({"graph": file.stem, "height": height, "width": width, "snr_db": round(snr, 1)})
        return made

    def _run(self, module: nn.Module, spec: GraphSpec) -> tuple[list[Tensor], list[Tensor], dict[str, Tensor]]:
        """A graph's part of the drag: what it was given and gave, in the first step where there are several, and what
        it made in the last.
        """
        peaks = self._peaks.setdefault(spec.name, {})
        first: tuple[list[Tensor], list[Tensor]] | None = None
        made: dict[str, Tensor] = {}
        for step in range(self._scene.steps if spec.stage == "denoise" else 1):
            if spec.stage == "denoise":
                self._scene.enter(step)
            given = [{**self._scene.tensors, **self._tensors, **made}[name] for name in spec.inputs]
            with watch(module, peaks) if self._precision == "fp16" else nullcontext():
                found = module(*given)
            outputs = list(found) if isinstance(found, tuple) else [found]
            made = dict(zip(spec.outputs, outputs))
            first = first or (given, outputs)
        assert first is not None
        return *first, made

    def _trace(self, module: nn.Module, spec: GraphSpec, given: list[Tensor]) -> ir.Model:
        """The graph of a module, with its weights moved to their file."""
        shapes = [shape_of(name, self._weights.size) for name in spec.inputs]
        axes = dynamic_axes(shapes, MULTIPLE, LEAST // MULTIPLE, MOST // MULTIPLE)
        typed = [t.half() if is_half(n, self._precision) else t for n, t in zip(spec.inputs, given)]
        without_dropout(module)
        whole = Joined(module, [is_half(n, self._precision) for n in spec.outputs]).eval()
        program = to_program(whole, typed, spec.inputs, spec.file_outputs(), [tuple(axes)])
        model = program.model
        clean(model)
        if spec.data not in self._data:
            self._data[spec.data] = WeightFile(self._folder / spec.data_file)
        self._data[spec.data].take(model)
        return model

    def _save(self, model: ir.Model, spec: GraphSpec, file: Path) -> None:
        """Write a graph under its spec's names; it may have been traced for another one."""
        for values, names in ((model.graph.inputs, spec.inputs), (model.graph.outputs, spec.file_outputs())):
            for value, name in zip(values, names, strict=True):
                value.name = name
        ir.save(model, file)

    def _compare(self, spec: GraphSpec, file: Path, given: list[Tensor], expected: list[Tensor]) -> float:
        """The worst SNR of a graph's outputs on ONNX Runtime against its module's in float32, dB."""
        options = ort.SessionOptions()
        options.log_severity_level = 3
        session = ort.InferenceSession(str(file), options, providers=["CPUExecutionProvider"])
        known = {i.name for i in session.get_inputs()}
        feeds = {
            n: (t.half() if is_half(n, self._precision) else t).numpy()
            for n, t in zip(spec.inputs, given)
            if n in known
        }
        found = session.run(spec.file_outputs(), feeds)
        return min(snr_db(e.numpy(), f.astype(np.float32)) for e, f in zip(expected, found))


def without_dropout(module: nn.Module) -> None:
    """Take out dropout, which does nothing in evaluation but is traced, node by node."""
    for name, part in list(module.named_modules()):
        if isinstance(part, nn.Dropout):
            module.set_submodule(name, nn.Identity())


class Joined(nn.Module):
    """A module with its outputs in the types that the manifest states."""

    def __init__(self, module: nn.Module, halves: list[bool]):
        super().__init__()
        self.module = module
        self.halves = halves

    def forward(self, *given: Tensor) -> tuple[Tensor, ...]:
        made = self.module(*given)
        outputs = made if isinstance(made, tuple) else (made,)
        return tuple(t.half() if half else t.float() for t, half in zip(outputs, self.halves))


def with_decoder(small_decoder: Path | None) -> tuple[GraphSpec, ...]:
    """The graphs, with a small decoder in place of the VAE's where one is given."""
    if small_decoder is None:
        return GRAPHS
    load_small_decoder(small_decoder)  # what is wrong with it is said before the work
    decode = replace(
        GRAPHS[-1],
        name="small_decode",
        branches=single(lambda _: SmallDecode(load_small_decoder(small_decoder))),
        data="small_decoder",
    )
    return (*GRAPHS[:-1], decode)


def check_room(
    graphs: tuple[GraphSpec, ...], costs: dict[tuple[str, str], dict[str, Any]], folder: Path, precision: str
) -> None:
    """Raise InputError where memory or disk will not do."""
    counts = {g.data: costs[g.name, "single"]["parameters"] for g in graphs}
    check_memory(max(counts.values()) * MEMORY_A_PARAMETER + MEMORY_BESIDE, "the export")
    check_disk(folder.parent, sum(counts.values()) * (2 if precision == "fp16" else 4), "the bundle")


def graph_entry(
    spec: GraphSpec, size: Size, precision: str, folder: Path, costs: dict[tuple[str, str], dict[str, Any]]
) -> dict[str, Any]:
    """The manifest's entry of a graph whose files are written."""

    def tensors(names: tuple[str, ...]) -> list[dict[str, Any]]:
        return [
            {
                "name": name,
                "dtype": "float16" if is_half(name, precision) else "float32",
                "shape": shape_of(name, size),
                "meaning": meaning_of(name),
            }
            for name in names
        ]

    data = folder / spec.data_file
    entry = {
        "name": spec.name,
        "inputs": tensors(spec.inputs),
        "outputs": tensors(spec.outputs),
        "variants": [
            file_variant(folder / spec.file_name(b), precision, "ort", b.name, data if data.exists() else None)
            for b in spec.branches
        ],
        "cost": costs[spec.name, "single"],
    }
    pair = costs.get((spec.name, "pair"))
    return entry if pair is None else {**entry, "pair_cost": pair}


def manifest(
    size: Size, stages: dict[str, list[dict[str, Any]]], sampler: dict[str, Any], provenance: dict[str, Any]
) -> dict[str, Any]:
    side = {"minimum": LEAST, "maximum": MOST, "multiple": MULTIPLE}
    return {
        "format": "edgedrag-bundle",
        "format_version": 1,
        "name": "lightningdrag-sd15" if size.name == "full" else f"lightningdrag-sd15-{size.name}",
        "version": VERSION,
        "licence": "of the weights that it was made from",
        "description": "LightningDrag on Stable Diffusion 1.5: the drag as a condition of an inpainting model.",
        "symbols": {"H": side, "W": side},
        "inputs": INPUTS,
        "stages": stages,
        "sampler": sampler,
        "window": {"sizes": WINDOWS[size.name], "margin": 0.06},
        "provenance": provenance,
        "published": published_schedule(size),
    }
