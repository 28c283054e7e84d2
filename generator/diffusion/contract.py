"""The interface of a generator to training and distillation, which are independent of the generator."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from edgedrag.generator.data.batches import Batch
from edgedrag.generator.diffusion.schedule import alphas_and_sigmas

Sizes = tuple[tuple[int, int, float], ...]  # of training batches: pixels, rows, share of the steps
Level = tuple[Tensor, Tensor]  # alpha and sigma of timesteps [B], each [B, 1, 1, 1]
Conditioning = Any  # returned by a generator's `conditioning`, passed to its `predict`


class DragGenerator(nn.Module, ABC):
    """A conditional diffusion generator of drags.

    Attributes:
        prediction: what `predict` returns: "sample" (the clean latent), "epsilon" or "v".
        guidance: guidance scale at a teacher's first sampling step; 1 disables guidance.
        judged_as_picture: whether distillation also compares decoded pictures, not latents alone.
        sizes: default training batches.
        file: file name of a run's weights.
    """

    prediction: str = "sample"
    guidance: float = 1.0
    judged_as_picture: bool = True
    sizes: Sizes = ((128, 12, 0.5), (256, 3, 0.5))
    file: str = "weights.safetensors"

    @abstractmethod
    def encode(self, picture: Tensor) -> Tensor:
        """A picture [B, 3, H, W] in -1..1 as a clean latent [B, C, h, w]."""

    @abstractmethod
    def decode(self, latent: Tensor, conditioning: Conditioning) -> Tensor:
        """A clean latent as a picture."""

    @abstractmethod
    def conditioning(self, batch: Batch) -> Conditioning:
        """What conditions the denoiser: appearance, drag, mask."""

    @abstractmethod
    def predict(self, latent: Tensor, conditioning: Conditioning, timestep: Tensor) -> Tensor:
        """The prediction for a noised latent; timestep [B] in 0..999."""

    @abstractmethod
    def prior(self, batch: Batch, conditioning: Conditioning) -> Tensor:
        """The clean latent that sampling starts from, before it is noised (the noised-source prior)."""

    @abstractmethod
    def finish(self, batch: Batch, conditioning: Conditioning, picture: Tensor) -> Tensor:
        """The edit, as the runtime composes it from the generator's picture; outside the mask it is the source."""

    def as_shown(self, batch: Batch, conditioning: Conditioning, picture: Tensor) -> Tensor:
        """The edit, if all of it were the generator's picture."""
        return picture

    @abstractmethod
    def denoiser_parts(self) -> Iterable[nn.Module]:
        """The modules that are trained when only the denoiser is: all that the sampler's steps depend on."""

    def motion_parts(self) -> Sequence[nn.Module]:
        """The modules that are trained when only the motion is; empty for generators without a motion network."""
        return ()

    @abstractmethod
    def clone(self) -> DragGenerator:
        """A copy with the same weights, for a moving average; parts that are never trained may be shared."""

    def student(self) -> DragGenerator:
        """A copy to be distilled into few steps without guidance; only its denoiser requires gradients."""
        student = self.clone().train().requires_grad_(False)
        student.guidance = 1.0
        for part in student.denoiser_parts():
            part.requires_grad_(True)
        return student

    @abstractmethod
    def write(self, path: Path, metadata: dict[str, str]) -> None:
        """Write weights (fp16) and metadata atomically; `path` is `file` in a run's folder."""

    def loss_weight(self, batch: Batch) -> Tensor:
        """The weight of each pixel in the losses of the generator's picture, [B, 1, H, W]."""
        return torch.ones_like(batch.mask)

    def unconditional(self, conditioning: Conditioning) -> Conditioning:
        """The conditioning without the drag, for classifier-free guidance."""
        raise NotImplementedError(f"{type(self).__name__} has no guidance pair")

    def generated_share(self, batch: Batch, conditioning: Conditioning) -> Tensor:
        """The share of the generator's picture in each pixel of the edit, [B, 1, H, W] in 0..1."""
        return batch.mask

    def gate_losses(self, batch: Batch, conditioning: Conditioning, picture: Tensor) -> dict[str, Tensor]:
        """Weighted losses of the map that selects where the generator's picture is shown, for generators with one."""
        return {}

    def motion_losses(self, batch: Batch, conditioning: Conditioning, picture: Tensor) -> dict[str, Tensor]:
        """Weighted losses of the motion, for generators that predict one."""
        return {}


def clean_latent(
    model: DragGenerator,
    latent: Tensor,
    conditioning: Conditioning,
    timestep: Tensor,
    level: Level,
    guidance: float = 1.0,
) -> Tensor:
    """The clean latent that a generator predicts from a noised one.

    Args:
        level: of the timestep.
        guidance: guidance scale; 1 disables guidance.
    """
    alpha, sigma = level
    prediction = model.predict(latent, conditioning, timestep)
    if guidance != 1.0:
        without = model.predict(latent, model.unconditional(conditioning), timestep)
        prediction = without + guidance * (prediction - without)
    if model.prediction == "sample":
        return prediction
    if model.prediction == "epsilon":
        return (latent - sigma * prediction) / alpha
    return alpha * latent - sigma * prediction


def levels(timestep: Tensor, like: Tensor) -> Level:
    """Of timesteps [B], on the device of `like`."""
    alphas, sigmas = (torch.from_numpy(v).to(like) for v in alphas_and_sigmas())
    return alphas[timestep.long()][:, None, None, None], sigmas[timestep.long()][:, None, None, None]
