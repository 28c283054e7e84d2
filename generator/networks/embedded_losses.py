"""Losses of the embedded generator's motion network beside those of the denoiser.

Pictures are [B, 3, H, W] in -1..1, maps [B, 1, H, W], flows [B, 2, H, W] in pixels.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from edgedrag.generator.data.batches import Batch
from edgedrag.generator.diffusion.objectives import edge_loss, masked_mean

GATE_MARGIN, GATE_WINDOW = 0.8, 9  # the picture must be this much nearer the truth than the warp; pixels


def local_error(picture: Tensor, truth: Tensor) -> Tensor:
    """How far a picture is from the truth around each pixel, in colour and in its edges, [B, 1, H, W]."""
    off = picture - truth
    along_x, along_y = F.pad(off.diff(dim=-1), (0, 1)), F.pad(off.diff(dim=-2), (0, 0, 0, 1))
    error = (off.abs() + along_x.abs() + along_y.abs()).mean(1, keepdim=True)
    return F.avg_pool2d(error, GATE_WINDOW, 1, GATE_WINDOW // 2, count_include_pad=False)


def gate_losses(batch: Batch, warped: Tensor, revealed: Tensor, picture: Tensor) -> dict[str, Tensor]:
    """The revealed map becomes a choice: the picture where it is clearly nearer the truth than the warp, in
    pixels and in edges around them. A wrong choice counts by the difference between the two errors.
    """
    warp_error, picture_error = (local_error(p.detach(), batch.target) for p in (warped, picture))
    better = picture_error < GATE_MARGIN * warp_error
    likely = revealed.float().clamp(1e-4, 1 - 1e-4)
    wrong = -torch.where(better, likely, 1 - likely).log()  # binary cross entropy
    return {"gate": 0.1 * masked_mean(wrong, batch.mask * (warp_error - picture_error).abs())}


def motion_losses(batch: Batch, warped: Tensor, flow: Tensor, revealed: Tensor, picture: Tensor) -> dict[str, Tensor]:
    """The motion learns from the measured flow and its gradients (where the source is a real frame), and from the
    picture that it makes; the revealed map from where forward and backward flow disagree, and from which of warp and
    generator is nearer the truth.
    """
    mask, inside = batch.mask, batch.mask * batch.valid
    # Weighted less, not zero, where nothing can be shown: there a copy from elsewhere is better than a smear.
    seen = batch.mask * (0.5 + 0.5 * batch.valid)
    blended = warped + revealed * (picture.detach() - warped)
    likely = revealed.float().clamp(1e-4, 1 - 1e-4)
    hidden = -torch.where(batch.valid > 0, 1 - likely, likely).log()  # binary cross entropy
    return {
        "flow": 0.03 * masked_mean((flow - batch.flow).abs().clamp_max(32), inside * batch.real),
        "bends": 0.15 * edge_loss(flow, batch.flow, inside * batch.real, most=2.0),
        "warp": masked_mean((warped - batch.target).abs(), seen) + 0.5 * edge_loss(warped, batch.target, seen),
        "blend": masked_mean((blended - batch.target).abs(), mask) + 0.5 * edge_loss(blended, batch.target, mask),
        "revealed": 0.05 * masked_mean(hidden, mask * batch.real),
    }
