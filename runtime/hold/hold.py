"""What moves with a point of a photo."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from functools import cached_property
from itertools import accumulate

import cv2
import numpy as np

from edgedrag.runtime.drag.composite import Box
from edgedrag.runtime.drag.flow import enclosed
from edgedrag.runtime.errors import InputError
from edgedrag.runtime.hold.guided_filter import apply_coefficients
from edgedrag.runtime.hold.matte import matted
from edgedrag.runtime.hold.soft_map import SoftMap
from edgedrag.runtime.hold.view import PhotoView
from edgedrag.runtime.photo.window import Window

FOUND_NAMES = ("part", "thing", "group")  # the answers that are found, in order of size
NAMES = (*FOUND_NAMES, "neighbourhood")  # all of them: the last is the group with what lies around it
SURE = {"thing": 0.9, "group": 0.77}  # of these answers: what is less sure is held but does not move, docs/hold.md
DEFAULT = "group"  # the answer with the best overlap with what truly moves, docs/hold.md
FINGER = 2  # pixels of the low resolution around the point that are held in any case
ISLAND = 0.2  # of what is held around it; smaller islands are held too
PIECE = 2  # the value of the piece that is connected with the point
NEAR = 0.045  # of the photo's shorter side: how far around the group its neighbourhood is held; docs/hold.md
SAMPLES = 4  # rows and columns of a mask that are looked at for a pixel of the low resolution
AROUND = 2  # pixels of the low resolution around what is held that may follow a little


@dataclass(frozen=True, eq=False, repr=False)
class Hold:
    """What moves with a point.

    Attributes:
        name: one of NAMES: the part that moves as the point does, the whole thing, the group of things around it that
            move too, or that and its neighbourhood, which gives way softly.
        point: x and y in pixels of the photo.
        alternatives: all the answers for the point, from the smallest to the largest; each holds what the one before
            it holds, but for soft edges. None in an alternative itself.
        follows: float32 [h, w] in 0..1, of the whole photo at low resolution: how far each pixel follows a motion,
            less where it is less sure to be held.
        beyond: share of what is held that lies outside the mask that bounds it; 0 without one.
    """

    name: str
    point: tuple[float, float]
    alternatives: tuple[Hold, ...]
    follows: np.ndarray
    beyond: float
    _soft: SoftMap
    _view: PhotoView
    _sure: dict[str, Hold] = field(default_factory=dict)

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

    def answer(self, name: str) -> Hold:
        """The alternative of a name of NAMES."""
        return self.alternatives[NAMES.index(name)]

    def sure_answer(self, name: str) -> Hold:
        """What of the alternative of a name moves where no mask is given: what is less sure to be held stays."""
        if name not in SURE:
            return self.answer(name)
        if name not in self._sure:
            held, part = self.answer(name), self.answer(NAMES[0])
            sure = around_point(held.follows, pixel_at(self._view, np.array(self.point)), SURE[name])
            follows = follows_of(held.follows, np.maximum(sure, part.follows >= 0.5))
            self._sure[name] = replace(held, follows=follows, _sure={})
        return self._sure[name]

    @cached_property
    def _coefficients(self) -> np.ndarray:
        return self._view.guided_filter.coefficients(self.follows)

    def in_window(self, window: Window, picture: np.ndarray) -> np.ndarray:
        """`follows` in a window at the generator's size, with its `picture`'s edges (uint8 RGB); float32 [H, W]."""
        (height, width), (rows, columns) = self.photo_shape, self._coefficients.shape[:2]
        to_view = np.array([columns / width, rows / height]) * window.scale
        corner = np.array([window.left * columns / width, window.top * rows / height]) + 0.5 * to_view - 0.5
        affine = np.array([[to_view[0], 0, corner[0]], [0, to_view[1], corner[1]]])
        size, flags = (window.size[1], window.size[0]), cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
        found = cv2.warpAffine(self._coefficients, affine, size, flags=flags, borderMode=cv2.BORDER_REPLICATE)
        return np.clip(apply_coefficients(picture, found), 0, 1)

    def on_medium(self) -> np.ndarray:
        """`follows` on the whole photo at the size of `PhotoView.medium`, with its edges; float32 [h, w]."""
        medium = self._view.medium
        return matted(medium, self.in_window(Window(0, 0, *self.photo_shape, medium.shape[:2]), medium))

    @property
    def photo_shape(self) -> tuple[int, int]:
        """Height and width of the photo."""
        return self._view.shape

    def on_photo(self) -> np.ndarray:
        """The map on the whole photo, float32 [H, W]; 0 outside the box."""
        return self._soft.on_photo()


def check_answer(name: object) -> None:
    """Raise InputError where something is not the name of an answer."""
    if name not in NAMES:
        raise InputError(f"answer: {name!r:.80} is none; there are: {', '.join(NAMES)}")


def make_hold(view: PhotoView, point: np.ndarray, answers: np.ndarray, mask: np.ndarray | None) -> Hold:
    """The hold at a point, from answers at low resolution.

    Args:
        point: x and y in pixels of the photo, inside the mask.
        answers: float32 [3, h, w] at the size of `view.picture`, in 0..1, held from a half on, by FOUND_NAMES.
        mask: bool [H, W], which bounds it.
    """
    inside = np.float32(1)
    if mask is not None:
        most = [min(n, SAMPLES * small) for n, small in zip(mask.shape, view.size)]
        seen = cv2.resize(mask.view(np.uint8), most[::-1], interpolation=cv2.INTER_NEAREST).astype(np.float32)
        inside = cv2.resize(seen, view.size[::-1], interpolation=cv2.INTER_AREA)
    at = pixel_at(view, point)
    x, y = point.tolist()

    def one(name: str, answer: np.ndarray) -> Hold:
        region, beyond = around_point(answer, at, 0.5), 0.0
        if mask is not None:
            beyond = 1 - float((region * inside).sum() / region.sum())
            answer = answer * inside
            region = around_point(answer, at, 0.5)
        follows = follows_of(answer, region) if name in FOUND_NAMES else answer
        return Hold(name, (x, y), (), follows, beyond, SoftMap(view, region, point, mask), view)

    nested = list(accumulate(answers, np.maximum))
    nested.append(neighbourhood(around_point(nested[-1], at, 0.5), NEAR * min(view.size)))
    held = tuple(one(name, answer) for name, answer in zip(NAMES, nested))
    return replace(held[NAMES.index(DEFAULT)], alternatives=held)


def neighbourhood(region: np.ndarray, near: float) -> np.ndarray:
    """A region, float32 0 or 1 [h, w], with what lies around it: a half at a distance of `near`, 0 at twice that."""
    away = cv2.distanceTransform((region == 0).astype(np.uint8), cv2.DIST_L2, 5)
    return np.clip(1 - away / np.float32(2 * near), 0, 1)


def pixel_at(view: PhotoView, point: np.ndarray) -> np.ndarray:
    """The pixel (x, y) of the low resolution at a point of the photo."""
    return np.clip(np.rint(view.to_size(point, view.size)).astype(int), 0, np.array(view.size[::-1]) - 1)


def follows_of(answer: np.ndarray, region: np.ndarray) -> np.ndarray:
    """An answer [h, w] in a region, float32 0 or 1, and close around it; see `Hold.follows`."""
    near = cv2.dilate(region, np.ones((2 * AROUND + 1, 2 * AROUND + 1), np.uint8))
    return np.where((region > 0) & (answer < 0.5), 1, answer * near).astype(np.float32)


def around_point(answer: np.ndarray, at: np.ndarray, level: float) -> np.ndarray:
    """What of an answer [h, w] is held from a level on and connected with the point at a pixel `at` (x, y).

    float32 [h, w], 0 or 1. Small islands that it encloses are held too.
    """
    held = (answer >= level).astype(np.uint8)
    cv2.circle(held, at.tolist(), FINGER, 1, -1)
    cv2.floodFill(held, None, at.tolist(), PIECE, flags=8)
    piece = held == PIECE
    return (piece | enclosed(piece, ISLAND * np.count_nonzero(piece))).astype(np.float32)
