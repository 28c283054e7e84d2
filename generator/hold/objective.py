"""What a hold is taught: binary cross entropy and a soft intersection over union, for each of its nested answers."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from edgedrag.generator.hold.scenes import GROUP, PART, THING, UNKNOWN

LEVELS = (PART, THING, GROUP)  # from which value of a map on each answer is true
WEIGHTS = (0.7, 1.0, 0.4)  # of the answers in the loss


def truths(maps: Tensor, parts_known: Tensor) -> tuple[Tensor, Tensor]:
    """What each answer should be, and where that is known, float32 [N, 3, h, w] in {0, 1}, of maps uint8 [N, h, w]."""
    true = torch.stack([maps >= level for level in LEVELS], 1) & (maps != UNKNOWN)[:, None]
    known = (maps != UNKNOWN)[:, None].repeat(1, len(LEVELS), 1, 1)
    # Without parts, the rest of the thing may be of the part or not.
    known[:, 0] &= parts_known[:, None, None] | (maps != THING)
    return true.float(), known.float()


def hold_losses(logits: Tensor, maps: Tensor, parts_known: Tensor) -> dict[str, Tensor]:
    """Weighted terms of the loss of logits [N, 3, h, w] against maps uint8 [N, h, w]."""
    true, known = truths(maps, parts_known)
    weights = torch.tensor(WEIGHTS, device=logits.device)
    entropy = F.binary_cross_entropy_with_logits(logits, true, reduction="none") * known
    share = torch.sigmoid(logits) * known
    both = (share * true).sum((2, 3))
    overlap = (both + 1) / ((share + true).sum((2, 3)) - both + 1)
    return {
        "entropy": (entropy.sum((2, 3)) / known.sum((2, 3)).clamp_min(1) * weights).sum(1).mean(),
        "overlap": 0.5 * ((1 - overlap) * weights).sum(1).mean(),
    }
