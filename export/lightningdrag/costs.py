"""The cost of LightningDrag's graphs and of the published code's schedule, computed on meta tensors."""

from __future__ import annotations

from functools import cache
from typing import Any

import torch
from torch import Tensor, nn

from edgedrag.export.costs import measure_cost
from edgedrag.export.lightningdrag.graphs import Branch, GraphSpec, graphs_of, shape_of
from edgedrag.generator.networks.lightningdrag.sizes import Size
from edgedrag.generator.networks.lightningdrag.small_decoder import empty_small_decoder
from edgedrag.generator.networks.lightningdrag.weights import RandomWeights

IMAGES = 4  # results that the published code generates for each drag
STEPS = 8
# Network, runs for all images together, runs for each image. The published code encodes the masked photo once, source
# and reference once for each image, and runs the appearance encoder in both halves of the guidance pair.
RUNS = (("vae_encode", 1, 2), ("clip", 1, 0), ("appearance", 0, 2), ("points", 0, 1), ("vae_decode", 0, 1))


class PublishedStep(nn.Module):
    """A guided step as published: both halves project the photo's features to keys and values at every step."""

    def __init__(self, step: nn.Module, to_k: nn.ModuleList, to_v: nn.ModuleList):
        super().__init__()
        self.step, self.to_k, self.to_v = step, to_k, to_v

    def forward(self, *given: Tensor) -> Tensor:
        keys = given[8 : 8 + len(self.to_k)]
        for layer, key in enumerate(keys):
            features = key.flatten(1, 2).expand(2, -1, -1)
            self.to_k[layer](features)
            self.to_v[layer](features)
        return self.step(*given)


@cache
def cost_of(spec: GraphSpec, branch: Branch, size: Size) -> dict[str, Any]:
    """The manifest's `cost` entry of a graph's branch."""
    with torch.device("meta"):
        module = branch.build(RandomWeights(size, 0))
    return measure_cost(module.to("meta").eval(), shapes_of(spec.inputs, size))


def shapes_of(names: tuple[str, ...], size: Size) -> list[list[int | str]]:
    return [shape_of(name, size) for name in names]


def published_schedule(size: Size) -> dict[str, Any]:
    """The manifest's `published` entry: what the method's own code runs for one drag."""
    graphs = {g.name: g for g in graphs_of(size)}
    with torch.device("meta"):
        weights = RandomWeights(size, 0)
        pair = next(b for b in graphs["unet"].branches if b.name == "pair").build(weights)
        step = PublishedStep(pair, *weights.denoiser().projections())
        encoder, prompt, small = weights.appearance_encoder(), weights.prompt(), empty_small_decoder()

    step_cost = measure_cost(step.eval(), shapes_of(graphs["unet"].inputs, size))
    encoder_cost = measure_cost(encoder, [shape_of("source_latent", size), list(prompt.shape)])  # without projections
    small_cost = measure_cost(small.eval(), [shape_of("latent", size)])

    def run(name: str, once: int, each: int) -> dict[str, Any]:
        cost = encoder_cost if name == "appearance" else cost_of(graphs[name], graphs[name].branches[0], size)
        return {"name": name, "once": once, "each": each, **_work(cost)}

    return {
        "images": IMAGES,
        "steps": STEPS,
        "runs": [run(*row) for row in RUNS],
        "step": _work(step_cost),
        "small_decoder": _work(small_cost),
    }


def _work(cost: dict[str, Any]) -> dict[str, Any]:
    return {key: cost[key] for key in ("flops", "bytes")}
