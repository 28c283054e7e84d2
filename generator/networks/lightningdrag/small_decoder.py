"""A small decoder with TAESD's architecture, for weights that the user supplies."""

from __future__ import annotations

from pathlib import Path

import torch
from diffusers import AutoencoderTiny
from torch import nn

from edgedrag.generator.networks.lightningdrag.tensor_files import check_fit, fill, read_tensors

PREFIX = "decoder."


def empty_small_decoder() -> nn.Module:
    """Latent [B, 4, h, w] -> picture [B, 3, 8h, 8w] near -1..1."""
    return AutoencoderTiny().decoder


def load_small_decoder(path: Path) -> nn.Module:
    """The decoder of a file of AutoencoderTiny's weights.

    Raises:
        InputError: the file is unreadable, or its shapes do not match; names every key that does not fit.
    """
    tensors = {k.removeprefix(PREFIX): v for k, v in read_tensors(path).items() if k.startswith(PREFIX)}
    with torch.device("meta"):
        decoder = empty_small_decoder()
    check_fit(decoder, tensors, path)
    fill(decoder, tensors)
    return decoder.eval()
