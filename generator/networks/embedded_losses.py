"""Losses of the embedded generator's motion network and revealed map.

Pictures are [B, 3, H, W] in -1..1, maps [B, 1, H, W], flows [B, 2, H, W] in pixels.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from edgedrag.generator.data.batches import Batch
from edgedrag.generator.diffusion.objectives import edge_loss, masked_mean

GATE_MARGIN, GATE_WINDOW = 0.8, 9  # largest error of the picture relative to the warp's; window in pixels


def local_error(picture: Tensor, truth: Tensor) -> Tensor:
    """The mean error of colours and gradients in a window around each pixel, [B, 1, H, W]."""
    off = picture - truth
    along_x, along_y = F.pad(off.diff(dim=-1), (0, 1)), F.pad(off.diff(dim=-2), (0, 0, 0, 1))
    error = (off.abs() + along_x.abs() + along_y.abs()).mean(1, keepdim=True)
    return F.avg_pool2d(error, GATE_WINDOW, 1, GATE_WINDOW // 2, count_include_pad=False)


def gate_losses(batch: Batch, warped: Tensor, revealed: Tensor, picture: Tensor) -> dict[str, Tensor]:
    """Train the revealed map as a classifier: 1 where the picture's local error is clearly below the warp's.

    Binary cross entropy; a pixel's weight is the difference between the two errors.
    """
    warp_error, picture_error = (local_error(p.detach(), batch.target) for p in (warped, picture))
    better = picture_error < GATE_MARGIN * warp_error
    likely = revealed.float().clamp(1e-4, 1 - 1e-4)
    wrong = -torch.where(better, likely, 1 - likely).log()  # binary cross entropy
    return {"gate": 0.1 * masked_mean(wrong, batch.mask * (warp_error - picture_error).abs())}


def motion_losses(batch: Batch, warped: Tensor, flow: Tensor, revealed: Tensor, picture: Tensor) -> dict[str, Tensor]:
    """Losses of the motion: the measured flow and its gradients (for real source frames), and the warped picture.

    Losses of the revealed map: where forward and backward flow disagree, and the error of the blended picture.
    """
    mask, inside = batch.mask, batch.mask * batch.valid
    # Half weight, not zero, where the truth is hidden in the source: a copy from elsewhere is better than a smear.
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
