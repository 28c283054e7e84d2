"""Flows and maps, and the constraints of a drag on a flow: rigid motion around its ends, exact landing at its target.

Shapes: points [B, N, 4] as handle x, y, target x, y in pixels (repeating a row changes nothing); flows
[B, 2, H, W] in pixels, x then y, backward; H and W multiples of 4.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

FOLD = 4  # the networks' maps have 1/4 of the picture's size
LANDING_REACH = 24.0  # standard deviation of the fade of a correction around a target, pixels
GRIP, GRIP_SHARE = 24.0, 0.4  # width of the rigid area around a drag's ends: pixels, plus a share of its length
LONE_GRIP, LONE_SHARE = 36.0, 0.7  # the same for a drag without others nearby
NEAR, FAR = 0.75, 1e4  # limit of that width as a share of the distance to the next target; distance if there is none


def warp(image: Tensor, flow: Tensor, mode: str = "bilinear") -> Tensor:
    """Sample `image` at p + flow(p), with replicated borders; the flow has the image's size."""
    h, w = image.shape[-2:]
    x = torch.arange(w, dtype=flow.dtype, device=flow.device) + flow[:, 0]
    y = torch.arange(h, dtype=flow.dtype, device=flow.device)[:, None] + flow[:, 1]
    at = torch.stack([x * (2.0 / (w - 1)) - 1.0, y * (2.0 / (h - 1)) - 1.0], -1)
    return F.grid_sample(image, at, mode=mode, padding_mode="border", align_corners=True)


def enlarge(x: Tensor, factor: int) -> Tensor:
    return F.interpolate(x, scale_factor=factor, mode="bilinear", align_corners=False)


def fold_flow(flow: Tensor) -> Tensor:
    """The flow at 1/4 of its size, in pixels of that size."""
    return F.avg_pool2d(flow, FOLD) / FOLD


def nearness(at: Tensor, h: int, w: int) -> Tensor:
    """Squared distances (pixels^2) [B, N, h, w] between points [B, N, 2] (pixels) and the cells of a map at 1/4."""
    x = (torch.arange(w, dtype=at.dtype, device=at.device) + 0.5) * FOLD - 0.5
    y = (torch.arange(h, dtype=at.dtype, device=at.device) + 0.5) * FOLD - 0.5
    return (x - at[:, :, 0, None])[:, :, None, :] ** 2 + (y - at[:, :, 1, None])[:, :, :, None] ** 2


def heat(at: Tensor, h: int, w: int) -> Tensor:
    """Gaussians of the distance to the nearest of the points [B, N, 2], with sigma 4 and 16 pixels: [B, 2, h, w]."""
    nearest = nearness(at, h, w).amin(1)
    return torch.stack([torch.exp(-nearest / (2 * s * s)) for s in (4.0, 16.0)], 1)


def closeness(at: Tensor, widths: Tensor, h: int, w: int) -> Tensor:
    """A map [B, 1, h, w]: 1 at the points [B, N, 2], a Gaussian around each with the sigma `widths` [B, N], pixels."""
    nearest = (nearness(at, h // FOLD, w // FOLD) / widths.square()[..., None, None]).amin(1, keepdim=True)
    return enlarge(torch.exp(nearest * -0.5), FOLD)


def drag_widths(points: Tensor) -> Tensor:
    """The width of the rigid area around the ends of each drag, pixels, [B, N], for points [B, N, 4].

    It grows with the drag's length: a long drag seldom moves a small part.
    """
    return GRIP + GRIP_SHARE * drag_lengths(points)


def drag_lengths(points: Tensor) -> Tensor:
    """The lengths of drags [B, N, 4], pixels, [B, N]."""
    return (points[..., 2:] - points[..., :2]).square().sum(-1).sqrt()


def grip_widths(points: Tensor) -> Tensor:
    """`drag_widths`, larger for drags without others nearby, which alone determine how their surroundings move."""
    targets = points[..., 2:]
    apart = (targets[:, :, None] - targets[:, None]).square().sum(-1).sqrt()
    apart = apart.masked_fill(apart < 1, FAR).amin(-1)  # a repeated row is the same drag
    lone = LONE_GRIP + LONE_SHARE * drag_lengths(points)
    return torch.maximum(drag_widths(points), torch.minimum(lone, NEAR * apart))


def grip(flow: Tensor, prior_flow: Tensor, points: Tensor) -> Tensor:
    """The flow, replaced by the (locally rigid) prior flow around each target and each handle.

    Around the handles as well: otherwise a copy of the handle's content could stay at its old place.
    """
    ends = torch.cat([points[..., :2], points[..., 2:]], 1)
    widths = grip_widths(points)
    return flow + closeness(ends, torch.cat([widths, widths], 1), *flow.shape[-2:]) * (prior_flow - flow)


def land(flow: Tensor, points: Tensor) -> Tensor:
    """The flow [B, 2, H, W], corrected so that each target shows its handle exactly.

    The errors at the targets are spread by Shepard's interpolation, which is exact at the targets, and fade out over
    LANDING_REACH pixels. A repeated row of the points counts once.
    """
    h, w = flow.shape[-2:]
    at = points[..., 2:]
    scale = torch.tensor([2.0 / (w - 1), 2.0 / (h - 1)], dtype=at.dtype, device=at.device)
    sampled = F.grid_sample(flow, (at * scale - 1)[:, None], padding_mode="border", align_corners=True)
    missed = points[..., :2] - at - sampled[:, :, 0].transpose(1, 2)
    copies = ((points[:, :, None] - points[:, None]).abs().amax(-1) < 0.01).to(flow.dtype).sum(-1)
    distance = nearness(at, h // FOLD, w // FOLD)
    weight = ((distance + 1) ** -2 / copies[..., None, None]).flatten(2)
    field = (missed.transpose(1, 2) @ weight) / weight.sum(1, keepdim=True)
    fade = torch.exp(distance.amin(1, keepdim=True) * (-0.5 / LANDING_REACH**2))
    return flow + enlarge(field.unflatten(2, (h // FOLD, w // FOLD)) * fade, FOLD)
