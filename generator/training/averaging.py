"""Means of two checkpoints' weights: often better than either, and not so far from what the first one knew
(Wortsman et al. 2022, "Robust fine-tuning of zero-shot models").
"""

from __future__ import annotations

from pathlib import Path

import torch

from edgedrag.generator.training.checkpoint import load_checkpoint
from edgedrag.runtime.errors import InputError


def average(new: Path, old: Path, motion: float, denoiser: float, reveal: float, output: Path) -> None:
    """Write the mean of two checkpoints of the embedded generator as fp16, with the new one's metadata.

    Args:
        motion, denoiser: share of the new one, 0..1, in the motion network and in all else.
        reveal: added to the revealed map's bias, so that more (or less) is drawn anew.

    Raises:
        InputError: as `load_checkpoint`; networks of different sizes; no folder for the output.
    """
    model, metadata = load_checkpoint(new)
    other, _ = load_checkpoint(old)
    if model.config != other.config:
        raise InputError(f"{new} is of {model.config}, {old} of {other.config}; only equal networks have a mean")
    if not output.parent.is_dir():
        raise InputError(f"{output.parent}: no such folder for the checkpoint")
    weights = other.state_dict()
    for name, value in model.state_dict().items():
        weights[name] = torch.lerp(weights[name], value, motion if name.startswith("motion.") else denoiser)
    weights["motion.gate_head.bias"] = weights["motion.gate_head.bias"] + reveal
    model.load_state_dict(weights)
    model.write(output, metadata)
