"""Group normalisation that keeps its digits over flat areas.

ONNX Runtime's own sums in order, in float32: over the flat area of a masked photo the rounding errors add up.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn


class SteadyGroupNorm(nn.Module):
    """A group norm's numbers from means of means, in float32; gives the type of the weights."""

    def __init__(self, norm: nn.GroupNorm):
        super().__init__()
        self.groups, self.eps = norm.num_groups, norm.eps
        self.weight, self.bias = norm.weight, norm.bias

    def forward(self, x: Tensor) -> Tensor:
        """[B, C, ...] -> the same."""
        grouped = x.float().unflatten(1, (self.groups, -1))
        centred = grouped - _mean(grouped)
        normal = (centred * torch.rsqrt(_mean(centred**2) + self.eps)).flatten(1, 2)
        shape = (-1, *[1] * (x.dim() - 2))
        return normal.to(self.weight.dtype) * self.weight.view(shape) + self.bias.view(shape)


def _mean(x: Tensor) -> Tensor:
    """Over all axes but the first two, one at a time from the last."""
    for axis in range(x.dim() - 1, 1, -1):
        x = x.mean(axis, keepdim=True)
    return x


def steady(module: nn.Module) -> None:
    """Replace a module's group norms."""
    for name, norm in list(module.named_modules()):
        if isinstance(norm, nn.GroupNorm):
            module.set_submodule(name, SteadyGroupNorm(norm))
