"""Exporting LightningDrag's weights as a bundle, one network in memory at a time."""

from __future__ import annotations

import platform
from dataclasses import replace
from pathlib import Path
from typing import Any

import diffusers
import onnxruntime as ort
import torch
import transformers
from tqdm import tqdm

from edgedrag.export.bundle_writer import check_bundle_folder, new_bundle, write_manifest
from edgedrag.export.capacity import check_disk, check_memory
from edgedrag.export.golden import write_golden
from edgedrag.export.lightningdrag.costs import cost_of
from edgedrag.export.lightningdrag.graph_writer import GraphWriter
from edgedrag.export.lightningdrag.graphs import GraphSpec, graphs_of, single
from edgedrag.export.lightningdrag.manifest import INPUTS, graph_entry, manifest
from edgedrag.export.scene import Scene
from edgedrag.generator.networks.lightningdrag.scheduler import sampler_entry
from edgedrag.generator.networks.lightningdrag.small_decoder import load_small_decoder
from edgedrag.generator.networks.lightningdrag.stages import SmallDecode
from edgedrag.generator.networks.lightningdrag.weights import Weights
from edgedrag.runtime.sampling.sampler import make_table

SCENES = {"full": (512, 512), "tiny": (256, 320)}  # H and W of the drag that runs during the export: a window
STEPS = 4
MEMORY_A_PARAMETER = 9  # bytes per parameter of the largest network
MEMORY_BESIDE = 3 << 30  # bytes for the interpreter, PyTorch and activations


def export_lightningdrag(
    weights: Weights, folder: Path, precision: str = "fp32", method: str = "lcm", small_decoder: Path | None = None
) -> None:
    """Write the bundle of LightningDrag's weights.

    A drag runs through the networks during the export: each graph is compared with its module on the drag's tensors,
    and the activations determine which layers do not fit fp16.

    Args:
        precision: "fp32" or "fp16".
        method: "lcm" if LCM-LoRA is in the weights, else "ddim".
        small_decoder: weights of a decoder with TAESD's architecture, to use instead of the VAE's.

    Raises:
        InputError: the folder cannot be written, memory or disk space is too small, or the decoder does not fit.
        EdgedragError: a graph's SNR against its module is too low.
    """
    check_bundle_folder(folder)
    sampler = sampler_entry(method, weights.scheduler(), "scheduler_config.json")
    digest = weights.digest()  # reads every file, so that unreadable files are found first
    graphs = with_decoder(graphs_of(weights.size), small_decoder)
    costs = {(g.name, b.name): cost_of(g, b, weights.size) for g in graphs for b in g.branches}
    check_capacity(graphs, costs, folder, precision)
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


def with_decoder(graphs: tuple[GraphSpec, ...], small_decoder: Path | None) -> tuple[GraphSpec, ...]:
    """The graphs, with the small decoder instead of the VAE's if one is given."""
    if small_decoder is None:
        return graphs
    load_small_decoder(small_decoder)  # raises its errors before the work
    decode = replace(
        graphs[-1],
        name="small_decode",
        branches=single(lambda _: SmallDecode(load_small_decoder(small_decoder))),
        data="small_decoder",
    )
    return (*graphs[:-1], decode)


def check_capacity(
    graphs: tuple[GraphSpec, ...], costs: dict[tuple[str, str], dict[str, Any]], folder: Path, precision: str
) -> None:
    """Raise InputError if memory or disk space is too small."""
    counts = {g.data: costs[g.name, "single"]["parameters"] for g in graphs}
    check_memory(max(counts.values()) * MEMORY_A_PARAMETER + MEMORY_BESIDE, "the export")
    check_disk(folder.parent, sum(counts.values()) * (2 if precision == "fp16" else 4), "the bundle")
