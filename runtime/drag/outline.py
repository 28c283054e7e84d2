"""Whether a thing is seen to end at its outline.

Where a thing ends, an edge of the photo lies on its outline. Where none does, it is attached to more of the same, or
the hold is wrong: then it must not be cut out.
"""

from __future__ import annotations

import cv2
import numpy as np

from edgedrag.runtime.drag.composite import box_of
from edgedrag.runtime.drag.flow import rim, sample_list, wider

PLACES = (-2.5, 0.0, 2.5)  # generator pixels from the outline, outward, whose colours differ at an edge
BESIDE = 8  # generator pixels around what is held that are looked at
SMOOTH = 2.0  # Gaussian blur of what is held, whose gradient is the outline's normal
EDGE = 8.0  # difference in CIELAB from which on something is an edge
OPEN = 0.08  # of an outline: with more of it on no edge, a thing goes on


def is_distinct(held: np.ndarray, picture: np.ndarray) -> bool:
    """Whether an edge of a picture, uint8 RGB [H, W, 3], lies on the outline of what is held, float32 [H, W]."""
    if not rim(held > 0.5).any():
        return False
    box = box_of(wider(held > 0.5, BESIDE))
    held, picture = held[box], picture[box]
    outline = rim(held > 0.5)
    rows, columns = np.nonzero(outline)
    soft = cv2.GaussianBlur(held, (0, 0), SMOOTH)
    along = [cv2.Sobel(soft, cv2.CV_32F, *axis)[outline] for axis in ((1, 0), (0, 1))]
    length = np.maximum(cv2.magnitude(*along), 1e-6).ravel()
    across = np.stack([each.ravel() / -length for each in along])
    colour = cv2.cvtColor(cv2.GaussianBlur(picture, (0, 0), 1.0).astype(np.float32) / 255, cv2.COLOR_RGB2LAB)
    inside, at, outside = (
        sample_list(colour, *(np.stack([columns, rows]) + away * across).astype(np.float32)) for away in PLACES
    )
    apart = [np.linalg.norm(one - other, axis=1) for one, other in ((inside, at), (at, outside), (inside, outside))]
    return bool((np.max(apart, 0) < EDGE).mean() <= OPEN)


def outline_length(held: np.ndarray) -> float:
    """The outline of what is held, float32 [H, W], over the square root of its area: of a square 4, of a disc 4.4."""
    region = held > 0.5
    return float(rim(region).sum()) / max(float(region.sum()), 1.0) ** 0.5
