"""A given mask, checked."""

from __future__ import annotations

import numpy as np

from edgedrag.runtime.errors import InputError


def check_mask(mask: np.ndarray, height: int, width: int) -> np.ndarray:
    """A mask image or array (nonzero = editable) as bool [H, W].

    Raises:
        InputError: of another size than the photo, not a number, or empty.
    """
    mask = np.asarray(mask)
    if mask.ndim == 3:  # a colour image; alpha does not count
        mask = np.asarray(mask[..., : 1 if mask.shape[2] == 2 else 3].any(-1))
    if mask.shape != (height, width):
        size = " x ".join(str(n) for n in mask.shape[::-1])
        raise InputError(f"mask: {size} pixels, but the photo has {width} x {height}")
    if mask.dtype.kind == "f" and not np.isfinite(mask).all():
        raise InputError("mask: holds values that are not numbers")
    mask = mask != 0
    if not mask.any():
        raise InputError("mask: empty; nonzero pixels are the ones that may change")
    return mask
