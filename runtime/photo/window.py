"""The window: the part of the photo that the generator sees, of fixed sides and positions.

Sides are 256, 384, 512, 768, 1024, ... pixels; positions are multiples of an eighth of the side.
So nearby drags share one window, and with it the cached `reference` stage. Where a side is larger
than the photo, the window ends with the photo.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

FIRST_SIDE = 256
POSITIONS = 8  # window positions per side


@dataclass(frozen=True)
class Window:
    """A box of photo pixels and the generator's size (H, W) that it is resampled to."""

    top: int
    left: int
    height: int
    width: int
    size: tuple[int, int]

    @property
    def box(self) -> tuple[slice, slice]:
        """Index of the window in a photo [H, W, ...]."""
        return np.s_[self.top : self.top + self.height, self.left : self.left + self.width]

    @property
    def scale(self) -> np.ndarray:
        """Photo pixels in a generator pixel, (x, y)."""
        return np.array([self.width / self.size[1], self.height / self.size[0]], np.float32)

    def to_generator(self, xy: np.ndarray) -> np.ndarray:
        """Photo coordinates [..., 2] in generator pixels, both with pixel centres at whole numbers."""
        return ((xy - [self.left, self.top] + 0.5) / self.scale - 0.5).astype(np.float32)


def _sides() -> Iterator[int]:
    """Sides of windows, rising without end."""
    side = FIRST_SIDE
    while True:
        yield side
        yield side * 3 // 2
        side *= 2


def _place(low: int, high: int, side: int, length: int) -> int | None:
    """The position of a window of `side` that holds low..high (high excluded) of a photo's `length`, if any does."""
    if side >= length:
        return 0
    step = side // POSITIONS
    centred = (low + high - side) / 2
    start = min(max(round(centred / step) * step, 0), length - side)
    return start if start <= low and high <= start + side else None


def nearest_size(height: int, width: int, sizes: Sequence[tuple[int, int]]) -> tuple[int, int]:
    """The generator size (H, W) of the nearest aspect; of equals, the largest."""
    return min(sizes, key=lambda s: (abs(np.log(s[0] / s[1]) - np.log(height / width)), -s[0] * s[1]))


def window_around(
    box: tuple[slice, slice],
    shape: tuple[int, ...],
    points: np.ndarray,
    margin: float,
    sizes: Sequence[tuple[int, int]],
) -> Window:
    """The smallest window that holds a box and points with a margin.

    Args:
        box: rows and columns of a photo of `shape`.
        points: [N, 4] in photo pixels.
        margin: distance around them, as a share of the window's side; cut at the photo's border.
        sizes: the generator sizes (H, W) to pick from, by aspect.
    """
    height, width = shape[:2]
    rows, columns = box
    xs, ys = points[:, [0, 2]], points[:, [1, 3]]
    top, bottom = min(rows.start, int(ys.min())), max(rows.stop, int(np.ceil(ys.max())) + 1)
    left, right = min(columns.start, int(xs.min())), max(columns.stop, int(np.ceil(xs.max())) + 1)
    for side in _sides():
        around = round(margin * side)
        y = _place(max(top - around, 0), min(bottom + around, height), side, height)
        x = _place(max(left - around, 0), min(right + around, width), side, width)
        if x is not None and y is not None:
            h, w = min(side, height), min(side, width)
            size = nearest_size(h, w, sizes)
            return Window(int(y), int(x), h, w, size)
    raise AssertionError("a side larger than the photo always fits")
