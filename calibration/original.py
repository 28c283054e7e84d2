"""The bundle to calibrate, without INT8 variants."""

from __future__ import annotations

import copy
from dataclasses import replace
from pathlib import Path

from edgedrag.runtime.bundle.manifest import SHIPPED, Bundle, open_bundle
from edgedrag.runtime.errors import InputError


def open_original(folder: str | Path) -> Bundle:
    """Open a bundle without INT8; for a shipped bundle, its INT8 variants are left out.

    Raises:
        InputError: the bundle has INT8 already, and does not ship with edgedrag.
    """
    bundle = open_bundle(folder)
    quantized = [graph.name for _, graph in bundle.graphs() if any(v.precision == "int8" for v in graph.variants)]
    if quantized and bundle.folder.parent != SHIPPED:
        raise InputError(
            f"{bundle.folder}: is quantized already (graph '{quantized[0]}' has INT8); use the original bundle"
        )
    return in_fp32(bundle)


def in_fp32(bundle: Bundle) -> Bundle:
    """The same bundle without recipe and without variants in other precisions."""
    manifest = copy.deepcopy(bundle.manifest)
    manifest.pop("recipe", None)
    for stage in manifest["stages"].values():
        for graph in stage:
            graph["variants"] = [v for v in graph["variants"] if v["precision"] == "fp32"]
    stages = {
        name: tuple(replace(g, variants=tuple(v for v in g.variants if v.precision == "fp32")) for g in graphs)
        for name, graphs in bundle.stages.items()
    }
    return replace(bundle, manifest=manifest, stages=stages)
