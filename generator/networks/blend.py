"""`runtime/drag/blend.py` in PyTorch, for training: what the runtime shows of a generator's picture, with gradients.

A test compares the two in numbers. Pictures are [B, 3, H, W], maps [B, 1, H, W], flows [B, 2, H, W] in pixels.
"""

from __future__ import annotations

from torch import Tensor

from edgedrag.generator.networks.fields import FOLD, enlarge, nearness, warp
from edgedrag.runtime.drag.blend import REVEAL_RANGE, TARGET_FADE


def smoothstep(values: Tensor) -> Tensor:
    t = values.clamp(0, 1)
    return t * t * (3 - 2 * t)


def reveal_weight(revealed: Tensor) -> Tensor:
    """The runtime's weights, with the gradient of the map itself: theirs is 0 where the map is below REVEAL_RANGE, and
    a map that starts there would never learn to show anything.
    """
    low, high = REVEAL_RANGE
    return revealed + (smoothstep((revealed - low) / (high - low)) - revealed).detach()


def generated_change(picture: Tensor, warped: Tensor, flow: Tensor, weight: Tensor, points: Tensor) -> Tensor:
    """What the generator adds to the moved photo, [B, 3, H, W].

    Distances from the targets are taken at 1/4 of the size; the runtime takes them at each pixel.

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
    """A photo in -1..1 as the runtime moves it."""
    return warp(source, flow, "bicubic").clamp(-1, 1)
