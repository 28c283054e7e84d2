"""The hold: what moves with a point of a photo, wherever it is pulled to.

Two graphs: `Features` of a window, once; `Grasp` for each point. Nested answers: the part that moves as the point
does, the whole thing, and the group of things that it touches and that move with it.

Shapes: picture [B, 3, H, W] in -1..1, H and W multiples of 32; points [B, 2], x and y in pixels; logits
[B, 3, H/2, W/2].
"""

from __future__ import annotations

import copy
import os
from pathlib import Path
from typing import NamedTuple

import torch
import torch.nn.functional as F
from safetensors.torch import save_file
from torch import Tensor, nn

from edgedrag.generator.hold.backbone import WIDTHS, Backbone
from edgedrag.generator.networks.embedded import activation, blocks, conv
from edgedrag.generator.networks.fields import enlarge
from edgedrag.runtime.files import aside_file

KEYS, HEADS = 48, 8  # channels that a point's are compared in, and groups of them
COARSE_HEADS = 6
DECODER = (24, 48, 72, 72)  # channels at 1/4, 1/8, 1/16, 1/32
NEAR = (6.0, 16.0, 48.0)  # pixels; widths of the maps of where the point is
LIKE = (0.15, 0.4)  # widths of the maps of like colour; a channel's range is 2
ANSWERS = ("part", "thing", "group")


class WindowFeatures(NamedTuple):
    """What `Grasp` takes of a window.

    Attributes:
        fine: [B, 8, H/2, W/2]; keys: [B, KEYS, H/4, W/4], each head of length 1; coarse: [B, 72, H/16, W/16];
        context: [B, 32, H/8, W/8]; colour2, colour8: the picture at 1/2 and 1/8.
    """

    fine: Tensor
    keys: Tensor
    coarse: Tensor
    context: Tensor
    colour2: Tensor
    colour8: Tensor


def heads_of(x: Tensor, heads: int) -> Tensor:
    """Each of the groups of channels scaled to length 1, [B, heads, C / heads, H, W]."""
    split = x.unflatten(1, (heads, -1))
    return split * torch.rsqrt(split.square().sum(2, keepdim=True) + 1e-6)


def at_points(x: Tensor, points: Tensor, stride: int) -> Tensor:
    """The values [B, C, 1, 1] of maps [B, C, h, w] of 1/stride of the size at points [B, 2] in pixels."""
    h, w = x.shape[-2:]
    scale = torch.tensor([2.0 / (stride * w), 2.0 / (stride * h)], dtype=x.dtype, device=x.device)
    at = (points + 0.5) * scale - 1
    return F.grid_sample(x, at[:, None, None], padding_mode="border", align_corners=False)


class Features(nn.Module):
    """The photo's features, a pyramid from the top down."""

    def __init__(self) -> None:
        super().__init__()
        self.backbone = Backbone()
        c2, c4, c8, c16, c32 = WIDTHS
        self.side32, self.side16 = conv(c32, 96, 1), conv(c16, 96, 1)
        self.side8, self.side4 = conv(c8, 96, 1), conv(c4, 64, 1)
        self.narrow = conv(96, 64, 1)
        self.mix16, self.mix8, self.mix4 = conv(96, DECODER[2], 1), conv(96, 32), conv(64, 48, 1)
        self.keys = conv(48, KEYS, 1)
        self.fine = conv(c2, 8, 1)

    def forward(self, picture: Tensor) -> WindowFeatures:
        f2, f4, f8, f16, f32 = self.backbone(picture)
        p16 = activation(self.side16(f16) + enlarge(self.side32(f32), 2))
        p8 = activation(self.side8(f8) + enlarge(p16, 2))
        p4 = activation(self.mix4(activation(self.side4(f4) + enlarge(self.narrow(p8), 2))))
        keys = heads_of(self.keys(p4), HEADS).flatten(1, 2)
        coarse, context = activation(self.mix16(p16)), activation(self.mix8(p8))
        return WindowFeatures(self.fine(f2), keys, coarse, context, F.avg_pool2d(picture, 2), F.avg_pool2d(picture, 8))


