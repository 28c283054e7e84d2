"""Loading weight files (safetensors, or pickles without code) into modules whose shapes they must match."""

from __future__ import annotations

import pickle
from collections.abc import Mapping
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor, nn

from edgedrag.runtime.errors import InputError

DTYPES = (torch.float32, torch.float16, torch.bfloat16)


def find_weights(folder: Path, *stems: str) -> Path:
    """The first existing file of folder/STEM.safetensors, .fp16.safetensors and .bin.

    Raises:
        InputError: none exists.
    """
    names = [f"{stem}{suffix}" for suffix in (".safetensors", ".fp16.safetensors", ".bin") for stem in stems]
    for name in names:
        if (folder / name).is_file():
            return folder / name
    raise InputError(f"{folder}: no weights here; one of {', '.join(names)} is expected")


def read_tensors(path: Path, *parts: str) -> dict[str, Tensor]:
    """The tensors of a file by name; memory-mapped if the format allows it.

    Args:
        parts: keys of the nested dictionaries that hold the tensors in a pickle.

    Raises:
        InputError: the file cannot be read, is truncated, contains code, or holds anything but weights.
    """
    try:
        if path.suffix == ".safetensors":
            return load_file(path)
        content = torch.load(path, map_location="cpu", weights_only=True, mmap=_is_zip(path))
    except pickle.UnpicklingError:
        raise InputError(
            f"{path}: rejected: it holds more than weights and would run code when read. Get the file from its "
            "publisher again, as .safetensors if there is one"
        ) from None
    except (OSError, SafetensorError, RuntimeError, EOFError, ValueError) as error:
        raise InputError(f"{path}: cannot be read as weights, damaged or truncated ({_first_line(error)})") from None
    for part in parts:
        content = content.get(part) if isinstance(content, Mapping) else None
    if not isinstance(content, Mapping) or not all(isinstance(v, Tensor) for v in content.values()):
        raise InputError(f"{path}: no named tensors{f' under {parts}' if parts else ''} in it")
    return {str(name): tensor for name, tensor in content.items()}


def _is_zip(path: Path) -> bool:
    with path.open("rb") as file:
        return file.read(2) == b"PK"


def _first_line(error: Exception) -> str:
    return str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__


def misfits(module: nn.Module, tensors: Mapping[str, Tensor]) -> list[str]:
    """The differences between tensors and a module's weights, one line for each key."""
    expected = {name: tuple(value.shape) for name, value in module.state_dict().items()}
    wrong = [f"missing: {name}" for name in sorted(expected.keys() - tensors.keys())]
    wrong += [f"extra: {name}" for name in sorted(tensors.keys() - expected.keys())]
    for name in sorted(expected.keys() & tensors.keys()):
        tensor = tensors[name]
        if tuple(tensor.shape) != expected[name]:
            wrong.append(f"{name}: shape {list(tensor.shape)}, not {list(expected[name])}")
        elif tensor.dtype not in DTYPES:
            wrong.append(f"{name}: {str(tensor.dtype).removeprefix('torch.')}, not fp32, fp16 or bf16")
    return wrong


def check_fit(module: nn.Module, tensors: Mapping[str, Tensor], path: Path) -> None:
    """Raise InputError if a file's tensors do not fit a module; names every key."""
    wrong = misfits(module, tensors)
    if wrong:
        lines = "".join(f"\n  {line}" for line in wrong)
        raise InputError(f"{path}: {len(wrong)} keys do not fit the network:{lines}")


def fill(module: nn.Module, tensors: Mapping[str, Tensor]) -> None:
    """Load checked tensors into a module on the meta device, as float32 and frozen."""
    module.load_state_dict({name: value.float() for name, value in tensors.items()}, strict=False, assign=True)
    module.requires_grad_(False)
