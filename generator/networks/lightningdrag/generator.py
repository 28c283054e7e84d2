"""LightningDrag for training: the paper's training, and distillation into a LoRA of the denoiser.

Frozen networks are kept outside the module tree: a model, its moving average and its student share them, and they are
not part of the state dict.
"""

from __future__ import annotations

import copy
import json
from collections.abc import Callable, Iterable
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
from safetensors.torch import save_file
from torch import Tensor, nn

from edgedrag.generator.data.batches import Batch
from edgedrag.generator.diffusion.contract import DragGenerator
from edgedrag.generator.diffusion.schedule import STEPS, alphas_and_sigmas
from edgedrag.generator.networks.lightningdrag.attention import LayerConditioning
from edgedrag.generator.networks.lightningdrag.low_rank import add_low_rank, write_lora
from edgedrag.generator.networks.lightningdrag.networks import AppearanceEncoder, Denoiser, ImagePrompt, Vae
from edgedrag.generator.networks.lightningdrag.points import PointNetwork
from edgedrag.generator.networks.lightningdrag.published import (
    ATTENTION_FILE,
    DRAG,
    POINTS_FILE,
    PublishedWeights,
    point_attention,
)
from edgedrag.generator.networks.lightningdrag.scheduler import sampler_entry
from edgedrag.generator.networks.lightningdrag.sizes import CLIP_MEAN, CLIP_SIDE, CLIP_STD
from edgedrag.generator.networks.lightningdrag.weights import Weights
from edgedrag.runtime.drag.inputs import covering_size, index_map
from edgedrag.runtime.errors import InputError
from edgedrag.runtime.files import aside_folder, move_folder, remove_leftovers

GUIDANCE = 3.0  # on the first step, as published for few steps
METADATA_FILE = "training.json"


@dataclass
class Networks:
    """All of LightningDrag in memory."""

    vae: Vae
    image_prompt: ImagePrompt
    denoiser: Denoiser
    encoder: AppearanceEncoder
    points: PointNetwork
    text: Tensor

    @classmethod
    def of(cls, weights: Weights) -> Networks:
        networks = cls(
            weights.vae(),
            weights.image_prompt(),
            weights.denoiser(),
            weights.appearance_encoder(),
            weights.point_network(),
            weights.prompt(),
        )
        for network in networks.modules():
            network.requires_grad_(False)
        # Saves memory at full size: activations are recomputed in the backward pass.
        networks.denoiser.unet.enable_gradient_checkpointing()
        networks.encoder.unet.enable_gradient_checkpointing()
        return networks

    def modules(self) -> list[nn.Module]:
        return [m for f in fields(self) if isinstance(m := getattr(self, f.name), nn.Module)]

    def move(self, fn: Callable[[Tensor], Tensor]) -> None:
        for network in self.modules():
            network._apply(fn)
        self.text = fn(self.text)


class Conditioning(NamedTuple):
    """The denoiser's conditioning: latents, the mask at 1/8, the image's tokens, and every layer's share."""

    source_latent: Tensor
    masked_latent: Tensor
    mask: Tensor
    image_tokens: Tensor
    layers: list[LayerConditioning]


class LightningDragGenerator(DragGenerator):
    """Common part of teacher and student; only the module `learning` is registered, trained and saved."""

    prediction = "epsilon"
    judged_as_picture = False
    sizes = ((512, 2, 1.0),)

    def __init__(self, networks: Networks, learning: nn.Module):
        super().__init__()
        self._networks = [networks]  # in a list: not registered
        self.learning = learning

    @property
    def networks(self) -> Networks:
        return self._networks[0]

    def _apply(self, fn: Callable[[Tensor], Tensor], recurse: bool = True) -> LightningDragGenerator:
        self.networks.move(fn)
        return super()._apply(fn, recurse)

    def encode(self, picture: Tensor) -> Tensor:
        return self.networks.vae.encode(picture).float()

    def decode(self, latent: Tensor, conditioning: Conditioning) -> Tensor:
        return self.networks.vae.decode(latent).float().clamp(-1.0, 1.0)

    def conditioning(self, batch: Batch) -> Conditioning:
        networks = self.networks
        with torch.no_grad():
            source_latent = self.encode(batch.source)
            masked_latent = self.encode(batch.source * (1 - batch.mask))
            image_tokens = networks.image_prompt(as_clip_image(batch.source))
        keys, values = networks.denoiser.project(networks.encoder(source_latent, networks.text))
        targets, handles = networks.points(*point_maps(batch))
        layers = [
            LayerConditioning(k, v, t.flatten(1, 2), h.flatten(1, 2))
            for k, v, t, h in zip(keys, values, targets, handles)
        ]
        return Conditioning(source_latent, masked_latent, batch.mask[..., ::8, ::8], image_tokens, layers)

    def unconditional(self, conditioning: Conditioning) -> Conditioning:
        """Without the points: their projections are zero."""
        layers = [
            x._replace(target=torch.zeros_like(x.target), handle=torch.zeros_like(x.handle))
            for x in conditioning.layers
        ]
        return conditioning._replace(layers=layers)

    def predict(self, latent: Tensor, conditioning: Conditioning, timestep: Tensor) -> Tensor:
        answer = self.networks.denoiser(
            latent,
            conditioning.mask,
            conditioning.masked_latent,
            conditioning.image_tokens,
            conditioning.layers,
            timestep,
        )
        return answer.float()

    def prior(self, batch: Batch, conditioning: Conditioning) -> Tensor:
        return conditioning.source_latent

    def finish(self, batch: Batch, conditioning: Conditioning, picture: Tensor) -> Tensor:
        return batch.source + batch.mask * (picture - batch.source)

    def denoiser_parts(self) -> Iterable[nn.Module]:
        return (self.learning,)


