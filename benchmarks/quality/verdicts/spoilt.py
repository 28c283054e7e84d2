"""Copies of a good edit that are not worth keeping, by what a person need not judge."""

from __future__ import annotations

import cv2
import numpy as np

from edgedrag.runtime.drag.composite import Generated
from edgedrag.runtime.drag.flow import warp
from edgedrag.runtime.drag.measures import measure
from edgedrag.runtime.photo.picture import as_rgb8
from edgedrag.runtime.session.edit import Edit

SIDE = 512  # pixels, the longest side at which copies are measured
BLUR = 1.5  # pixels, standard deviation
SHORT = 6.0  # pixels; after a shorter drag an unmoved photo may be kept


def spoil(photo: np.ndarray, edit: Edit, points: np.ndarray) -> dict[str, dict[str, float]]:
    """The measures of spoilt copies of an edit, by how they were spoilt.

    `blurred` in the mask; `unmoved`, the photo itself; `pasted`, the mask's content moved by the first drag with a hard
    edge.

    Args:
        photo: before the edit, any picture form. points: [N, 4] in its pixels.
    """
    scale = min(1.0, SIDE / max(photo.shape[:2]))
    before, after = (resized(as_rgb8(picture), scale) for picture in (photo, edit.image))
    mask = resized(edit.mask.astype(np.uint8) * 255, scale) > 127
    points, inside = points * scale, mask[..., None]
    copies = {"blurred": np.where(inside, cv2.GaussianBlur(after, (0, 0), BLUR), after)}
    if np.hypot(*(points[:, 2:] - points[:, :2]).T).max() > SHORT:
        shift = np.broadcast_to((points[0, :2] - points[0, 2:]).astype(np.float32), (*mask.shape, 2))
        copies |= {"unmoved": before, "pasted": np.where(inside, warp(before, shift), before)}
    without_flow = Generated(None, None, None)
    return {how: dict(measure(before, copy, mask, points, without_flow).values) for how, copy in copies.items()}


def resized(picture: np.ndarray, scale: float) -> np.ndarray:
    return cv2.resize(picture, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