class Grasp(nn.Module):
    """What moves with a point, as logits at half the window's size: part, thing, group."""

    def __init__(self) -> None:
        super().__init__()
        d4, d8, d16, d32 = DECODER
        given = HEADS + COARSE_HEADS + len(LIKE) + 3 + len(NEAR) + 2
        self.enter, self.level8 = conv(32 + given, d8), blocks(d8, 1)
        self.down16, self.join16, self.level16 = conv(d8, d16, stride=2), conv(2 * d16, d16, 1), blocks(d16, 1)
        self.query = nn.Linear(KEYS + d16, 2 * d16)
        self.down32, self.level32 = conv(d16, d32, stride=2), blocks(d32, 2)
        self.up16, self.out16 = conv(d32, d16, 1), blocks(d16, 1)
        self.up8, self.out8 = conv(d16, d8, 1), blocks(d8, 1)
        self.up4, self.join4, self.out4 = conv(d8, d4, 1), conv(d4 + HEADS + KEYS, d4, 1), blocks(d4, 1)
        self.up2, self.join2, self.head = conv(d4, 8, 1), conv(8 + 8 + len(LIKE), 16), conv(16, len(ANSWERS))

    def forward(self, points: Tensor, *features: Tensor) -> Tensor:
        """Of points [B, 2], and the window's features in the order of WindowFeatures."""
        seen = WindowFeatures(*features)
        held, coarse_held = at_points(seen.keys, points, 4), at_points(seen.coarse, points, 16)
        alike4 = (seen.keys * held).unflatten(1, (HEADS, -1)).sum(2)
        coarse = heads_of(seen.coarse, COARSE_HEADS)
        alike16 = (coarse * heads_of(coarse_held, COARSE_HEADS)).sum(2)
        colour, closeness = like_colour(seen.colour8, points, 8), places(seen.colour8, points, 8)
        difference = seen.colour8 - at_points(seen.colour8, points, 8)
        given = [seen.context, F.avg_pool2d(alike4, 2), enlarge(alike16, 2), colour, difference, closeness]
        x8 = self.level8(activation(self.enter(torch.cat(given, 1))))
        x16 = activation(self.join16(torch.cat([activation(self.down16(x8)), seen.coarse], 1)))
        scale, shift = self.query(torch.cat([held, coarse_held], 1).flatten(1))[..., None, None].chunk(2, 1)
        x16 = self.level16(activation(x16 * (1 + scale) + shift))
        x32 = self.level32(activation(self.down32(x16)))
        x16 = self.out16(activation(x16 + enlarge(self.up16(x32), 2)))
        x8 = self.out8(activation(x8 + enlarge(self.up8(x16), 2)))
        x4 = torch.cat([enlarge(self.up4(x8), 2), alike4, seen.keys], 1)
        x4 = self.out4(activation(self.join4(x4)))
        x2 = torch.cat([enlarge(self.up2(x4), 2), seen.fine, like_colour(seen.colour2, points, 2)], 1)
        return self.head(activation(self.join2(x2)))


def like_colour(picture: Tensor, points: Tensor, stride: int) -> Tensor:
    """How much each pixel has the point's colour, [B, len(LIKE), h, w] in 0..1."""
    apart = (picture - at_points(picture, points, stride)).square().sum(1, keepdim=True)
    return torch.cat([torch.exp(apart * (-0.5 / width**2)) for width in LIKE], 1)


def places(like: Tensor, points: Tensor, stride: int) -> Tensor:
    """Where the point is: Gaussians of the distance, and the direction to it, [B, len(NEAR) + 2, h, w]."""
    h, w = like.shape[-2:]
    x = (torch.arange(w, dtype=points.dtype, device=points.device) + 0.5) * stride - 0.5 - points[:, :1]
    y = (torch.arange(h, dtype=points.dtype, device=points.device) + 0.5) * stride - 0.5 - points[:, 1:]
    x, y = x[:, None, None, :].expand(-1, 1, h, w), y[:, None, :, None].expand(-1, 1, h, w)
    square = x.square() + y.square()
    return torch.cat([*(torch.exp(square * (-0.5 / s**2)) for s in NEAR), torch.tanh(x / 64), torch.tanh(y / 64)], 1)


class Hold(nn.Module):
    """Features and grasp together."""

    file = "hold.safetensors"

    def __init__(self) -> None:
        super().__init__()
        self.features, self.grasp = Features(), Grasp()

    def clone(self) -> Hold:
        """A copy with weights of its own."""
        return copy.deepcopy(self)

    def write(self, path: Path, metadata: dict[str, str]) -> None:
        """Write the weights as fp16 with string metadata, whole or not at all."""
        with aside_file(path.parent) as aside:
            save_file({k: v.detach().cpu().half().contiguous() for k, v in self.state_dict().items()}, aside, metadata)
            os.replace(aside, path)

    def forward(self, pictures: Tensor, points: Tensor, picture_of: Tensor) -> Tensor:
        """Logits [N, 3, H/2, W/2] of points [N, 2], each in the picture that `picture_of` [N] numbers."""
        seen = self.features(pictures)
        return self.grasp(points, *(x[picture_of] for x in seen))
