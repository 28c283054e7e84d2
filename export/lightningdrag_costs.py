"""What LightningDrag's graphs cost, worked out on tensors without values, and what the published code does instead."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

from edgedrag.export.costs import measure_cost
from edgedrag.export.lightningdrag_graphs import GRAPHS, Branch, GraphSpec, shape_of
from edgedrag.generator.networks.lightningdrag.sizes import LAYERS, Size
from edgedrag.generator.networks.lightningdrag.small_decoder import empty_small_decoder
from edgedrag.generator.networks.lightningdrag.weights import RandomWeights

IMAGES = 4  # that the published code makes of each drag
STEPS = 8


class PublishedStep(nn.Module):
    """A guided step as published: both halves project the photo's features to keys and values anew."""

    def __init__(self, step: nn.Module, to_k: nn.ModuleList, to_v: nn.ModuleList):
        super().__init__()
        self.step, self.to_k, self.to_v = step, to_k, to_v

    def forward(self, *given: Tensor) -> Tensor:
        keys = given[8 : 8 + LAYERS]
        for layer, key in enumerate(keys):
            features = key.flatten(1, 2).expand(2, -1, -1)
            self.to_k[layer](features)
            self.to_v[layer](features)
        return self.step(*given)


def examples(names: Sequence[str], size: Size, height: int, width: int) -> list[Tensor]:
    """Tensors without values."""

    def concrete(dim: int | str) -> int:
        symbol, _, divisor = str(dim).partition("/")
        return dim if isinstance(dim, int) else {"H": height, "W": width}[symbol] // int(divisor or 1)

    return [torch.empty([concrete(d) for d in shape_of(name, size)], device="meta") for name in names]


def cost_of(spec: GraphSpec, branch: Branch, size: Size) -> dict[str, Any]:
    """The manifest's `cost` entry of a graph's branch."""
    with torch.device("meta"):
        module = branch.build(RandomWeights(size, 0))
    return measure_cost(module.to("meta").eval(), lambda h, w: examples(spec.inputs, size, h, w))


def published_schedule(size: Size) -> dict[str, Any]:
    """The manifest's `published` entry: what the method's own code runs for one drag."""
    graphs = {g.name: g for g in GRAPHS}
    with torch.device("meta"):
        weights = RandomWeights(size, 0)
        pair = next(b for b in graphs["unet"].branches if b.name == "pair").build(weights)
        step = PublishedStep(pair, *weights.denoiser().projections())
        encoder, prompt, small = weights.appearance_encoder(), weights.prompt(), empty_small_decoder()

    def run(name: str, once: int, each: int) -> dict[str, Any]:
        if name == "appearance":  # the encoder alone
            cost = measure_cost(encoder, lambda h, w: [*examples(["source_latent"], size, h, w), prompt])
        else:
            cost = cost_of(graphs[name], graphs[name].branches[0], size)
        return {"name": name, "once": once, "each": each, **_work(cost)}

    return {
        "images": IMAGES,
        "steps": STEPS,
        # The masked photo once; source and reference for each image; the appearance in both halves of the pair.
        "runs": [run("vae_encode", 1, 2), run("clip", 1, 0), run("appearance", 0, 2), run("points", 0, 1),
                 run("vae_decode", 0, 1)],
        "step": _work(measure_cost(step.eval(), lambda h, w: examples(graphs["unet"].inputs, size, h, w))),
        "small_decoder": _work(measure_cost(small.eval(), lambda h, w: examples(["latent"], size, h, w))),
    }  # fmt: skip


def _work(cost: dict[str, Any]) -> dict[str, Any]:
    return {key: cost[key] for key in ("flops", "bytes")}
