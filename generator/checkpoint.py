"""Checkpoints of the embedded generator: one safetensors file, its configuration in the header."""

from __future__ import annotations

import json
import os
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file

from edgedrag.generator.contract import DragGenerator
from edgedrag.generator.networks.embedded import EmbeddedConfig, EmbeddedGenerator
from edgedrag.runtime.errors import InputError

SHIPPED = Path(__file__).with_name("checkpoints") / "embedded.safetensors"


def save_checkpoint(
    model: DragGenerator, path: Path, notes: dict[str, str], dtype: torch.dtype = torch.float32
) -> None:
    """Write the weights (as `dtype`) and string notes; the file is whole or absent."""
    weights = {k: v.detach().to(dtype).contiguous() for k, v in model.state_dict().items()}
    aside = path.with_suffix(".partial")
    save_file(weights, aside, {"config": json.dumps(model.config_dict()), **notes})
    os.replace(aside, path)


def load_checkpoint(path: Path) -> tuple[EmbeddedGenerator, dict[str, str]]:
    """Read a checkpoint as float32 modules in evaluation mode, with its notes.

    Raises:
        InputError: not such a checkpoint; every missing, extra or misshapen key is named.
    """
    try:
        with safe_open(path, "pt") as f:
            notes = dict(f.metadata() or {})
            weights = {k: f.get_tensor(k).float() for k in f.keys()}
        config = json.loads(notes.pop("config"))
    except (OSError, SafetensorError, KeyError, json.JSONDecodeError) as error:
        raise InputError(f"{path}: not a checkpoint of the embedded generator ({error})") from None
    model = EmbeddedGenerator(EmbeddedConfig(**{k: tuple(v) for k, v in config.items()}))
    expected = {k: tuple(v.shape) for k, v in model.state_dict().items()}
    found = {k: tuple(v.shape) for k, v in weights.items()}
    if expected != found:
        wrong = sorted({k for k in expected | found if expected.get(k) != found.get(k)})
        raise InputError(f"{path}: keys that do not fit the networks: {', '.join(wrong)}")
    model.load_state_dict(weights)
    return model.eval(), notes
