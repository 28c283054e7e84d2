"""What training and distillation ask of a generator; nothing in them knows which one they teach."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable
from typing import Any

import torch
from torch import Tensor, nn

from edgedrag.generator.batches import Batch
from edgedrag.generator.schedule import alphas_and_sigmas

Told = Any  # whatever a generator's `tell` gives its `predict`


class DragGenerator(nn.Module, ABC):
    """A conditional diffusion generator of drags.

    Attributes:
        prediction: what `predict` returns: "sample" (the clean latent), "epsilon" or "v".
        guidance: scale of the guidance pair when the teacher samples; 1 runs no pair.
    """

    prediction: str = "sample"
    guidance: float = 1.0

    @abstractmethod
    def encode(self, picture: Tensor) -> Tensor:
        """A picture [B, 3, H, W] in -1..1 as a clean latent [B, C, h, w]."""

    @abstractmethod
    def decode(self, latent: Tensor, told: Told) -> Tensor:
        """A clean latent as a picture."""

    @abstractmethod
    def tell(self, batch: Batch) -> Told:
        """Everything the denoiser is told: appearance, drag, mask."""

    @abstractmethod
    def predict(self, latent: Tensor, told: Told, timestep: Tensor) -> Tensor:
        """The prediction for a noised latent; timestep [B] in 0..999."""

    @abstractmethod
    def prior(self, batch: Batch, told: Told) -> Tensor:
        """The clean latent that sampling starts from, before it is noised (the noised-source prior)."""

    @abstractmethod
    def finish(self, batch: Batch, told: Told, picture: Tensor) -> Tensor:
        """The edit as the runtime composes it from the generator's picture; the source outside the mask."""

    @abstractmethod
    def denoiser_parts(self) -> Iterable[nn.Module]:
        """What learns when only the denoiser learns: all that the sampler's steps depend on."""

    def motion_parts(self) -> Iterable[nn.Module]:
        """What learns when only the motion learns; nothing for generators without one."""
        return ()

    @abstractmethod
    def config_dict(self) -> dict[str, Any]:
        """What its class is made from, for the checkpoint's header."""

    def untold(self, told: Told) -> Told:
        """The other half of the guidance pair: the same, without the drag."""
        raise NotImplementedError(f"{type(self).__name__} has no guidance pair")

    def drawn_where(self, batch: Batch, told: Told) -> Tensor:
        """How much each pixel of the edit is the generator's picture, [B, 1, H, W] in 0..1."""
        return batch.mask

    def gate_losses(self, batch: Batch, told: Told, picture: Tensor) -> dict[str, Tensor]:
        """Weighted losses of what decides where the generator's picture is shown, for generators that decide."""
        return {}

    def motion_losses(self, batch: Batch, told: Told, picture: Tensor) -> dict[str, Tensor]:
        """Weighted losses beside the denoiser's, for generators that also give a motion."""
        return {}


def clean_latent(
    model: DragGenerator, latent: Tensor, told: Told, timestep: Tensor, alpha: Tensor, sigma: Tensor
) -> Tensor:
    """The clean latent that a generator sees in a noised one, guided where it has a guidance scale.

    Args:
        alpha, sigma: of the timestep, [B, 1, 1, 1].
    """
    prediction = model.predict(latent, told, timestep)
    if model.guidance != 1.0:
        without = model.predict(latent, model.untold(told), timestep)
        prediction = without + model.guidance * (prediction - without)
    if model.prediction == "sample":
        return prediction
    if model.prediction == "epsilon":
        return (latent - sigma * prediction) / alpha
    return alpha * latent - sigma * prediction


def levels(timestep: Tensor, like: Tensor) -> tuple[Tensor, Tensor]:
    """alpha and sigma of timesteps [B], each [B, 1, 1, 1] on the device of `like`."""
    alphas, sigmas = (torch.from_numpy(v).to(like) for v in alphas_and_sigmas())
    return alphas[timestep.long()][:, None, None, None], sigmas[timestep.long()][:, None, None, None]
