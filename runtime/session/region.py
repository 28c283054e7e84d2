"""The part of a photo that drags may change.

A preview needs it at the generator's size alone: in a photo of many megapixels it is looked up there, and the mask of
all pixels is made when an edit is, which at 12 megapixels takes 6 ms. What is looked up differs from that mask at its
edge, so that small photos, whose mask takes less, have the mask in both.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import cv2
import numpy as np

from edgedrag.runtime.drag.composite import Box, box_of
from edgedrag.runtime.errors import InputError
from edgedrag.runtime.hold.hold import Hold
from edgedrag.runtime.hold.region import on_photo, swept
from edgedrag.runtime.photo.window import Window
from edgedrag.runtime.session.generator_size import mask_to_generator_size
from edgedrag.runtime.session.history import Start, chain
from edgedrag.runtime.session.start import region_of

LARGE = 2**21  # pixels of a photo from which on it is looked up
TIMES = 2  # in each generator pixel, along each side


@dataclass(frozen=True, eq=False)
class Region:
    """What may change.

    Attributes:
        shape: height and width of the photo.
        low: uint8 {0, 1} [h, w], what is held and where it goes, see `hold.region.swept`.
        start: what the drags start from: what they go on with is in the region too.
        protected: bool [H, W], what is not in it.
    """

    shape: tuple[int, int]
    low: np.ndarray
    start: Start | None = None
    protected: np.ndarray | None = None

    @classmethod
    def moved(cls, holds: Sequence[Hold], start: Start) -> Region:
        """What drags hold and where it goes; `holds` has one for each of them."""
        return cls(holds[0].photo_shape, swept(holds, start.points), start)

    @classmethod
    def given(cls, mask: np.ndarray) -> Region:
        """A mask, bool [H, W]."""
        return cls((mask.shape[0], mask.shape[1]), mask)

    def without(self, protected: np.ndarray | None) -> Region:
        """The same without what is protected, bool [H, W]. Raises InputError where nothing remains."""
        if protected is None:
            return self
        left = replace(self, protected=protected)
        if not left._is_large:
            left._check(left.mask)
        return left

    @cached_property
    def mask(self) -> np.ndarray:
        """bool [H, W], not empty. Raises InputError where all of it is protected."""
        whole = self.low if self.start is None else on_photo(self.low, self.shape, self.start.points)
        if self.start is not None and self.start.continues is not None:
            whole |= region_of(self.start)
        if self.protected is None:
            return whole
        return self._check(whole & ~self.protected)

    @property
    def box(self) -> Box:
        """Rows and columns that hold it."""
        if not self._is_large:
            return box_of(self.mask)
        assert self.start is not None, "a given mask is not looked up"
        rows, columns = (
            slice(low.start * long // short, -(-low.stop * long // short))
            for low, long, short in zip(box_of(self.low > 0), self.shape, self.low.shape)
        )
        boxes = [(rows, columns), *(entry.box for entry in chain(self.start.continues))]
        rows, columns = (slice(min(s.start for s in side), max(s.stop for s in side)) for side in zip(*boxes))
        return rows, columns

    def in_window(self, window: Window) -> np.ndarray:
        """Where any of it is, at the window's `size`, bool [H, W]. Raises InputError where all is protected.

        In a large photo: at one of the TIMES x TIMES places that are looked up in each pixel.
        """
        if not self._is_large:
            return mask_to_generator_size(self.mask[window.box], window.size)
        assert self.start is not None, "a given mask is not looked up"
        rows, columns = (TIMES * side for side in window.size)
        to_low = np.array([self.low.shape[1] / self.shape[1], self.low.shape[0] / self.shape[0]])
        scale = to_low * window.scale / TIMES
        affine = np.column_stack([np.diag(scale), to_low * [window.left, window.top] + 0.5 * scale - 0.5])
        flags, low = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP, self.low.astype(np.float32)
        found = cv2.warpAffine(low, affine, (columns, rows), flags=flags, borderMode=cv2.BORDER_REPLICATE) > 0.5
        ends = np.rint((self.start.points.reshape(-1, 2) - [window.left, window.top]) * TIMES / window.scale).astype(
            int
        )
        found[tuple(np.clip(ends, 0, [columns - 1, rows - 1]).T[::-1])] = True
        if self.start.continues is not None:
            found |= _looked_up(region_of(self.start)[window.box], found.shape)
        if self.protected is not None:
            found &= ~_looked_up(self.protected[window.box], found.shape)
        shares = cv2.resize(found * np.uint8(255), window.size[::-1], interpolation=cv2.INTER_AREA)
        return self._check(shares > 0)

    @property
    def _is_large(self) -> bool:
        return self.start is not None and self.shape[0] * self.shape[1] >= LARGE

    def _check(self, left: np.ndarray) -> np.ndarray:
        if not left.any():
            raise InputError("all that these drags could change is protected; take some of the protection away")
        return left


def _looked_up(mask: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    """A mask, bool, at places evenly spread over it, bool [h, w]."""
    return cv2.resize(mask.view(np.uint8), shape[::-1], interpolation=cv2.INTER_NEAREST).view(bool)
