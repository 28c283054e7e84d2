"""What moves with a point of a photo."""

from __future__ import annotations

from dataclasses import dataclass, replace

import cv2
import numpy as np

from edgedrag.runtime.drag.composite import Box
from edgedrag.runtime.hold.soft_map import SoftMap
from edgedrag.runtime.hold.view import PhotoView

NAMES = ("part", "thing", "group")  # of the answers, in order of size
DEFAULT = "group"  # the answer with the best overlap with what truly moves, docs/hold.md
FINGER = 2  # pixels of the low resolution around the point that are held in any case


@dataclass(frozen=True, eq=False, repr=False)
class Hold:
    """What moves with a point.

    Attributes:
        name: one of NAMES: the part that moves as the point does, the whole thing, or the group of things around it
            that move too.
        point: x and y in pixels of the photo.
        alternatives: all the answers for the point, from the smallest to the largest; each holds what the one before
            it holds, but for soft edges. None in an alternative itself.
    """

    name: str
    point: tuple[float, float]
    alternatives: tuple[Hold, ...]
    _soft: SoftMap

    def __repr__(self) -> str:
        rows, columns = self.box
        where = f"rows {rows.start} to {rows.stop}, columns {columns.start} to {columns.stop}"
        return f"<Hold of a {self.name} at ({self.point[0]:g}, {self.point[1]:g}): {where}>"

    @property
    def box(self) -> Box:
        """Rows and columns of the photo outside which nothing is held."""
        return self._soft.box

    @property
    def map(self) -> np.ndarray:
        """How much of each pixel of the box is held, float32 [h, w] in 0..1; computed when it is first asked for."""
        return self._soft.map

    def on_photo(self) -> np.ndarray:
        """The map on the whole photo, float32 [H, W]; 0 outside the box."""
        return self._soft.on_photo()


def make_hold(view: PhotoView, point: np.ndarray, answers: np.ndarray, mask: np.ndarray | None) -> Hold:
    """The hold at a point, from answers at low resolution.

    Args:
        point: x and y in pixels of the photo, inside the mask.
        answers: float32 [3, h, w] at the size of `view.picture`, in 0..1, held from a half on, in the order of NAMES.
        mask: bool [H, W], which bounds it.
    """
    if mask is not None:
        answers = answers * cv2.resize(mask.astype(np.float32), view.size[::-1], interpolation=cv2.INTER_AREA)
    at = np.clip(np.rint(view.to_size(point, view.size)).astype(int), 0, np.array(view.size[::-1]) - 1)
    x, y = point.tolist()
    held = tuple(
        Hold(name, (x, y), (), SoftMap(view, around_point(answer, at), point, mask))
        for name, answer in zip(NAMES, np.maximum.accumulate(answers))
    )
    return replace(held[NAMES.index(DEFAULT)], alternatives=held)


def around_point(answer: np.ndarray, at: np.ndarray) -> np.ndarray:
    """What of an answer [h, w] is held and connected with the point at a pixel `at` (x, y), float32, 0 or 1."""
    held = (answer >= 0.5).astype(np.uint8)
    cv2.circle(held, at.tolist(), FINGER, 1, -1)
    _, pieces = cv2.connectedComponents(held)
    return (pieces == pieces[at[1], at[0]]).astype(np.float32)
