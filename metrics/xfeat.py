"""Where a handle's content went, by dense descriptors: the mean distance (MD) of drag benchmarks.

DragDiffusion (Shi et al., CVPR 2024) finds each handle's feature in the result and takes its distance to
the target; RegionDrag (Lu et al., ECCV 2024) looks only in discs around handle and target. Their features
are Stable Diffusion's; here they are XFeat's (Potje et al., CVPR 2024), so figures compare with each
other and not with printed ones. Written from the paper and the shapes of the published weights.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from edgedrag.metrics.weights import XFEAT_FILE, fill, read_weights

MULTIPLE = 32  # pixels; a picture's sides are brought to the nearest multiple below
MIN_RADIUS = 5.0  # pixels, of the discs
HEADS = ("heatmap_head", "keypoint_head", "fine_matcher")  # in the weights' file, not needed for descriptors


def unit(inputs: int, outputs: int, kernel: int = 3, stride: int = 1) -> nn.Sequential:
    """Convolution, batch normalisation without a scale of its own, ReLU."""
    convolution = nn.Conv2d(inputs, outputs, kernel, stride, kernel // 2, bias=False)
    return nn.Sequential(convolution, nn.BatchNorm2d(outputs, affine=False), nn.ReLU())


class XFeat(nn.Module):
    """XFeat's backbone with its published weights: 64 numbers for every 8 x 8 pixels.

    Attributes:
        sha256: of the weights' file.
    """

    def __init__(self, folder: Path | None = None):
        """Weights from `folder`, else from the installed package. Raises InputError where there are none."""
        super().__init__()
        self.skip1 = nn.Sequential(nn.AvgPool2d(4), nn.Conv2d(1, 24, 1))
        self.block1 = nn.Sequential(unit(1, 4), unit(4, 8, stride=2), unit(8, 8), unit(8, 24, stride=2))
        self.block2 = nn.Sequential(unit(24, 24), unit(24, 24))
        self.block3 = nn.Sequential(unit(24, 64, stride=2), unit(64, 64), unit(64, 64, 1))
        self.block4 = nn.Sequential(unit(64, 64, stride=2), unit(64, 64), unit(64, 64))
        self.block5 = nn.Sequential(unit(64, 128, stride=2), unit(128, 128), unit(128, 128), unit(128, 64, 1))
        self.block_fusion = nn.Sequential(unit(64, 64), unit(64, 64), nn.Conv2d(64, 64, 1))
        file = XFEAT_FILE.find(folder)
        published, self.sha256 = read_weights(file)
        ours = {k.replace(".layer.", "."): v for k, v in published.items() if not k.startswith(HEADS)}
        fill(self, ours, file)

    def forward(self, pictures: Tensor) -> Tensor:
        """Descriptors [B, 64, H/8, W/8] of pictures [B, 3, H, W], sides multiples of 32, any range."""
        grey = F.instance_norm(pictures.mean(1, keepdim=True))
        quarter = self.block2(self.block1(grey) + self.skip1(grey))
        eighth = self.block3(quarter)
        sixteenth = self.block4(eighth)
        coarse = (sixteenth, self.block5(sixteenth))
        return self.block_fusion(eighth + sum(F.interpolate(c, eighth.shape[2:], mode="bilinear") for c in coarse))

    def descriptors(self, picture: np.ndarray) -> Tensor:
        """Of every pixel of a uint8 RGB picture [H, W, 3], each of length 1: [64, H, W]."""
        h, w = picture.shape[:2]
        size = [max(n // MULTIPLE, 1) * MULTIPLE for n in (h, w)]
        features = self(F.interpolate(torch.tensor(picture).permute(2, 0, 1)[None].float(), size, mode="bilinear"))
        return F.normalize(F.interpolate(F.normalize(features), (h, w), mode="bilinear"))[0]


def discs(point: np.ndarray, shape: tuple[int, int]) -> np.ndarray:
    """Where RegionDrag looks for a drag's content, bool [H, W]: discs around handle and target.

    Their radius is the drag's length over the root of 2, at least 5 pixels. `point`: handle x, y, target x, y.
    """
    y, x = np.mgrid[: shape[0], : shape[1]]
    hx, hy, tx, ty = point.tolist()
    radius = max(float(np.hypot(tx - hx, ty - hy)) / 2**0.5, MIN_RADIUS)
    return (np.hypot(x - hx, y - hy) < radius) | (np.hypot(x - tx, y - ty) < radius)


def landings(before: Tensor, after: Tensor, points: np.ndarray, in_discs: bool) -> np.ndarray:
    """Where each handle's descriptor is found in the result: its best match, pixels x, y, [N, 2].

    Args:
        before, after: descriptors [64, H, W] of photo and result.
        points: [N, 4] in pixels.
        in_discs: look only where `discs` says; else everywhere.
    """
    positions = []
    shape = (after.shape[1], after.shape[2])
    for point in points:
        x, y = (min(round(float(v)), n - 1) for v, n in zip(point[:2], shape[::-1]))
        similarity = torch.tensordot(before[:, y, x], after, 1).numpy()
        if in_discs:
            similarity = np.where(discs(point, shape), similarity, -np.inf)
        row, column = np.unravel_index(np.argmax(similarity), shape)
        positions.append((float(column), float(row)))
    return np.array(positions)
