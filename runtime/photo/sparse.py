"""Resizing of masks that are empty in most places, as a drag's in a large photo is: only the rest is resized."""

from __future__ import annotations

from math import gcd

import cv2
import numpy as np

AROUND = 1  # pixels of the mask that bilinear interpolation looks at beside what is not empty


def resize_sparse(mask: np.ndarray, size: tuple[int, int], interpolation: int, full: np.generic) -> np.ndarray:
    """The values that cv2.resize has of `mask * full`; with INTER_LINEAR but for the rounding of places.

    What is cut out begins and ends where a pixel of both sizes does, so that each value has the neighbours and weights
    that it has in the whole.

    Args:
        mask: bool or 0 and 1, [h, w].
        size: (H, W).
        full: what 1 stands for; the result, [H, W], has its type, float32; or uint8 with INTER_AREA.
    """
    result = np.zeros(size, full.dtype)
    rows = np.flatnonzero(mask.any(1))
    if not rows.size:
        return result
    columns = np.flatnonzero(mask[rows[0] : rows[-1] + 1].any(0))
    top, to_top = _blocks(rows[0], rows[-1], mask.shape[0], size[0])
    left, to_left = _blocks(columns[0], columns[-1], mask.shape[1], size[1])
    part = mask[top, left] * full
    height, width = to_top.stop - to_top.start, to_left.stop - to_left.start
    result[to_top, to_left] = cv2.resize(part, (width, height), interpolation=interpolation)
    return result


def _blocks(first: int, last: int, length: int, other: int) -> tuple[slice, slice]:
    """Pixels first..last of a side and what is around them, widened to places that a side of another length has too."""
    blocks = gcd(length, other)
    step, there = length // blocks, other // blocks
    begin, end = max(int(first) - AROUND, 0) // step, -(-min(int(last) + 1 + AROUND, length) // step)
    return slice(begin * step, end * step), slice(begin * there, end * there)
