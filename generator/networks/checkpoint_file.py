"""Checkpoint files: safetensors with the configuration in the header, written atomically.

A checkpoint may leave out weights that it shares with another file in the same folder; the header's "rest" entry
then has that file's name and SHA-256.
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
from edgedrag.runtime.files import aside_file, sha256_of


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
    """Write the weights (as `dtype`) and string metadata atomically.

    Args:
        rest: a checkpoint in the same folder; weights equal to those in it are left out.
    """
    weights = {k: v.detach().to("cpu", dtype).contiguous() for k, v in model.state_dict().items()}
    header = {"config": json.dumps(asdict(model.config)), **metadata}
    if rest is not None:
        shared, _ = read_checkpoint(rest)
        weights = {k: v for k, v in weights.items() if not torch.equal(v.float(), shared[k])}
        header["rest"] = json.dumps({"file": rest.name, "sha256": sha256_of(rest)})
    with aside_file(path.parent) as aside:
        save_file(weights, aside, header)
        os.replace(aside, path)


def read_checkpoint(path: Path) -> tuple[dict[str, Tensor], dict[str, str]]:
    """All weights as float32, including those of the "rest" file, and the header.

    Raises:
        InputError: the file is no checkpoint, or its "rest" file is missing or has changed.
    """
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
            raise InputError(
                f"{path}: shares weights with {file.name}, which is missing from its folder or has changed; "
                "put the original file there"
            )
        weights = {**read_checkpoint(file)[0], **weights}
    return weights, metadata
