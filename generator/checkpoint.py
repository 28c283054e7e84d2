"""Checkpoints of the embedded generator: one safetensors file, its configuration in the header.

A checkpoint may leave out what it shares with another that lies beside it; its note "rest" then names
that file and its SHA-256.
"""

from __future__ import annotations

import hashlib
import json
import os
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from edgedrag.generator.contract import DragGenerator
from edgedrag.generator.networks.embedded import EmbeddedConfig, EmbeddedGenerator
from edgedrag.runtime.errors import InputError

SHIPPED = Path(__file__).with_name("checkpoints") / "embedded.safetensors"


def save_checkpoint(
    model: DragGenerator,
    path: Path,
    notes: dict[str, str],
    dtype: torch.dtype = torch.float32,
    rest: Path | None = None,
) -> None:
    """Write the weights (as `dtype`) and string notes; the file is whole or absent.

    Args:
        rest: a checkpoint in the same folder; weights equal to its are left out.
    """
    weights = {k: v.detach().to(dtype).contiguous() for k, v in model.state_dict().items()}
    header = {"config": json.dumps(model.config_dict()), **notes}
    if rest is not None:
        shared, _ = _read(rest)
        weights = {k: v for k, v in weights.items() if not torch.equal(v.float(), shared[k])}
        header["rest"] = json.dumps({"file": rest.name, "sha256": _sha256(rest)})
    aside = path.with_suffix(".partial")
    save_file(weights, aside, header)
    os.replace(aside, path)


def load_checkpoint(path: Path) -> tuple[EmbeddedGenerator, dict[str, str]]:
    """Read a checkpoint as float32 modules in evaluation mode, with its notes.

    Raises:
        InputError: not such a checkpoint; every missing, extra or misshapen key is named.
    """
    weights, notes = _read(path)
    try:
        config = {k: tuple(v) for k, v in json.loads(notes.pop("config")).items()}
        model = EmbeddedGenerator(EmbeddedConfig(**config))
    except (KeyError, TypeError, ValueError) as error:
        raise InputError(f"{path}: not a checkpoint of the embedded generator ({error})") from None
    expected = {k: tuple(v.shape) for k, v in model.state_dict().items()}
    found = {k: tuple(v.shape) for k, v in weights.items()}
    if expected != found:
        wrong = sorted({k for k in expected | found if expected.get(k) != found.get(k)})
        raise InputError(f"{path}: keys that do not fit the networks: {', '.join(wrong)}")
    model.load_state_dict(weights)
    return model.eval(), notes


def _read(path: Path) -> tuple[dict[str, Tensor], dict[str, str]]:
    """All weights as float32, those of the rest among them, and the header."""
    try:
        with safe_open(path, "pt") as f:
            notes = dict(f.metadata() or {})
            weights = {k: f.get_tensor(k).float() for k in f.keys()}
    except (OSError, SafetensorError) as error:
        raise InputError(f"{path}: not a checkpoint of the embedded generator ({error})") from None
    if "rest" in notes:
        rest = json.loads(notes.pop("rest"))
        file = path.with_name(Path(rest["file"]).name)
        if not file.is_file() or _sha256(file) != rest["sha256"]:
            raise InputError(f"{path}: belongs beside another {file.name}, from which it takes the rest of its weights")
        weights = {**_read(file)[0], **weights}
    return weights, notes


def _sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()
