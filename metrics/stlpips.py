"""ST-LPIPS, a perceptual distance that tolerates small shifts (Ghildyal and Liu, ECCV 2022).

LPIPS (Zhang et al., CVPR 2018) on an AlexNet with antialiased downsampling (Zhang, ICML 2019): the first
convolution and the max pooling run at stride 1, followed by a binomial blur with stride 2. Implemented from the
papers and the shapes of the published weights.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from edgedrag.metrics.weights import STLPIPS_FILE, fill, read_weights

# input and output channels, kernel, padding
CONVOLUTIONS = ((3, 64, 11, 2), (64, 192, 5, 2), (192, 384, 3, 1), (384, 256, 3, 1), (256, 256, 3, 1))
POOLED = (1, 2)  # convolutions after a pooling
BLUR = ((1, 2, 1), (2, 4, 2), (1, 2, 1))  # sixteenths
SIDE = 224  # pixels; size at which whole pictures are compared, as in RegionDrag
EPSILON = 1e-10

# names of this network -> names in the published file, whose blur filters all equal BLUR
NAMES = {
    **{f"convolutions.{i}": f"net.slice{i + 1}.{at}" for i, at in enumerate((0, 5, 9, 11, 13))},
    **{f"weighting.{i}": f"lin{i}.model.1" for i in range(len(CONVOLUTIONS))},
}


class STLPIPS(nn.Module):
    """The network with its published weights.

    Attributes:
        sha256: of the weight file.
    """

    shift: Tensor
    scale: Tensor
    blur: Tensor

    def __init__(self, folder: Path | None = None):
        """Load weights from `folder`, or else from the installed package. Raises InputError if there are none."""
        super().__init__()
        self.convolutions = nn.ModuleList(nn.Conv2d(i, o, k, padding=p) for i, o, k, p in CONVOLUTIONS)
        self.weighting = nn.ModuleList(nn.Conv2d(o, 1, 1, bias=False) for _, o, _, _ in CONVOLUTIONS)
        self.register_buffer("shift", torch.zeros(1, 3, 1, 1))
        self.register_buffer("scale", torch.ones(1, 3, 1, 1))
        self.register_buffer("blur", torch.tensor(BLUR)[None, None] / 16.0, persistent=False)
        file = STLPIPS_FILE.find(folder)
        published, self.sha256 = read_weights(file)
        renamed = {ours: published.get(f"scaling_layer.{ours}") for ours in ("shift", "scale")}
        for ours, theirs in NAMES.items():
            for kind in ("weight", "bias"):
                if f"{theirs}.{kind}" in published:
                    renamed[f"{ours}.{kind}"] = published[f"{theirs}.{kind}"]
        fill(self, {k: v for k, v in renamed.items() if v is not None}, file)

    def forward(self, pictures: Tensor) -> list[Tensor]:
        """Features of each layer, normalised at every pixel; pictures [B, 3, H, W] in -1..1."""
        x = (pictures - self.shift) / self.scale
        features = []
        for index, convolution in enumerate(self.convolutions):
            if index in POOLED:
                x = self._halve(F.max_pool2d(x, 3, 1))
            x = convolution(x)
            if index == 0:
                x = self._halve(x)
            x = F.relu(x)
            # EPSILON is inside the root, so that the gradient is finite where all features are 0.
            features.append(x / (x.square().sum(1, keepdim=True) + EPSILON**2).sqrt())
        return features

    def _halve(self, x: Tensor) -> Tensor:
        padded = F.pad(x, (2, 2, 2, 2), mode="reflect")
        return F.conv2d(padded, self.blur.expand(x.shape[1], 1, 3, 3), stride=2, groups=x.shape[1])

    def features(self, picture: np.ndarray) -> list[Tensor]:
        """The features of a uint8 RGB picture [H, W, 3]."""
        return self(as_tensor(picture))

    def maps(self, one: list[Tensor], other: list[Tensor]) -> list[Tensor]:
        """The distance at each pixel, by layer, each [B, 1, h, w]."""
        return [weigh((a - b).square()) for weigh, a, b in zip(self.weighting, one, other)]

    def mean(self, one: list[Tensor], other: list[Tensor], weight: Tensor) -> Tensor:
        """The weighted distance, weights [B, 1, H, W]: each layer's map is resized to them, averaged, then summed."""
        whole = (F.interpolate(m, weight.shape[-2:], mode="bilinear") for m in self.maps(one, other))
        return torch.stack([(m * weight).sum() for m in whole]).sum() / weight.sum()

    def distance(self, pictures: Tensor, truth: Tensor, weight: Tensor) -> Tensor:
        """The differentiable distance of pictures [B, 3, H, W] (-1..1) from the truth, with weights [B, 1, H, W]."""
        with torch.no_grad():
            true_features = self(truth)
        return self.mean(self(pictures), true_features, weight)

    def in_mask(self, one: list[Tensor], other: list[Tensor], mask: np.ndarray) -> float:
        """The mean distance over a mask, bool [H, W], not empty."""
        return float(self.mean(one, other, torch.from_numpy(mask)[None, None].float()))

    def whole(self, one: np.ndarray, other: np.ndarray) -> float:
        """The distance of two pictures, both resized to 224 x 224."""
        small = (F.interpolate(as_tensor(p), (SIDE, SIDE), mode="bilinear") for p in (one, other))
        return float(sum(m.mean() for m in self.maps(*(self(s) for s in small))))


def as_tensor(picture: np.ndarray) -> Tensor:
    """uint8 RGB [H, W, 3] as float [1, 3, H, W] in -1..1."""
    return torch.tensor(picture).permute(2, 0, 1)[None].float() / 127.5 - 1
