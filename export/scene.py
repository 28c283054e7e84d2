"""A synthetic picture and drag to run networks on during the export."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import cv2
import numpy as np
import torch
from torch import Tensor

from edgedrag.runtime.bundle.graph_inputs import GRAPH_INPUTS
from edgedrag.runtime.drag.inputs import DragInputs, PhotoInputs
from edgedrag.runtime.sampling.noise import normal
from edgedrag.runtime.sampling.sampler import Table

POINTS = np.array([[0.4, 0.4, 0.55, 0.45], [0.6, 0.55, 0.5, 0.7], [0.3, 0.6, 0.3, 0.5]])  # shares of width, height
LATENT_CHANNELS = 4


def make_picture(height: int, width: int) -> np.ndarray:
    """Random noise at several scales, resembling a photo; uint8 RGB [H, W, 3]."""
    rng = np.random.default_rng(0)
    layers = [
        cv2.resize(rng.normal(0, 40 / n**0.5, (4 * n, 4 * n, 3)), (width, height), interpolation=cv2.INTER_CUBIC)
        for n in (1, 2, 4, 8, 16, 32)
    ]
    return np.clip(128 + sum(layers), 0, 255).astype(np.uint8)


def make_mask(height: int, width: int) -> np.ndarray:
    """A rectangle in the middle of a picture, bool [H, W]."""
    mask = np.zeros((height, width), bool)
    mask[height // 5 : -height // 5, width // 5 : -width // 5] = True
    return mask


class Scene:
    """The runtime's inputs for one drag, as tensors by name."""

    def __init__(self, height: int, width: int, inputs: Mapping[str, Any], table: Table):
        self.size = (height, width)
        photo = PhotoInputs(inputs, make_picture(height, width))
        drag = DragInputs(photo, make_mask(height, width), POINTS * ([width, height] * 2))
        self._shape = (1, LATENT_CHANNELS, height // 8, width // 8)
        self._table = table
        self.tensors: dict[str, Tensor] = {
            row.name: torch.from_numpy(np.ascontiguousarray(getattr(maker, row.name)))
            for maker in (photo, drag)
            for row in GRAPH_INPUTS.values()
            if row.maker == type(maker).__name__
        }
        self._put(table.start, 0)

    @property
    def steps(self) -> int:
        return len(self._table.steps)

    def enter(self, step: int) -> None:
        """Set the sampler's inputs of a step."""
        table = self._table
        self._put(table.steps[step], step + 1)
        for name, values in (("timestep", table.timesteps), ("guidance", table.guidance)):
            self.tensors[name] = torch.tensor(values[step : step + 1], dtype=torch.float32)

    def _put(self, coefficients: np.ndarray, row: int) -> None:
        self.tensors["coefficients"] = torch.tensor(coefficients, dtype=torch.float32)
        self.tensors["noise"] = torch.from_numpy(normal(0, row, self._shape).astype(np.float32))
