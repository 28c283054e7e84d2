"""The manifest of LightningDrag's bundle."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from edgedrag.export.bundle_writer import file_variant
from edgedrag.export.cuda_fusion import fused_file
from edgedrag.export.lightningdrag.costs import published_schedule
from edgedrag.export.lightningdrag.graphs import LEAST, MOST, MULTIPLE, GraphSpec, is_half, meaning_of, shape_of
from edgedrag.generator.networks.lightningdrag.sizes import CLIP_MEAN, CLIP_SIDE, CLIP_STD, Size
from edgedrag.runtime.bundle.manifest import FORMAT_VERSION

VERSION = "1.0.0"
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

    data = folder / spec.data_file if (folder / spec.data_file).exists() else None
    files = [(folder / spec.file_name(branch), "ort", branch.name) for branch in spec.branches]
    files += [(fused_file(file), "cuda", branch) for file, _, branch in files if fused_file(file).exists()]
    entry = {
        "name": spec.name,
        "inputs": tensors(spec.inputs),
        "outputs": tensors(spec.outputs),
        "variants": [file_variant(file, precision, placement, branch, data) for file, placement, branch in files],
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
        "format_version": FORMAT_VERSION,
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
