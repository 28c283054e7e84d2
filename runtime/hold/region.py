"""The part of a photo that drags may change: what they hold, where it is and where it goes."""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np

from edgedrag.runtime.hold.hold import Hold
from edgedrag.runtime.photo.sparse import resize_sparse

LEVEL = 0.05  # of what is held
MARGIN = 0.03  # of the low resolution's longer side, around what moves
WAY_STEP = 0.02  # of the longer side, between places on the way from handle to target


def swept(holds: Sequence[Hold], points: np.ndarray) -> np.ndarray:
    """What each drag holds, swept from its handle to its target, with a margin; uint8 {0, 1} [h, w].

    It is at the holds' low resolution: a pixel of the photo is in it where that, resampled bilinearly, is above a half.

    Args:
        holds: one for each drag.
        points: [N, 4] in pixels of the photo.
    """
    height, width = holds[0].photo_shape
    rows, columns = holds[0].follows.shape
    region = np.zeros((rows, columns), np.uint8)
    longer = max(rows, columns)
    for hold, drag in zip(holds, points):
        held = (hold.follows > LEVEL).astype(np.uint8)
        shift = (drag[2:] - drag[:2]) * [columns / width, rows / height]
        steps = 1 + int(np.hypot(*shift) / (WAY_STEP * longer))
        for step in range(steps + 1):
            affine = np.column_stack([np.eye(2), shift * step / steps])
            np.maximum(region, cv2.warpAffine(held, affine, (columns, rows), flags=cv2.INTER_NEAREST), out=region)
    around = 2 * max(1, round(MARGIN * longer)) + 1
    return cv2.dilate(region, cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (around, around)))


def on_photo(low: np.ndarray, shape: tuple[int, int], points: np.ndarray) -> np.ndarray:
    """`swept` on the photo, bool [H, W]; each handle and target of points [N, 4] is in it."""
    whole = resize_sparse(low, shape, cv2.INTER_LINEAR, np.float32(1)) > 0.5
    ends = np.rint(points.reshape(-1, 2)).astype(int)
    whole[ends[:, 1], ends[:, 0]] = True
    return whole
