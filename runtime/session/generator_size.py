"""Pixels and masks of a window at the generator's size."""

from __future__ import annotations

import cv2
import numpy as np

from edgedrag.runtime.photo.sparse import resize_sparse


def to_generator_size(pixels: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """A window's pixels at the generator's size (H, W)."""
    return cv2.resize(pixels, size[::-1], interpolation=_interpolation(pixels.shape, size))


def mask_to_generator_size(mask: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """A window's mask, bool, at the generator's size: where any of it is."""
    if _interpolation(mask.shape, size) == cv2.INTER_AREA:
        return resize_sparse(mask, size, cv2.INTER_AREA, np.uint8(255)) > 0
    return to_generator_size(mask * np.uint8(255), size) > 0


def _interpolation(shape: tuple[int, ...], size: tuple[int, int]) -> int:
    """INTER_AREA from a 2x reduction on, else bilinear; INTER_AREA is slow at fractional ratios."""
    return cv2.INTER_AREA if max(shape[0] / size[0], shape[1] / size[1]) >= 2 else cv2.INTER_LINEAR
