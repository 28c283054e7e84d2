"""What moves with a point of a photo, as a soft map that follows the photo's edges."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import cv2
import numpy as np

from edgedrag.runtime.drag.composite import Box, box_of, enlarge
from edgedrag.runtime.hold.guided_filter import RADIUS, apply_coefficients
from edgedrag.runtime.hold.view import PhotoView
from edgedrag.runtime.photo.picture import as_rgb8
from edgedrag.runtime.photo.window import Window

NAMES = ("part", "thing", "group")  # of the answers, in order of size
DEFAULT = "group"  # the answer with the best overlap with what truly moves, docs/hold.md
FINGER = 2  # pixels of the low resolution around the point that are held in any case
ISLAND = 0.2  # of what is held around it; smaller islands are held too
FLAT = 1e-3  # coefficients that differ by less give one value
TILE = 128  # pixels
CONTRAST = 2.0  # factor on the distance of the filtered map from a half, which restores its soft edge's width


@dataclass(frozen=True, eq=False, repr=False)
class Hold:
    """What moves with a point.

    Attributes:
        name: one of NAMES: the part that moves as the point does, the whole thing, or the group of things around it
            that move too.
        point: x and y in pixels of the photo.
        box: rows and columns of the photo outside which nothing is held.
        alternatives: all the answers for the point, each one within the next; none in an alternative itself.
        low: the map of the whole photo at low resolution, float32 [h, w] in 0..1.
    """

    name: str
    point: tuple[float, float]
    box: Box
    alternatives: tuple[Hold, ...]
    low: np.ndarray
    _photo: np.ndarray
    _coefficients: np.ndarray  # of the guided filter, [h, w, 4], of the whole photo
    _mask: np.ndarray | None  # bool [H, W]

    def __repr__(self) -> str:
        rows, columns = self.box
        where = f"rows {rows.start} to {rows.stop}, columns {columns.start} to {columns.stop}"
        return f"<Hold of a {self.name} at ({self.point[0]:g}, {self.point[1]:g}): {where}>"

    @cached_property
    def map(self) -> np.ndarray:
        """How much of each pixel of the box is held, float32 [h, w] in 0..1; computed when it is first asked for."""
        rows, columns = self.box
        found = np.empty((rows.stop - rows.start, columns.stop - columns.start), np.float32)
        for tile in tiles(self.box):
            inner = tuple(slice(t.start - b.start, t.stop - b.start) for t, b in zip(tile, self.box))
            found[inner] = self._tile(tile)
        x, y = (round(v) for v in self.point)
        found[y - rows.start, x - columns.start] = 1
        return found

    def answer(self, name: str) -> Hold:
        """The alternative of a name of NAMES."""
        return self.alternatives[NAMES.index(name)]

    def in_window(self, window: Window, picture: np.ndarray) -> np.ndarray:
        """The map in a window of the photo at the generator's size, float32 [H, W], of its `picture` (uint8 RGB).

        Softer than `map`: what is less sure to be held follows a motion less.
        """
        height, width = self._photo.shape[:2]
        rows, columns = self._coefficients.shape[:2]
        to_view = np.array([columns / width, rows / height]) * window.scale
        corner = np.array([window.left * columns / width, window.top * rows / height]) + 0.5 * to_view - 0.5
        affine = np.array([[to_view[0], 0, corner[0]], [0, to_view[1], corner[1]]])
        size = (window.size[1], window.size[0])
        flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
        found = cv2.warpAffine(self._coefficients, affine, size, flags=flags, borderMode=cv2.BORDER_REPLICATE)
        return np.clip(apply_coefficients(picture, found), 0, 1)

    @property
    def photo_shape(self) -> tuple[int, int]:
        """Height and width of the photo."""
        return self._photo.shape[0], self._photo.shape[1]

    def _tile(self, tile: Box) -> np.ndarray | float:
        """The map in a part of the photo; one number where it is the same everywhere: away from the hold's edge."""
        shape = self._photo.shape[:2]
        under = tuple(
            slice(max(0, part.start * n // long - 1), part.stop * n // long + 2)
            for part, n, long in zip(tile, self._coefficients.shape, shape)
        )
        near = self._coefficients[under].reshape(-1, 4)
        lowest, highest = near.min(0), near.max(0)
        if (highest - lowest).max() < FLAT and abs(lowest[:3]).max() < FLAT:
            soft: Any = lowest[3]
        else:
            soft = apply_coefficients(as_rgb8(self._photo[tile]), enlarge(self._coefficients, shape, tile))
        soft = sharpened(soft)
        return soft if self._mask is None else soft * self._mask[tile]

    @property
    def share(self) -> float:
        """How much of the photo is held, 0..1."""
        return float(self.map.sum()) / (self._photo.shape[0] * self._photo.shape[1])

    def on_photo(self) -> np.ndarray:
        """The map on the whole photo, float32 [H, W]; 0 outside the box."""
        whole = np.zeros(self._photo.shape[:2], np.float32)
        whole[self.box] = self.map
        return whole


def sharpened(soft: Any) -> Any:
    """Values of the filtered map in 0..1, with the soft edge's width restored."""
    return np.clip((soft - 0.5) * CONTRAST + 0.5, 0, 1)


def make_hold(view: PhotoView, point: np.ndarray, answers: np.ndarray, mask: np.ndarray | None) -> Hold:
    """The hold at a point, from answers at low resolution.

    Args:
        point: as `check_point` gives it, inside the mask.
        answers: float32 [3, h, w] at the size of `view.picture`, in 0..1, held from a half on, in the order of NAMES.
        mask: bool [H, W], which bounds it.
    """
    if mask is not None:
        answers = answers * cv2.resize(mask.astype(np.float32), view.size[::-1], interpolation=cv2.INTER_AREA)
    at = np.clip(np.rint(view.to_size(point, view.size)).astype(int), 0, np.array(view.size[::-1]) - 1)
    held = tuple(
        _one_answer(view, point, name, around_point(answer, at), mask)
        for name, answer in zip(NAMES, np.maximum.accumulate(answers))
    )
    chosen = held[NAMES.index(DEFAULT)]
    return replace(chosen, alternatives=held)


def around_point(answer: np.ndarray, at: np.ndarray) -> np.ndarray:
    """What of an answer [h, w] is held and connected with the point at a pixel `at` (x, y), float32, 0 or 1."""
    held = (answer >= 0.5).astype(np.uint8)
    cv2.circle(held, at.tolist(), FINGER, 1, -1)
    _, pieces = cv2.connectedComponents(held)
    return (pieces == pieces[at[1], at[0]]).astype(np.float32)


def enclosed(piece: np.ndarray) -> np.ndarray:
    """1 where a piece (uint8 {0, 1} [h, w]) encloses pixels that are not its own, in islands smaller than ISLAND."""
    _, islands, stats, _ = cv2.connectedComponentsWithStats(1 - piece, connectivity=4)
    height, width = piece.shape
    left, top = stats[:, cv2.CC_STAT_LEFT], stats[:, cv2.CC_STAT_TOP]
    right, bottom = left + stats[:, cv2.CC_STAT_WIDTH], top + stats[:, cv2.CC_STAT_HEIGHT]
    inside = (left > 0) & (top > 0) & (right < width) & (bottom < height)
    inside &= stats[:, cv2.CC_STAT_AREA] < ISLAND * piece.sum()
    inside[0] = False  # the piece itself
    return inside[islands].astype(np.float32)


def _one_answer(view: PhotoView, point: np.ndarray, name: str, answer: np.ndarray, mask: np.ndarray | None) -> Hold:
    coefficients = view.guided_filter.coefficients(answer)
    # The filter, and what enlarges its coefficients, reach this far.
    reach = 4 * RADIUS + 3
    near = cv2.dilate((answer > 0).astype(np.uint8), np.ones((reach, reach), np.uint8))
    box = _on_photo(box_of(near), view)
    x, y = (float(v) for v in point)
    return Hold(
        name, (x, y), box, (), sharpened(apply_coefficients(view.picture, coefficients)), view.photo, coefficients, mask
    )


def _on_photo(box: Box, view: PhotoView) -> Box:
    """The pixels of the photo that a box of its low resolution covers."""
    rows, columns = (
        slice(part.start * long // short, -(-part.stop * long // short))
        for part, long, short in zip(box, view.shape, view.size)
    )
    return rows, columns


def tiles(box: Box) -> Iterator[Box]:
    """A box in tiles of TILE x TILE pixels, from the top left."""
    rows, columns = box
    for top in range(rows.start, rows.stop, TILE):
        for left in range(columns.start, columns.stop, TILE):
            yield slice(top, min(top + TILE, rows.stop)), slice(left, min(left + TILE, columns.stop))
