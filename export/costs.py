"""The cost of a graph as a polynomial in the number of pixels P = H x W, for the manifest."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.flop_counter import flop_registry

COUNTED = ("convolution", "mm", "addmm", "bmm", "grid_sampler_2d")
PRIME = 1009  # divides no width of a network
SIDE = 64 * PRIME  # H and W while counting, pixels
DRAGS = 3  # N while counting
MOST_PADDING = 3  # pixels; of a convolution of 5 x 5 with stride 2


class Counter(TorchDispatchMode):
    """Counts FLOPs, and the bytes (fp32) that convolutions, matrix products and warps read and write.

    Element-wise operations count as fused. Both counts are coefficients [c0, c1, c2] of a polynomial in P, found in
    one run on meta tensors with H = W = SIDE: the power of PRIME in a count is the power of the side in it.
    """

    def __init__(self) -> None:
        super().__init__()
        self.flops, self.bytes = np.zeros(3), np.zeros(3)

    def __torch_dispatch__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        kwargs = kwargs or {}
        out = func(*args, **kwargs)
        packet = func.overloadpacket
        if packet in flop_registry:
            self.flops += monomial(flop_registry[packet](*args, **kwargs, out_val=out))
        if packet.__name__ in COUNTED:
            for tensor in (*args, *(out if isinstance(out, tuple) else (out,))):
                if isinstance(tensor, Tensor):
                    self.bytes += monomial(4 * math.prod(map(unpadded, tensor.shape)))
        return out


def unpadded(size: int) -> int:
    """A size without the pixels of padding that a strided convolution may add to a side."""
    pad = size % PRIME if size > PRIME else 0
    return size - pad if pad <= MOST_PADDING else size


def monomial(count: int) -> np.ndarray:
    """A count at SIDE x SIDE as coefficients [c0, c1, c2], of which one is not 0.

    Raises:
        ValueError: the count grows with one side rather than with the pixels.
    """
    sides, rest = 0, count
    while rest and rest % PRIME == 0:
        sides, rest = sides + 1, rest // PRIME
    if sides not in (0, 2, 4):
        raise ValueError(f"{count} is not a monomial of the picture's pixels")
    parts = np.zeros(3)
    parts[sides // 2] = count / float(SIDE) ** sides
    return parts


def measure_cost(module: nn.Module, shapes: Sequence[Sequence[int | str]]) -> dict[str, Any]:
    """The manifest's `cost` entry: parameters, and flops (2 x multiply-add) and bytes as [c0, c1, c2].

    Args:
        module: on the device "meta".
        shapes: of its arguments, in the manifest's notation.
    """
    counter = Counter()
    given = [torch.empty(concrete(shape, SIDE, SIDE), device="meta") for shape in shapes]
    with torch.no_grad(), counter:
        module(*given)
    return {
        "parameters": sum(p.numel() for p in module.parameters()),
        "flops": [round(float(c), 6) for c in counter.flops],
        "bytes": [round(float(c), 6) for c in counter.bytes],
    }


def concrete(shape: Sequence[int | str], height: int, width: int) -> list[int]:
    """A shape with its symbols replaced by sizes."""
    sizes = {"H": height, "W": width, "N": DRAGS}
    parts = [str(dim).partition("/") for dim in shape]
    return [
        dim if isinstance(dim, int) else sizes[symbol] // int(divisor or 1)
        for dim, (symbol, _, divisor) in zip(shape, parts)
    ]
