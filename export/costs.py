"""The cost of a graph as a polynomial of the picture's pixels P = H x W, for the manifest."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.flop_counter import FlopCounterMode

SIZES = ((128, 128), (256, 256), (384, 384))
COUNTED = ("convolution", "mm", "addmm", "bmm", "grid_sampler_2d")


class ByteCounter(TorchDispatchMode):
    """Bytes that convolutions, matrix products and warps read and write, each tensor once, at fp32.

    Element-wise operations count as fused into them.
    """

    def __init__(self) -> None:
        super().__init__()
        self.total = 0

    def __torch_dispatch__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        out = func(*args, **(kwargs or {}))
        if func.overloadpacket.__name__ in COUNTED:
            tensors = [*args, *(out if isinstance(out, tuple) else (out,))]
            self.total += sum(4 * t.numel() for t in tensors if isinstance(t, Tensor))
        return out


def measure_cost(module: nn.Module, example: Callable[[int, int], Sequence[Tensor]]) -> dict[str, Any]:
    """The manifest's `cost` entry: parameters, and flops (2 x multiply-add) and bytes as [c0, c1, c2].

    Args:
        example: makes the module's arguments for a picture of H x W.
    """
    flops, moved = [], []
    for size in SIZES:
        counter = FlopCounterMode(display=False)
        bytes_counter = ByteCounter()
        with torch.no_grad(), counter:
            module(*example(*size))
        with torch.no_grad(), bytes_counter:
            module(*example(*size))
        flops.append(counter.get_total_flops())
        moved.append(bytes_counter.total)
    return {
        "parameters": sum(p.numel() for p in module.parameters()),
        "flops": fit([h * w for h, w in SIZES], flops),
        "bytes": fit([h * w for h, w in SIZES], moved),
    }


def fit(pixels: Sequence[int], values: Sequence[float]) -> list[float]:
    """c0 + c1 P + c2 P^2 through three points; parts that change nothing are 0."""
    powers = np.vander(np.array(pixels, np.float64), 3, increasing=True)
    parts = np.linalg.solve(powers, np.array(values, np.float64))
    share = np.abs(parts) * powers[-1] / max(abs(values[-1]), 1.0)
    return [float(round(c, 6)) if s > 1e-9 and c > 0 else 0.0 for c, s in zip(parts, share)]
