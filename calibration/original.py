"""The bundle that is calibrated: as it was before INT8."""

from __future__ import annotations

import copy
from dataclasses import replace
from pathlib import Path

from edgedrag.runtime.bundle.manifest import SHIPPED, Bundle, open_bundle
from edgedrag.runtime.errors import InputError


def open_original(folder: str | Path) -> Bundle:
    """Open a bundle without INT8; one that ships with edgedrag as it was before its own calibration.

    Raises:
        InputError: another bundle that has INT8 already.
    """
    bundle = open_bundle(folder)
    quantized = [graph.name for _, graph in bundle.graphs() if any(v.precision == "int8" for v in graph.variants)]
    if quantized and bundle.folder.parent != SHIPPED:
        raise InputError(
            f"{bundle.folder}: is quantized already (graph '{quantized[0]}' has INT8); give the bundle it was made from"
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
