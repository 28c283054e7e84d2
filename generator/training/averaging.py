"""Weight averages of two checkpoints (Wortsman et al. 2022, "Robust fine-tuning of zero-shot models").

The average is often better than either checkpoint, and keeps more of the older one's abilities.
"""

from __future__ import annotations

from pathlib import Path

import torch

from edgedrag.generator.training.checkpoint import load_checkpoint
from edgedrag.runtime.errors import InputError


def average(new: Path, old: Path, motion: float, denoiser: float, reveal: float, output: Path) -> None:
    """Write the weighted mean of two checkpoints of the embedded generator as fp16, with the metadata of `new`.

    Args:
        motion, denoiser: weight of `new`, 0..1, for the motion network and for all other parts.
        reveal: added to the bias of the revealed map; a positive value shows more generated pixels.

    Raises:
        InputError: as `load_checkpoint`; the networks differ in size; the output's folder does not exist.
    """
    model, metadata = load_checkpoint(new)
    other, _ = load_checkpoint(old)
    if model.config != other.config:
        raise InputError(
            f"{new} has {model.config}, {old} has {other.config}; only networks of the same size can be averaged"
        )
    if not output.parent.is_dir():
        raise InputError(f"{output.parent}: the folder for the checkpoint does not exist")
    weights = other.state_dict()
    for name, value in model.state_dict().items():
        weights[name] = torch.lerp(weights[name], value, motion if name.startswith("motion.") else denoiser)
    weights["motion.gate_head.bias"] = weights["motion.gate_head.bias"] + reveal
    model.load_state_dict(weights)
    model.write(output, metadata)
