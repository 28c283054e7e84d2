"""A drag at the generator's size: what it moves there, and what that may reveal."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import cv2
import numpy as np

from edgedrag.runtime.drag.flow import at_sides, rim
from edgedrag.runtime.hold.hold import FOUND_NAMES, Hold
from edgedrag.runtime.session.variants import ANSWER

CUT = 0.02  # of what is held, or of a given mask's edge; with more, what is held goes on beyond the mask
GROUND = 0.5  # of a given mask's edge: what holds more of it is what the mask lies on
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
    """A thing in a given mask: `held`, float32 [H, W] in 0..1, and whether it goes on beyond the mask or
    the picture."""

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


def thing_of(
    holds: tuple[Hold, ...], points: np.ndarray, mask: np.ndarray, in_window: Callable[[Hold], np.ndarray]
) -> Thing | None:
    """What the drags of a window that move something hold of a thing; None where all of them are pins.

    Where that lies along most of the edge of a mask, bool [H, W], it is what the mask was painted on, and the part is
    the thing.
    `in_window` gives what a hold holds there, float32 [H, W].
    """
    moving = [hold for hold, moves in zip(holds, moves(points)) if moves]
    if not moving:
        return None
    for answer in (ANSWER, FOUND_NAMES[0]):
        answers = [hold.answer(answer) for hold in moving]
        held = np.max([in_window(each) for each in answers], axis=0)
        if share_of_edge(held, mask) <= GROUND:
            break
    beyond = any(each.beyond > CUT for each in answers)
    return Thing(held, beyond or bool(at_sides(held > 0.5).any()))


def goes_on(held: np.ndarray, mask: np.ndarray) -> bool:
    """Whether what is held, float32 [H, W], goes on beyond a mask, bool [H, W]: it holds some of the mask's edge."""
    return share_of_edge(held, mask) > CUT


def share_of_edge(held: np.ndarray, mask: np.ndarray) -> float:
    """How much of a mask's edge is held; 0 where it has none."""
    edge = rim(mask)
    return float((held[edge] > 0.5).mean()) if edge.any() else 0.0
