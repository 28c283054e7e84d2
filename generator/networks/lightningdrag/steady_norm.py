"""Group normalisation that stays accurate over flat areas.

ONNX Runtime's kernel sums sequentially in float32: over the flat area of a masked photo, rounding errors accumulate.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn


class SteadyGroupNorm(nn.Module):
    """Group normalisation with means computed axis by axis in float32; the output has the weights' type."""

    def __init__(self, norm: nn.GroupNorm):
        super().__init__()
        self.groups, self.eps = norm.num_groups, norm.eps
        self.weight, self.bias = norm.weight, norm.bias

    def forward(self, x: Tensor) -> Tensor:
        """[B, C, ...] -> the same shape."""
        grouped = x.float().unflatten(1, (self.groups, -1))
        centred = grouped - _mean(grouped)
        normal = (centred * torch.rsqrt(_mean(centred**2) + self.eps)).flatten(1, 2)
        shape = (-1, *[1] * (x.dim() - 2))
        return normal.to(self.weight.dtype) * self.weight.view(shape) + self.bias.view(shape)


def _mean(x: Tensor) -> Tensor:
    """The mean over all axes but the first two, one axis at a time from the last."""
    for axis in range(x.dim() - 1, 1, -1):
        x = x.mean(axis, keepdim=True)
    return x


def steady(module: nn.Module) -> None:
    """Replace all group norms of a module, in place."""
    for name, norm in list(module.named_modules()):
        if isinstance(norm, nn.GroupNorm):
            module.set_submodule(name, SteadyGroupNorm(norm))
