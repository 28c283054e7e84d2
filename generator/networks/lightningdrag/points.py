"""The point network: turns handle and target maps into additions to each layer's queries and keys."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from edgedrag.generator.networks.lightningdrag.sizes import Size


def conv(inputs: int, outputs: int, stride: int = 1) -> nn.Conv2d:
    return nn.Conv2d(inputs, outputs, 3, stride, 1, bias=False)


class Halving(nn.Module):
    """Halves the size and doubles the channels."""

    def __init__(self, channels: int):
        super().__init__()
        self.conv1, self.conv2 = conv(channels, 2 * channels, stride=2), conv(2 * channels, 2 * channels)

    def forward(self, x: Tensor) -> Tensor:
        return F.silu(self.conv2(F.silu(self.conv1(x))))


class PointEmbedding(nn.Module):
    """Embeds two maps [B, 1, H, W] of the points' numbers at 1/8, 1/16, 1/32 and 1/64.

    Module names are those of the published weights.
    """

    def __init__(self, width: int):
        super().__init__()
        channels = [2 * width * 2**level for level in range(6)]
        self.conv_in = conv(2, channels[0])
        self.downsample_blocks_vae = nn.Sequential(*map(Halving, channels[:3]))
        self.downsample_blocks_unet = nn.ModuleList(map(Halving, channels[3:]))
        for weight in self.parameters():  # PyTorch's default would attenuate a single pixel too much
            nn.init.kaiming_normal_(weight)

    def forward(self, handle_map: Tensor, target_map: Tensor) -> list[Tensor]:
        """The first half of the channels belongs to the handles, the second to the targets."""
        x = self.downsample_blocks_vae(self.conv_in(torch.cat([handle_map, target_map], 1)))
        embeddings = [x]
        for block in self.downsample_blocks_unet:
            embeddings.append(block(embeddings[-1]))
        return embeddings


class PointAdapter(nn.Module):
    """Projects an embedding to a layer's width."""

    def __init__(self, channels: int, width: int):
        super().__init__()
        self.norm = nn.LayerNorm(channels)
        self.proj = nn.Linear(channels, width, bias=False)

    def forward(self, embedding: Tensor) -> Tensor:
        """[B, channels, h, w] -> [B, h, w, width]."""
        return self.proj(self.norm(embedding.permute(0, 2, 3, 1)))


class PointNetwork(nn.Module):
    """The embedding and one adapter for each layer."""

    def __init__(self, size: Size):
        super().__init__()
        self.layer_levels = size.layer_levels
        self.embedding = PointEmbedding(size.point_width)
        self.adapters = nn.ModuleList(
            PointAdapter(size.point_channels(layer), size.layer_width(layer)) for layer in range(len(self.layer_levels))
        )

    def zero_init(self) -> None:
        """Set the projections to zero: the points add nothing at the start of training."""
        for name, weight in self.adapters.named_parameters():
            if name.endswith("proj.weight"):
                nn.init.zeros_(weight)

    def forward(self, handle_map: Tensor, target_map: Tensor) -> tuple[list[Tensor], list[Tensor]]:
        """The additions for targets and for handles, by layer, each [B, h, w, width]."""
        halves = [embedding.chunk(2, 1) for embedding in self.embedding(handle_map, target_map)]
        handles, targets = (
            [adapter(halves[level][part]) for level, adapter in zip(self.layer_levels, self.adapters)]
            for part in (0, 1)
        )
        return targets, handles
