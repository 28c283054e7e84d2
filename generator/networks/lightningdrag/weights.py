"""Sources of weights. Each network is built on demand, so that they need not fit in memory together."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import Any, TypeVar

import torch
from torch import Tensor, nn

from edgedrag.generator.networks.lightningdrag.networks import AppearanceEncoder, Denoiser, ImagePrompt, Vae
from edgedrag.generator.networks.lightningdrag.points import PointNetwork
from edgedrag.generator.networks.lightningdrag.scheduler import STABLE_DIFFUSION_15
from edgedrag.generator.networks.lightningdrag.sizes import TEXT_TOKENS, Size

Network = TypeVar("Network", bound=nn.Module)


class Weights(ABC):
    """The networks of one size, float32, in evaluation mode."""

    size: Size

    @abstractmethod
    def prompt(self) -> Tensor:
        """The empty prompt's embedding, [1, 77, width]."""

    @abstractmethod
    def denoiser(self) -> Denoiser:
        """The denoiser, with the prompt's keys and values precomputed."""

    @abstractmethod
    def appearance_encoder(self) -> AppearanceEncoder: ...

    @abstractmethod
    def point_network(self) -> PointNetwork: ...

    @abstractmethod
    def image_prompt(self) -> ImagePrompt: ...

    @abstractmethod
    def vae(self) -> Vae: ...

    @abstractmethod
    def scheduler(self) -> dict[str, Any]:
        """The base model's scheduler_config.json."""

    @abstractmethod
    def digest(self) -> str:
        """A SHA-256 of the weight files; "" if there are none."""


class RandomWeights(Weights):
    """Randomly initialised networks; the weights depend on the seed, not on the order of the calls."""

    def __init__(self, size: Size, seed: int):
        self.size = size
        self.seed = seed

    def _make(self, number: int, build: Callable[[Size], Network]) -> Network:
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(self.seed * 1009 + number)
            return build(self.size).eval()

    def prompt(self) -> Tensor:
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(self.seed)
            return torch.randn(1, TEXT_TOKENS, self.size.token_width)

    def denoiser(self) -> Denoiser:
        network = self._make(1, Denoiser)
        network.set_prompt(self.prompt())
        return network

    def appearance_encoder(self) -> AppearanceEncoder:
        return self._make(2, AppearanceEncoder)

    def point_network(self) -> PointNetwork:
        return self._make(3, PointNetwork)

    def image_prompt(self) -> ImagePrompt:
        return self._make(4, ImagePrompt)

    def vae(self) -> Vae:
        return self._make(5, Vae)

    def scheduler(self) -> dict[str, Any]:
        return STABLE_DIFFUSION_15

    def digest(self) -> str:
        return ""
