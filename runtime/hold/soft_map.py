"""A region at low resolution as a soft map of native pixels, which follows the photo's own edges."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cached_property
from typing import Any

import cv2
import numpy as np

from edgedrag.runtime.drag.composite import Box, box_of, enlarge
from edgedrag.runtime.hold.guided_filter import RADIUS, apply_coefficients
from edgedrag.runtime.hold.view import PhotoView
from edgedrag.runtime.photo.picture import as_rgb8

FLAT = 1e-3  # coefficients that differ by less give one value
TILE = 128  # pixels
CONTRAST = 2.0  # factor on the distance of the filtered map from a half, which restores its soft edge's width


class SoftMap:
    """What is held of a photo.

    Attributes:
        box: rows and columns of the photo outside which nothing is held.
    """

    def __init__(self, view: PhotoView, region: np.ndarray, point: np.ndarray, mask: np.ndarray | None):
        """
        Args:
            region: float32 [h, w] at the size of `view.picture`, 0 or 1, not empty.
            point: x and y in pixels of the photo; held in any case.
            mask: bool [H, W]; nothing outside it is held.
        """
        self._photo, self._point, self._mask = view.photo, point, mask
        self._view, self._region = view, region

    @cached_property
    def box(self) -> Box:
        # The filter, and what enlarges its coefficients, reach this far.
        near = cv2.dilate(self._region, np.ones((4 * RADIUS + 3, 4 * RADIUS + 3), np.uint8)) > 0
        return on_photo(box_of(near), self._view)

    @cached_property
    def _coefficients(self) -> np.ndarray:
        return self._view.guided_filter.coefficients(self._region)

    @cached_property
    def map(self) -> np.ndarray:
        """How much of each pixel of the box is held, float32 [h, w] in 0..1; computed when it is first asked for."""
        rows, columns = self.box
        found = np.empty((rows.stop - rows.start, columns.stop - columns.start), np.float32)
        for tile in tiles(self.box):
            inner = tuple(slice(t.start - b.start, t.stop - b.start) for t, b in zip(tile, self.box))
            found[inner] = self._tile(tile)
        x, y = (round(v) for v in self._point.tolist())
        found[y - rows.start, x - columns.start] = 1
        return found

    def on_photo(self) -> np.ndarray:
        """The map on the whole photo, float32 [H, W]; 0 outside the box."""
        whole = np.zeros(self._photo.shape[:2], np.float32)
        whole[self.box] = self.map
        return whole

    def _tile(self, tile: Box) -> np.ndarray | float:
        """The map in a part of the photo; one number where it is the same everywhere: away from the region's edge."""
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
        soft = np.clip((soft - 0.5) * CONTRAST + 0.5, 0, 1)
        return soft if self._mask is None else soft * self._mask[tile]


def on_photo(box: Box, view: PhotoView) -> Box:
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