class LightningDragTeacher(LightningDragGenerator):
    """The paper's training: the appearance encoder and the point network are trained, the rest is frozen."""

    guidance = GUIDANCE
    file = "checkpoint"

    def __init__(self, networks: Networks, weights: PublishedWeights | None = None):
        """`weights`: the source of the networks; its base model is linked into the checkpoints that are written."""
        learning = nn.ModuleDict({"encoder": networks.encoder, "points": networks.points})
        super().__init__(networks, learning.requires_grad_(True))
        self._weights = weights

    def clone(self) -> LightningDragTeacher:
        own = copy.deepcopy((self.networks.encoder, self.networks.points))
        return LightningDragTeacher(replace(self.networks, encoder=own[0], points=own[1]), self._weights)

    def student(self) -> LightningDragStudent:
        denoiser = copy.deepcopy(self.networks.denoiser)
        return LightningDragStudent(replace(self.networks, denoiser=denoiser), add_low_rank(denoiser.unet))

    def write(self, path: Path, metadata: dict[str, str]) -> None:
        """Write a folder in the published layout; frozen parts are symbolic links to the original files."""
        remove_leftovers(path.parent)
        with aside_folder(path.parent) as aside:
            self._write_parts(aside)
            (aside / METADATA_FILE).write_text(json.dumps(metadata, indent=1))
            move_folder(aside, path)

    def _write_parts(self, folder: Path) -> None:
        drag = folder / DRAG
        for inner in (drag / "appearance_encoder", (drag / POINTS_FILE).parent):
            inner.mkdir(parents=True)
        encoder, points = self.networks.encoder, self.networks.points
        save_file(halved(encoder.unet), drag / "appearance_encoder" / "diffusion_pytorch_model.safetensors")
        torch.save(halved(points.embedding), drag / POINTS_FILE)
        torch.save(halved(point_attention(points)), drag / ATTENTION_FILE)
        for part in self._weights.base_parts if self._weights else ():
            (folder / part.name).symlink_to(part.resolve())


class LightningDragStudent(LightningDragGenerator):
    """A teacher with a trainable LoRA of the denoiser; the file is for `edgedrag bundle export --lora`."""

    guidance = 1.0
    file = "lora.safetensors"

    def clone(self) -> LightningDragStudent:
        denoiser, learning = copy.deepcopy((self.networks.denoiser, self.learning))
        return LightningDragStudent(replace(self.networks, denoiser=denoiser), learning)

    def write(self, path: Path, metadata: dict[str, str]) -> None:
        assert isinstance(self.learning, nn.ModuleDict)
        write_lora(self.learning, path, metadata)


def start_lightningdrag(folder: Path) -> LightningDragTeacher:
    """The initial model of a training: a checkpoint, or the base weights if it has no LightningDrag weights yet.

    Raises:
        InputError: as `PublishedWeights`.
    """
    weights = PublishedWeights(folder, untrained=True)
    check_levels(weights, folder)
    return LightningDragTeacher(Networks.of(weights), weights)


def open_lightningdrag(folder: Path) -> tuple[LightningDragTeacher, dict[str, str]]:
    """A checkpoint folder as a teacher, with the metadata of its training run, if it has any.

    Raises:
        InputError: as `PublishedWeights`.
    """
    weights, file = PublishedWeights(folder), folder / METADATA_FILE
    check_levels(weights, folder)
    metadata: dict[str, Any] = json.loads(file.read_text(encoding="utf-8")) if file.is_file() else {}
    return LightningDragTeacher(Networks.of(weights), weights).eval(), metadata


def check_levels(weights: Weights, folder: Path) -> None:
    """Raise InputError for a base model whose noise schedule or prediction type training does not support."""
    entry = sampler_entry("ddim", weights.scheduler(), str(folder))
    same = np.allclose(entry["alphas"], alphas_and_sigmas()[0], atol=1e-6) if len(entry["alphas"]) == STEPS else False
    if not same or entry["prediction"] != LightningDragGenerator.prediction:
        raise InputError(
            f"{folder}: the base model's scheduler_config.json has another noise schedule or prediction type than "
            "Stable Diffusion 1.5; training supports no other"
        )


def halved(module: nn.Module) -> dict[str, Tensor]:
    return {k: v.detach().half().cpu().contiguous() for k, v in module.state_dict().items()}


def as_clip_image(picture: Tensor) -> Tensor:
    """Pictures [B, 3, H, W] in -1..1 as input of the image encoder, [B, 3, 224, 224]; see `runtime.drag.inputs`."""
    height, width = covering_size(picture.shape[-2], picture.shape[-1], CLIP_SIDE)
    top, left = (height - CLIP_SIDE) // 2, (width - CLIP_SIDE) // 2
    resized = F.interpolate(picture, (height, width), mode="bicubic", antialias=True).clamp(-1, 1)
    small = (resized[..., top : top + CLIP_SIDE, left : left + CLIP_SIDE] + 1) / 2
    mean, std = (small.new_tensor(v)[:, None, None] for v in (CLIP_MEAN, CLIP_STD))
    return (small - mean) / std


def point_maps(batch: Batch) -> tuple[Tensor, Tensor]:
    """The maps of handles and of targets, each [B, 1, H, W]; a repeated point counts once."""
    maps: list[list[np.ndarray]] = [[], []]
    for points in batch.points.cpu().numpy():
        _, first = np.unique(points, axis=0, return_index=True)
        own = points[np.sort(first)]
        for drawn, at in zip(maps, (own[:, :2], own[:, 2:])):
            drawn.append(index_map(at, tuple(batch.mask.shape[-2:])))
    handles, targets = (torch.from_numpy(np.stack(drawn)[:, None]).to(batch.mask) for drawn in maps)
    return handles, targets
