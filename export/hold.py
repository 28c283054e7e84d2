"""The graphs of the hold, from a checkpoint of `generator/hold/` or from another bundle."""

from __future__ import annotations

import copy
import shutil
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from edgedrag.export.traced_graph import Shape, TracedGraph, parity_row, write_graph
from edgedrag.generator.hold.checkpoint import load_hold
from edgedrag.generator.hold.measure import LEVEL
from edgedrag.generator.hold.network import DECODER, KEYS, Features, Grasp, Hold, WindowFeatures
from edgedrag.runtime.bundle.graph_inputs import declared_shape
from edgedrag.runtime.bundle.graphs import HOLD
from edgedrag.runtime.bundle.manifest import Bundle, open_bundle
from edgedrag.runtime.errors import InputError

# Of the whole photo, for square ones, those of 3:2 and those of 16:9; about 12, 25 and 49 thousand pixels.
SQUARE = [[96, 96], [160, 160], [224, 224]]
WIDE = [[[96, 128], [128, 192], [192, 256]], [[96, 160], [128, 224], [160, 288]]]
SIZES = [SQUARE, *WIDE, *([[w, h] for h, w in sizes] for sizes in WIDE)]
PARITY_SIZES = ((160, 160), (96, 128))

TENSORS: dict[str, tuple[Shape, str]] = {
    "image": (declared_shape("image"), "the whole photo, RGB, -1..1"),
    "point": (declared_shape("point"), "x, y in pixels"),
    "fine": ([1, 8, "H/2", "W/2"], "features of the photo at 1/2"),
    "keys": ([1, KEYS, "H/4", "W/4"], "features at 1/4, to compare with the point's; each of their groups of length 1"),
    "coarse": ([1, DECODER[2], "H/16", "W/16"], "features at 1/16"),
    "context": ([1, 32, "H/8", "W/8"], "features at 1/8"),
    "colour2": ([1, 3, "H/2", "W/2"], "the photo at 1/2"),
    "colour8": ([1, 3, "H/8", "W/8"], "the photo at 1/8"),
    "held": ([1, 3, "H/2", "W/2"], "0..1, what moves with the point: part, thing, group"),
}


class PhotoFeatures(nn.Module):
    """`Features` with its input named as in the bundle."""

    def __init__(self, features: Features):
        super().__init__()
        self.features = features

    def forward(self, image: Tensor) -> WindowFeatures:
        return self.features(image)


class Answers(nn.Module):
    """`Grasp`, as probabilities."""

    def __init__(self, grasp: Grasp):
        super().__init__()
        self.grasp = grasp

    def forward(
        self,
        point: Tensor,
        fine: Tensor,
        keys: Tensor,
        coarse: Tensor,
        context: Tensor,
        colour2: Tensor,
        colour8: Tensor,
    ) -> Tensor:
        return torch.sigmoid(self.grasp(point, fine, keys, coarse, context, colour2, colour8))


def hold_graphs(model: Hold) -> tuple[TracedGraph, TracedGraph]:
    return (
        TracedGraph("hold_features", PhotoFeatures(model.features), WindowFeatures._fields, TENSORS),
        TracedGraph("hold_answers", Answers(model.grasp), ("held",), TENSORS),
    )


def hold_inputs(model: Hold, h: int, w: int, seed: int = 0) -> tuple[list[Tensor], list[Tensor]]:
    """Plausible inputs of both graphs for a photo of h x w: noise of a few pixels' width, a point off the centre."""
    rng = torch.Generator().manual_seed(seed)
    coarse = torch.randn(1, 3, h // 8, w // 8, generator=rng)
    image = torch.tanh(nn.functional.interpolate(coarse, (h, w), mode="bilinear"))
    with torch.no_grad():
        features = model.features(image)
    return [image], [torch.tensor([[w * 0.4, h * 0.6]]), *features]


def write_hold(
    source: Path, folder: Path, stages: dict[str, list[dict[str, Any]]], parity: list[dict[str, Any]]
) -> dict[str, Any]:
    """Write the graphs of a hold into a bundle's folder, in fp32.

    Args:
        source: a checkpoint of the hold, or a bundle's folder, whose graphs are taken as they are.
        stages, parity: of the manifest; the stage and its rows are added.

    Returns:
        The manifest's entry `hold`, by this name.

    Raises:
        InputError: not such a checkpoint, or a bundle without a hold.
        BundleError: the bundle cannot be read.
        EdgedragError: see `parity_row`.
    """
    if source.is_dir():
        return copy_hold(open_bundle(source), folder, stages, parity)
    model, _ = load_hold(source)
    graphs = hold_graphs(model)
    stages[HOLD] = [
        write_graph(graph, example, folder / f"{graph.name}.onnx")
        for graph, example in zip(graphs, hold_inputs(model, 96, 160))
    ]
    for h, w in PARITY_SIZES:
        for graph, inputs in zip(graphs, hold_inputs(model, h, w, seed=h * 10007 + w)):
            parity.append(parity_row(graph, folder / f"{graph.name}.onnx", inputs, (h, w)))
    return {HOLD: {"sizes": SIZES, "level": LEVEL}}


def copy_hold(
    bundle: Bundle, folder: Path, stages: dict[str, list[dict[str, Any]]], parity: list[dict[str, Any]]
) -> dict[str, Any]:
    """`write_hold` from another bundle."""
    if not bundle.stages[HOLD]:
        raise InputError(f"{bundle.folder}: has no stage 'hold'")
    entries = copy.deepcopy(bundle.manifest["stages"][HOLD])
    for entry in entries:
        entry["variants"] = [v for v in entry["variants"] if v["precision"] == "fp32"]
    for _, graph in bundle.graphs((HOLD,)):
        for variant in graph.variants:
            if variant.precision == "fp32":
                for file in (bundle.verified_file(variant).name, *dict(variant.external)):
                    shutil.copy(bundle.folder / file, folder / file)
    stages[HOLD] = entries
    names = {entry["name"] for entry in entries}
    parity += [row for row in bundle.manifest["provenance"]["parity"] if row["graph"] in names]
    return {HOLD: bundle.manifest[HOLD]}
