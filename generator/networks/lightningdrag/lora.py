"""A LoRA (Hu et al. 2022) of the denoiser, such as LCM-LoRA, fused into its weights."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from torch import Tensor, nn

from edgedrag.generator.networks.lightningdrag.tensor_files import read_tensors
from edgedrag.runtime.errors import InputError

FILE = "pytorch_lora_weights.safetensors"
PREFIX = "lora_unet_"
ENDS = ("lora_down.weight", "lora_up.weight", "alpha")


def find_lora(path: Path) -> Path:
    """The LoRA's file; `path` is the file itself or the folder with `pytorch_lora_weights.safetensors`.

    Raises:
        InputError: the file does not exist.
    """
    file = path / FILE if path.is_dir() else path
    if not file.is_file():
        raise InputError(f"{file}: no such LoRA")
    return file


def read_lora(path: Path) -> dict[str, dict[str, Tensor]]:
    """The factors of each layer, by the layer's name with underscores instead of dots.

    Args:
        path: see `find_lora`.

    Raises:
        InputError: the file does not exist, or is not a LoRA of a Stable Diffusion UNet; names the wrong keys.
    """
    file = find_lora(path)
    layers: dict[str, dict[str, Tensor]] = {}
    for key, value in read_tensors(file).items():
        layer, _, end = key.partition(".")
        if not layer.startswith(PREFIX) or end not in ENDS:
            raise InputError(f"{file}: not a LoRA of a UNet; its key {key} is not {PREFIX}LAYER.{{{', '.join(ENDS)}}}")
        layers.setdefault(layer.removeprefix(PREFIX), {})[end] = value
    incomplete = [f"{layer}: {end} is missing" for layer, part in layers.items() for end in ENDS[:2] if end not in part]
    if incomplete:
        raise InputError(f"{file}: " + "; ".join(incomplete))
    return layers


def fuse(unet: nn.Module, lora: Mapping[str, Mapping[str, Tensor]], file: Path, dry: bool = False) -> None:
    """Add alpha / rank * up @ down to each named layer's weight; with `dry`, only check that it fits.

    Raises:
        InputError: the UNet lacks a layer, or the factors do not match its weight's shape; names all of them.
    """
    layers = {name.replace(".", "_"): module for name, module in unet.named_modules() if hasattr(module, "weight")}
    wrong = []
    for name, part in lora.items():
        down, up = part[ENDS[0]], part[ENDS[1]]
        if name not in layers:
            wrong.append(f"extra: {name}")
            continue
        weight = layers[name].weight
        if (up.shape[0], up.shape[1], *down.shape[1:]) != (weight.shape[0], down.shape[0], *weight.shape[1:]):
            wrong.append(f"{name}: {list(up.shape)} x {list(down.shape)} does not make {list(weight.shape)}")
        elif not dry:
            scale = float(part["alpha"]) / len(down) if "alpha" in part else 1.0
            change = (up.float().flatten(1) @ down.float().flatten(1)).view(weight.shape)
            layers[name].weight = nn.Parameter(weight + scale * change, requires_grad=False)
    if wrong:
        raise InputError(f"{file}: a LoRA of another network:" + "".join(f"\n  {line}" for line in wrong))
