"""Whether a thing is seen to end at its outline, so that it moves as one and leaves its ground.

Where a thing ends, an edge of the photo lies on its outline. Where none does, it is attached to more of the same, or
the hold is wrong: then it must not be cut out. What is pulled little may bend or give way all the same, and that is
right more often. Lengths are in generator pixels, or where it says so in sizes: square roots of the held area.
"""

from __future__ import annotations

import cv2
import numpy as np

from edgedrag.runtime.drag.composite import box_of
from edgedrag.runtime.drag.flow import longest, rim, sample_list, turn_and_growth, wider

PLACES = (-2.5, 0.0, 2.5)  # from the outline, outward, whose colours differ at an edge
BESIDE = 8  # around what is held that is looked at
SMOOTH = 2.0  # Gaussian blur of what is held, whose gradient is the outline's normal
EDGE = 8.0  # difference in CIELAB from which on something is an edge
CUT = 4  # around a mask's edge, within which it cuts what is held
OWN = 0.75  # of an outline, which a mask must leave
OPEN = 0.08  # of an outline: with more of it on no edge, a thing goes on

WHOLE_FROM, WHOLE = 0.1, 0.25  # sizes: drags between which a thing moves more and more as one
COMPACT, LESS_COMPACT = 5.2, 6.8  # sizes: the longest outline of such a thing, since limbs and levers have longer ones
FAR = 0.7  # sizes: of drags from which on it may be LESS_COMPACT

LIFTED_FROM = 12.0  # drags in a mask from which on a thing is lifted,
LIFTED, LIFTED_TURNING = 0.2, 0.1  # sizes: if they have as many too; or as many, and turn it
LEAST = 0.02  # of a mask: what is held less is not what it was painted around


def moved_whole(points: np.ndarray, held: np.ndarray, picture: np.ndarray) -> float:
    """The share of drags that all of what they hold follows where no mask is given, 0..1.

    Args:
        points: [N, 4]. held: float32 [H, W] in 0..1. picture: uint8 RGB [H, W, 3].
    """
    far = longest(points) / size_of(held)
    if far <= WHOLE_FROM or outline_length(held) > (LESS_COMPACT if far > FAR else COMPACT):
        return 0.0
    return min((far - WHOLE_FROM) / (WHOLE - WHOLE_FROM), 1.0) if is_distinct(held, picture) else 0.0


def is_lifted(points: np.ndarray, held: np.ndarray, mask: np.ndarray, picture: np.ndarray) -> bool:
    """Whether what drags hold in a given mask, bool [H, W], moves before its ground; the rest as in `moved_whole`."""
    size = size_of(held)
    far = longest(points) > max(LIFTED_FROM, (LIFTED_TURNING if turns(points) else LIFTED) * size)
    return far and size**2 >= LEAST * mask.sum() and is_distinct(held, picture, mask)


def is_distinct(held: np.ndarray, picture: np.ndarray, mask: np.ndarray | None = None) -> bool:
    """Whether an edge of a picture, uint8 RGB [H, W, 3], lies on the outline of what is held, float32 [H, W].

    Where a mask, bool [H, W], cuts what is held, no edge is needed; most of the outline must be the thing's own.
    """
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
    on_edge = np.max(apart, 0) >= EDGE
    cut = np.zeros_like(on_edge) if mask is None else wider(rim(mask), CUT)[box][outline]
    own = on_edge | ~cut
    return bool(own.sum() >= OWN * len(own) and (own & ~on_edge).sum() <= OPEN * own.sum())


def turns(points: np.ndarray) -> bool:
    """Whether drags [N, 4] turn what they hold more than they change its size."""
    rotation, growth = turn_and_growth(points[:, :2], points[:, 2:] - points[:, :2])
    return bool(abs(rotation) > abs(growth))


def outline_length(held: np.ndarray) -> float:
    """The outline of what is held, float32 [H, W], in sizes: of a square 4, of a disc of pixels 4.4."""
    return float(rim(held > 0.5).sum()) / size_of(held)


def size_of(held: np.ndarray) -> float:
    """The square root of the held area, float32 [H, W]; 1 where nothing is held."""
    return max(float((held > 0.5).sum()), 1.0) ** 0.5
