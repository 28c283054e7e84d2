"""A drag at the generator's size: what it moves there, and what that may reveal."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from edgedrag.runtime.drag.flow import rim
from edgedrag.runtime.hold.hold import Hold
from edgedrag.runtime.photo.window import Window
from edgedrag.runtime.session.variants import ANSWER

CUT = 0.02  # of what is held, or of a given mask's edge; with more, what is held goes on beyond the mask
REACHES = 16, 12  # generator pixels: the first of the lengths, each twice the one before; and beyond it, for soft edges


@dataclass(frozen=True)
class ScaledDrag:
    """A drag and its window at the generator's size.

    Attributes:
        picture: the window's, uint8 RGB [H, W, 3].
        mask: what may change, bool [H, W].
        points: [N, 4] in its pixels.
    """

    picture: np.ndarray
    mask: np.ndarray
    points: np.ndarray


@dataclass(frozen=True)
class Thing:
    """A thing in a given mask: `held`, float32 [H, W] in 0..1, and whether it goes on beyond the mask."""

    held: np.ndarray
    goes_on: bool


def within_reach(hole: np.ndarray, longest: float) -> np.ndarray:
    """The part of a hole, bool [H, W], that drags up to a length can reveal; the same for some range of lengths.

    What moves by a length reveals what is not further than that from the hole's outline.
    """
    reach = REACHES[0] * 2 ** max(0, int(np.ceil(np.log2(max(longest, 1e-6) / REACHES[0])))) + REACHES[1]
    padded = cv2.copyMakeBorder(hole.view(np.uint8), 1, 1, 1, 1, cv2.BORDER_REPLICATE)
    return hole & (cv2.distanceTransform(padded, cv2.DIST_L2, cv2.DIST_MASK_3)[1:-1, 1:-1] <= reach)


def moves(points: np.ndarray) -> np.ndarray:
    """Which drags move something, bool [N]: the others are pins."""
    return (points[:, :2] != points[:, 2:]).any(1)


def thing_of(holds: tuple[Hold, ...], points: np.ndarray, window: Window, picture: np.ndarray) -> Thing | None:
    """What the drags of a window that move something hold of a thing; None where all of them are pins."""
    things = [hold.answer(ANSWER) for hold, moves in zip(holds, moves(points)) if moves]
    if not things:
        return None
    held = np.max([thing.in_window(window, picture) for thing in things], axis=0)
    return Thing(held, any(thing.beyond > CUT for thing in things))


def goes_on(held: np.ndarray, mask: np.ndarray) -> bool:
    """Whether what is held, float32 [H, W], goes on beyond a mask, bool [H, W]: it holds some of the mask's edge."""
    edge = rim(mask)
    return bool(edge.any()) and float((held[edge] > 0.5).mean()) > CUT
