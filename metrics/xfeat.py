"""Mean distance (MD) of drag benchmarks: how far a handle's content lands from its target, by dense descriptors.

DragDiffusion (Shi et al., CVPR 2024) finds each handle's feature in the result and measures its distance to the
target; RegionDrag (Lu et al., ECCV 2024) searches only in discs around handle and target. They use features of Stable
Diffusion; this module uses XFeat (Potje et al., CVPR 2024), so its figures are not comparable with published ones.
Implemented from the paper and the shapes of the published weights.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from edgedrag.metrics.weights import XFEAT_FILE, fill, read_weights

MULTIPLE = 32  # pixels; sides are rounded down to a multiple of it
MIN_RADIUS = 5.0  # pixels, smallest radius of the discs
HEADS = ("heatmap_head", "keypoint_head", "fine_matcher")  # in the weight file, not needed for descriptors


def unit(inputs: int, outputs: int, kernel: int = 3, stride: int = 1) -> nn.Sequential:
    """Convolution, batch normalisation without affine parameters, ReLU."""
    convolution = nn.Conv2d(inputs, outputs, kernel, stride, kernel // 2, bias=False)
    return nn.Sequential(convolution, nn.BatchNorm2d(outputs, affine=False), nn.ReLU())


class XFeat(nn.Module):
    """XFeat's backbone with its published weights: a descriptor of 64 values for each 8 x 8 pixels.

    Attributes:
        sha256: of the weight file.
    """

    def __init__(self, folder: Path | None = None):
        """Load weights from `folder`, or else from the installed package. Raises InputError if there are none."""
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
        """Descriptors [B, 64, H/8, W/8] of pictures [B, 3, H, W] of any range; sides are multiples of 32."""
        grey = F.instance_norm(pictures.mean(1, keepdim=True))
        quarter = self.block2(self.block1(grey) + self.skip1(grey))
        eighth = self.block3(quarter)
        sixteenth = self.block4(eighth)
        coarse = (sixteenth, self.block5(sixteenth))
        return self.block_fusion(eighth + sum(F.interpolate(c, eighth.shape[2:], mode="bilinear") for c in coarse))

    def descriptors(self, picture: np.ndarray) -> Tensor:
        """Descriptors [64, H, W] of the pixels of a uint8 RGB picture [H, W, 3].

        They have unit length at the network's own cells, and less where enlarging mixes unlike neighbours: a match
        between cells counts less. Normalising them again is a laxer measure (docs/quality.md).
        """
        h, w = picture.shape[:2]
        size = [max(n // MULTIPLE, 1) * MULTIPLE for n in (h, w)]
        features = self(F.interpolate(torch.tensor(picture).permute(2, 0, 1)[None].float(), size, mode="bilinear"))
        return F.interpolate(F.normalize(features), (h, w), mode="bilinear")[0]


def discs(point: np.ndarray, shape: tuple[int, int]) -> np.ndarray:
    """RegionDrag's search area of a drag, bool [H, W]: discs around handle and target.

    The radius is the drag's length / sqrt(2), at least MIN_RADIUS. `point`: handle x, y, target x, y in pixels.
    """
    y, x = np.mgrid[: shape[0], : shape[1]]
    hx, hy, tx, ty = point.tolist()
    radius = max(float(np.hypot(tx - hx, ty - hy)) / 2**0.5, MIN_RADIUS)
    return (np.hypot(x - hx, y - hy) < radius) | (np.hypot(x - tx, y - ty) < radius)


def landings(before: Tensor, after: Tensor, points: np.ndarray, in_discs: bool) -> np.ndarray:
    """The best match of each handle's descriptor in the result, x, y in pixels, [N, 2].

    Args:
        before, after: descriptors [64, H, W] of photo and result.
        points: [N, 4] in pixels.
        in_discs: search only in `discs`, rather than everywhere.
    """
    positions = []
    shape = (after.shape[1], after.shape[2])
    for point in points:
        x, y = (min(int(v), n - 1) for v, n in zip(point[:2], shape[::-1]))
        similarity = torch.tensordot(before[:, y, x], after, 1).numpy()
        if in_discs:
            similarity = np.where(discs(point, shape), similarity, -np.inf)
        row, column = np.unravel_index(np.argmax(similarity), shape)
        positions.append((float(column), float(row)))
    return np.array(positions)
