"""`runtime/drag/blend.py` in PyTorch, for training: the composition of an edit, with gradients.

A test compares both numerically. Pictures are [B, 3, H, W], maps [B, 1, H, W], flows [B, 2, H, W] in pixels.
"""

from __future__ import annotations

from torch import Tensor

from edgedrag.generator.networks.fields import FOLD, enlarge, nearness, warp
from edgedrag.runtime.drag.blend import REVEAL_RANGE, TARGET_FADE


def smoothstep(values: Tensor) -> Tensor:
    t = values.clamp(0, 1)
    return t * t * (3 - 2 * t)


def reveal_weight(revealed: Tensor) -> Tensor:
    """The runtime's weights, with the gradient of the map itself.

    The weights' own gradient is 0 below REVEAL_RANGE, so that a map that starts there would never be trained.
    """
    low, high = REVEAL_RANGE
    return revealed + (smoothstep((revealed - low) / (high - low)) - revealed).detach()


def generated_change(picture: Tensor, warped: Tensor, flow: Tensor, weight: Tensor, points: Tensor) -> Tensor:
    """The generator's change of the warped photo, [B, 3, H, W].

    Distances from the targets are computed at 1/4 of the size; the runtime computes them at each pixel.

    Args:
        picture, warped: the generator's picture, and its input warped by the flow.
        weight: `reveal_weight` of the revealed map.
        points: [B, N, 4].
    """
    h, w = flow.shape[-2:]
    distance = enlarge(nearness(points[..., 2:], h // FOLD, w // FOLD).amin(1, keepdim=True).sqrt(), FOLD)
    moves = smoothstep(flow.square().sum(1, keepdim=True).sqrt())
    return (1 - weight) * (moves * smoothstep(distance / TARGET_FADE) * (picture - warped))


def blend(moved: Tensor, drawn: Tensor, weight: Tensor, change: Tensor) -> Tensor:
    return moved + weight * (drawn - moved) + change


def warp_photo(source: Tensor, flow: Tensor) -> Tensor:
    """A photo in -1..1, warped as in the runtime."""
    return warp(source, flow, "bicubic").clamp(-1, 1)
