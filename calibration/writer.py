"""A recipe into graphs: the bundle with its INT8 variants, written whole or not at all."""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import onnx_ir as ir

from edgedrag.calibration.halves import halve
from edgedrag.calibration.layers import Layer, find_layers, find_sums
from edgedrag.calibration.placement import PLACEMENTS, Ranges, place
from edgedrag.calibration.recipe import FILE, dumps, in_int8, ranges_of
from edgedrag.calibration.workbench import Workbench
from edgedrag.export.bundle_writer import file_variant, new_bundle, sha256_of, write_manifest
from edgedrag.export.weight_file import WeightFile
from edgedrag.runtime.errors import EdgedragError


def write_bundle(bench: Workbench, recipe: Mapping[str, Any], output: Path) -> None:
    """Write the bundle `output`: all that the bench's bundle has, INT8 variants for both placements, the recipe."""
    bundle = bench.bundle
    manifest = json.loads(json.dumps(bundle.manifest))
    with new_bundle(output) as aside:
        variants = [variant for _, graph in bundle.graphs() for variant in graph.variants]
        for file in {bundle.verified_file(v).name for v in variants} | {n for v in variants for n, _ in v.external}:
            shutil.copy(bundle.folder / file, aside / file)
        for stage in manifest["stages"].values():
            for graph in stage:
                for placement in PLACEMENTS:
                    entry = recipe["graphs"][graph["name"]]
                    graph["variants"] += write_graph(bench, graph["name"], entry, placement, aside)
        (aside / FILE).write_bytes(dumps(recipe))
        manifest["recipe"] = {"file": FILE, "sha256": sha256_of(aside / FILE)}
        write_manifest(aside, manifest)


def write_graph(
    bench: Workbench, name: str, entry: Mapping[str, Any], placement: str, folder: Path
) -> list[dict[str, Any]]:
    """Write a graph's INT8 files for one placement; returns the manifest's entries of them."""
    files: dict[str, Path] = {}
    data: Path | None = None
    weights: WeightFile | None = None
    for branch, variant in bench.files[name].items():
        data = folder / variant.external[0][0] if variant.external else None
        if placement == "ort" and not in_int8(entry):  # nothing to round: the fp32 file serves
            files[branch] = folder / variant.file
            continue
        files[branch] = folder / f"{Path(variant.file).stem}.int8.{placement}.onnx"
        model = placed(bench, name, branch, entry, placement)
        if data is not None:
            data = folder / f"{name}.int8.{placement}.data"
            weights = weights or WeightFile(data)  # the branches share it
            weights.take(model)
        ir.save(model, files[branch])
    return [file_variant(file, "int8", placement, branch, data) for branch, file in files.items()]


def placed(bench: Workbench, name: str, branch: str, entry: Mapping[str, Any], placement: str) -> ir.Model:
    """A graph as its entry in a recipe says; the rest in fp32 for `ort`, which has no fast fp16."""
    model, ranges, names = bench.model(name, branch), ranges_of(entry), set(in_int8(entry))
    layers: Sequence[Layer] = find_layers(model)
    if branch != "single":
        layers, ranges = as_in_single(bench.model(name), model, ranges)
    place(model, [layer for layer in layers if layer.name in names], ranges, placement)
    if placement == "ort" or entry["rest"] == "fp32":
        return model
    return halve(model, entry["fp32_nodes"])


def as_in_single(first: ir.Model, branch: ir.Model, ranges: Ranges) -> tuple[list[Layer], Ranges]:
    """A branch's layers under the names that they have in the single branch, and the ranges of its own tensors.

    A guidance pair runs the same layers in the same order, but its tensors have names of their own.
    """
    single, own = find_layers(first), find_layers(branch)
    if [layer.op for layer in single] != [layer.op for layer in own]:
        raise EdgedragError("the guidance pair does not run the layers of the single branch; export the bundle again")
    renamed = Ranges()
    for theirs, layer in zip(single, own):
        for kind, end in (("inputs", "input"), ("outputs", "output"), ("divisors", "input")):
            found = getattr(ranges, kind).get(getattr(theirs, end))
            if found is not None:
                getattr(renamed, kind)[getattr(layer, end)] = found
    outputs = {theirs.output: layer.output for theirs, layer in zip(single, own)}
    for theirs, layer in zip(single, own):
        if theirs.input in ranges.folds:
            renamed.folds[layer.input] = outputs[ranges.folds[theirs.input]]
    for summed, sum_ in zip(find_sums(first, single), find_sums(branch, own)):
        if summed in ranges.sums:
            renamed.sums[sum_] = ranges.sums[summed]
    return [replace(layer, name=theirs.name) for theirs, layer in zip(single, own)], renamed
