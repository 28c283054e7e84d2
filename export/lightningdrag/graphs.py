"""The graphs of LightningDrag's bundle: their modules, and the tensors between them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache

from torch import nn

from edgedrag.generator.networks.lightningdrag import stages
from edgedrag.generator.networks.lightningdrag.sizes import CLIP_SIDE, IMAGE_TOKENS, Size
from edgedrag.generator.networks.lightningdrag.weights import Weights
from edgedrag.runtime.bundle.graph_inputs import declared_shape

MULTIPLE, LEAST, MOST = 64, 256, 1024  # sides of the picture, pixels

LATENT: list[int | str] = [1, 4, "H/8", "W/8"]
# name -> shape, meaning
TENSORS: dict[str, tuple[list[int | str], str]] = {
    "image": (declared_shape("image"), "the window, RGB, -1..1"),
    "clip_image": ([1, 3, CLIP_SIDE, CLIP_SIDE], "the window for the image encoder"),
    "masked_image": (declared_shape("masked_image"), "the window, 0 where pixels may change"),
    "mask": (declared_shape("mask"), "1 where pixels may change"),
    "handle_map": (declared_shape("handle_map"), "the drag's number at its handle"),
    "target_map": (declared_shape("target_map"), "the drag's number at its target"),
    "noise": (LATENT, "standard normal"),
    "coefficients": (declared_shape("coefficients"), "a, b, c of the sampler's row"),
    "timestep": (declared_shape("timestep"), "noise level, 0..999"),
    "guidance": (declared_shape("guidance"), "scale of the guidance pair"),
    "source_latent": (LATENT, "the window's clean latent"),
    "masked_latent": (LATENT, "the masked window's clean latent"),
    "latent": (LATENT, "the picture's latent at the loop's noise level"),
    "result": ([1, 3, "H", "W"], "the generator's picture of the window, RGB, -1..1"),
}
MEANINGS = {
    "k_ref": "keys of the window's appearance",
    "v_ref": "values of the window's appearance",
    "e_t": "embeddings of targets, added to queries and to the picture's keys",
    "e_h": "embeddings of handles, added to the keys of the window's appearance",
}


@dataclass(frozen=True)
class Branch:
    """One file of a graph: "single" or "pair"."""

    name: str
    build: Callable[[Weights], nn.Module]


@dataclass(frozen=True)
class GraphSpec:
    """A graph of a stage. Graphs with the same `data` share one weight file."""

    stage: str
    name: str
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    branches: tuple[Branch, ...]
    data: str

    @property
    def data_file(self) -> str:
        return f"{self.data}.data"

    def file_name(self, branch: Branch) -> str:
        return f"{self.name}.onnx" if branch.name == "single" else f"{self.name}_{branch.name}.onnx"

    def file_outputs(self) -> list[str]:
        """Output names in the file; an output X with the name of an input is called X_next (docs/bundle.md)."""
        return [f"{name}_next" if name in self.inputs else name for name in self.outputs]


def single(build: Callable[[Weights], nn.Module]) -> tuple[Branch, ...]:
    return (Branch("single", build),)


@cache  # costs are stored by branch
def graphs_of(size: Size) -> tuple[GraphSpec, ...]:
    """The graphs of a size, in execution order."""
    keys, values, targets, handles = (
        tuple(f"{kind}.{layer}" for layer in range(len(size.layer_levels))) for kind in MEANINGS
    )
    step = ("latent", "mask", "masked_latent", "ip", "timestep", "guidance", "coefficients", "noise")
    vae_encode = single(lambda w: stages.VaeEncode(w.vae()))  # one object for both graphs, so that it is traced once
    return (
        GraphSpec("reference", "vae_encode", ("image",), ("source_latent",), vae_encode, "vae_encoder"),
        GraphSpec("reference", "clip", ("clip_image",), ("ip",), single(lambda w: stages.Clip(w.image_prompt())),
                  "clip"),
        GraphSpec("reference", "appearance", ("source_latent",), (*keys, *values),
                  single(lambda w: stages.Appearance(w.denoiser().projections(), w.appearance_encoder(), w.prompt())),
                  "appearance"),
        GraphSpec("drag", "masked_encode", ("masked_image",), ("masked_latent",), vae_encode, "vae_encoder"),
        GraphSpec("drag", "points", ("handle_map", "target_map"), (*targets, *handles),
                  single(lambda w: stages.Points(w.point_network())), "points"),
        GraphSpec("drag", "start", ("source_latent", "noise", "coefficients"), ("latent",),
                  single(lambda w: stages.Start()), "start"),
        GraphSpec("denoise", "unet", (*step, *keys, *values, *targets, *handles), ("latent",),
                  (Branch("pair", lambda w: stages.Denoise(w.denoiser(), pair=True)),
                   Branch("single", lambda w: stages.Denoise(w.denoiser(), pair=False))), "unet"),
        GraphSpec("decode", "vae_decode", ("latent",), ("result",),
                  single(lambda w: stages.VaeDecode(w.vae())), "vae_decoder"),
    )  # fmt: skip


def shape_of(name: str, size: Size) -> list[int | str]:
    """A tensor's shape for a size of the networks."""
    kind, _, layer = name.partition(".")
    if kind in MEANINGS:
        side = 8 << size.layer_levels[int(layer)]
        return [1, f"H/{side}", f"W/{side}", size.layer_width(int(layer))]
    if name == "ip":
        return [1, IMAGE_TOKENS, size.token_width]
    return TENSORS[name][0]


def meaning_of(name: str) -> str:
    kind, _, layer = name.partition(".")
    if kind in MEANINGS:
        return f"{MEANINGS[kind]}, layer {layer}"
    return "image tokens of the window" if name == "ip" else TENSORS[name][1]


def is_half(name: str, precision: str) -> bool:
    """Whether a tensor is fp16: in an fp16 bundle, features are; what the sampler computes with stays fp32."""
    return precision == "fp16" and (name == "ip" or name.partition(".")[0] in MEANINGS)
