"""A trainable LoRA (Hu et al. 2022) of the denoiser, saved in the file format of LCM-LoRA."""

from __future__ import annotations

import os
from pathlib import Path

import torch
from safetensors.torch import save_file
from torch import Tensor, nn
from torch.nn.utils import parametrize

from edgedrag.generator.networks.lightningdrag.lora import ENDS, PREFIX
from edgedrag.runtime.files import aside_file

RANK = 64
# Keys and values of the prompt are precomputed, and the IP-Adapter stays as published.
LEFT = ("attn2.to_k", "attn2.to_v", "to_k_ip", "to_v_ip")


class LowRank(nn.Module):
    """A weight plus a trainable low-rank change, which starts at zero."""

    def __init__(self, outputs: int, inputs: int):
        super().__init__()
        rank = min(RANK, inputs, outputs)
        self.down, self.up = nn.Parameter(torch.empty(rank, inputs)), nn.Parameter(torch.zeros(outputs, rank))
        nn.init.kaiming_uniform_(self.down, a=5**0.5)

    def forward(self, weight: Tensor) -> Tensor:
        return weight + self.up @ self.down


def add_low_rank(unet: nn.Module) -> nn.ModuleDict:
    """Add a LoRA to the linear layers of a UNet's attention blocks; returns the changes by layer, "_" for "."."""
    changes = nn.ModuleDict()
    for name, module in list(unet.named_modules()):
        if ".transformer_blocks." in name and isinstance(module, nn.Linear) and not name.endswith(LEFT):
            change = LowRank(module.out_features, module.in_features)
            parametrize.register_parametrization(module, "weight", change)
            changes[name.replace(".", "_")] = change
    return changes


def write_lora(changes: nn.ModuleDict, path: Path, metadata: dict[str, str]) -> None:
    """Write the changes as fp16 for `read_lora`, atomically."""
    tensors = {
        f"{PREFIX}{name}.{end}": change.state_dict()[factor].half().cpu().contiguous()
        for name, change in changes.items()
        for end, factor in zip(ENDS, ("down", "up"))
    }
    with aside_file(path.parent) as aside:
        save_file(tensors, aside, metadata)
        os.replace(aside, path)
