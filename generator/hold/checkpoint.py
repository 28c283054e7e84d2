"""A hold's weights as a file: safetensors, whole or absent."""

from __future__ import annotations

from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open

from edgedrag.generator.hold.network import Hold
from edgedrag.runtime.errors import InputError


def load_hold(path: Path) -> tuple[Hold, dict[str, str]]:
    """Read a hold as float32 in evaluation mode, with its notes.

    Raises:
        InputError: not such a checkpoint, or of another network.
    """
    model = Hold()
    try:
        with safe_open(path, "pt") as stored:
            weights = {k: stored.get_tensor(k).to(torch.float32) for k in stored.keys()}
            notes = dict(stored.metadata() or {})
        model.load_state_dict(weights)
    except (OSError, SafetensorError, RuntimeError) as error:
        raise InputError(f"{path}: not a checkpoint of this hold ({error})") from None
    return model.eval(), notes
