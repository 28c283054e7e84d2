"""Checkpoints as files: safetensors, the configuration in the header, whole or absent.

A checkpoint may leave out what it shares with another that lies beside it; its note "rest" then names
that file and its SHA-256.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any, Protocol

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from edgedrag.runtime.errors import InputError
from edgedrag.runtime.files import sha256_of


class Configured(Protocol):
    """Networks with the dataclass that they were made from, such as the embedded generator."""

    config: Any

    def state_dict(self) -> Mapping[str, Tensor]: ...


def save_checkpoint(
    model: Configured,
    path: Path,
    metadata: dict[str, str],
    dtype: torch.dtype = torch.float32,
    rest: Path | None = None,
) -> None:
    """Write the weights (as `dtype`) and string metadata; the file is whole or absent.

    Args:
        rest: a checkpoint in the same folder; weights equal to its are left out.
    """
    weights = {k: v.detach().to("cpu", dtype).contiguous() for k, v in model.state_dict().items()}
    header = {"config": json.dumps(asdict(model.config)), **metadata}
    if rest is not None:
        shared, _ = read_checkpoint(rest)
        weights = {k: v for k, v in weights.items() if not torch.equal(v.float(), shared[k])}
        header["rest"] = json.dumps({"file": rest.name, "sha256": sha256_of(rest)})
    aside = path.with_suffix(".partial")
    save_file(weights, aside, header)
    os.replace(aside, path)


def read_checkpoint(path: Path) -> tuple[dict[str, Tensor], dict[str, str]]:
    """All weights as float32, those of the rest among them, and the header."""
    try:
        with safe_open(path, "pt") as f:
            metadata = dict(f.metadata() or {})
            weights = {k: f.get_tensor(k).float() for k in f.keys()}
    except (OSError, SafetensorError) as error:
        raise InputError(f"{path}: not a checkpoint of the embedded generator ({error})") from None
    if "rest" in metadata:
        rest = json.loads(metadata.pop("rest"))
        file = path.with_name(Path(rest["file"]).name)
        if not file.is_file() or sha256_of(file) != rest["sha256"]:
            raise InputError(f"{path}: belongs beside another {file.name}, from which it takes the rest of its weights")
        weights = {**read_checkpoint(file)[0], **weights}
    return weights, metadata
