"""Writing the bundle of a recipe, with INT8 and fp16 variants, atomically."""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import onnx_ir as ir

from edgedrag.calibration.graphs.placement import PLACEMENTS
from edgedrag.calibration.recipe import FILE, dumps, in_int8, ranges_of
from edgedrag.calibration.runs.branches import place_branch
from edgedrag.calibration.runs.halves import halve
from edgedrag.calibration.runs.workbench import Place, Workbench
from edgedrag.export.bundle_writer import file_variant, new_bundle, write_manifest
from edgedrag.export.golden import add_golden
from edgedrag.export.weight_file import WeightFile
from edgedrag.runtime.bundle.graphs import DRAG_STAGES, HOLD
from edgedrag.runtime.files import sha256_of


def write_bundle(bench: Workbench, recipe: Mapping[str, Any], output: Path) -> None:
    """Write the bundle `output`: the fp32 graphs, the recipe, and the variants that it describes.

    The variants are INT8 for both placements, and fp16; the hold's graphs are in fp32 in each. The golden drag is
    recomputed, with a limit for INT8.
    """
    bundle = bench.bundle
    manifest = json.loads(json.dumps(bundle.manifest))
    with new_bundle(output) as aside:
        variants = [variant for _, graph in bundle.graphs() for variant in graph.variants]
        for file in {bundle.verified_file(v).name for v in variants} | {n for v in variants for n, _ in v.external}:
            shutil.copy(bundle.folder / file, aside / file)
        for stage in DRAG_STAGES:
            for graph in manifest["stages"][stage]:
                name, entry = graph["name"], recipe["graphs"][graph["name"]]
                graph["variants"] += write_graph(bench, name, entry, aside)
                graph["variants"] += write_half(bench, name, entry, aside)
        for graph in manifest["stages"].get(HOLD, ()):
            graph["variants"] += in_every_precision(graph["variants"])
        (aside / FILE).write_bytes(dumps(recipe))
        manifest["recipe"] = {"file": FILE, "sha256": sha256_of(aside / FILE)}
        write_manifest(aside, manifest)
        if not any(bench.is_large(name) for name in bench.graphs):
            add_golden(aside)


def in_every_precision(variants: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Entries of the same fp32 files for the other precisions: the hold's graphs are small and run in no drag."""
    others = (("int8", "ort"), ("int8", "tensorrt"), ("fp16", "ort"))
    return [{**v, "precision": precision, "placement": place} for v in variants for precision, place in others]


def write_graph(bench: Workbench, name: str, entry: Mapping[str, Any], folder: Path) -> list[dict[str, Any]]:
    """Write a graph's INT8 files, which share one weight file; returns their manifest entries."""
    weights = WeightFile(folder / f"{name}.int8.data")
    written: list[tuple[Path, str, str, Path | None]] = []
    for placement in PLACEMENTS:
        for branch, variant in bench.files[name].items():
            if placement == "ort" and not in_int8(entry):  # no INT8 layers: use the fp32 file
                data = folder / variant.external[0][0] if variant.external else None
                written.append((folder / variant.file, placement, branch, data))
                continue
            file = folder / f"{Path(variant.file).stem}.int8.{placement}.onnx"
            model = placed(bench, (name, branch), entry, placement)
            weights.take(model)
            ir.save(model, file)
            written.append((file, placement, branch, weights.path))
    return [
        file_variant(file, "int8", placement, branch, data if data is not None and data.exists() else None)
        for file, placement, branch, data in written
    ]


def write_half(bench: Workbench, name: str, entry: Mapping[str, Any], folder: Path) -> list[dict[str, Any]]:
    """Write a graph's fp16 files, or reuse the fp32 files if the recipe requires it; returns their entries."""
    weights = WeightFile(folder / f"{name}.fp16.data")
    entries = []
    for branch, variant in bench.files[name].items():
        if entry["rest"] == "fp32":
            data = folder / variant.external[0][0] if variant.external else None
            entries.append(file_variant(folder / variant.file, "fp16", "ort", branch, data))
            continue
        file = folder / f"{Path(variant.file).stem}.fp16.onnx"
        model = halve(bench.model(name, branch), entry["fp32_nodes"])
        weights.take(model)
        ir.save(model, file)
        entries.append(file_variant(file, "fp16", "ort", branch, weights.path if weights.path.exists() else None))
    return entries


def placed(bench: Workbench, where: Place, entry: Mapping[str, Any], placement: str) -> ir.Model:
    """A graph with the INT8 layers of its recipe entry; the rest is fp32 for `ort`, which has no fast fp16."""
    model = place_branch(bench, where, set(in_int8(entry)), ranges_of(entry), placement)
    if placement == "ort" or entry["rest"] == "fp32":
        return model
    return halve(model, entry["fp32_nodes"])
