"""A given mask, checked."""

from __future__ import annotations

import numpy as np

from edgedrag.runtime.errors import InputError
from edgedrag.runtime.photo.picture import Picture

LOSSY_HALF = 128  # of 255; a lossy file's black and white are not exact


def check_mask(mask: np.ndarray | Picture, height: int, width: int) -> np.ndarray:
    """A mask image or array as bool [H, W]: nonzero may change, or at least half where it comes from a lossy file.

    With transparency, the alpha channel is the mask where what is visible has one colour, and the colour is where
    alpha is the same everywhere.

    Raises:
        InputError: of another size than the photo, not a number, empty, or of both colour and alpha that vary.
    """
    lossy = isinstance(mask, Picture) and mask.lossy
    mask = np.asarray(mask.pixels if isinstance(mask, Picture) else mask)
    if mask.ndim == 3:
        mask = _one_channel(mask)
    if mask.shape != (height, width):
        size = " x ".join(str(n) for n in mask.shape[::-1])
        raise InputError(f"mask: {size} pixels, but the photo has {width} x {height}")
    if mask.dtype.kind == "f" and not np.isfinite(mask).all():
        raise InputError("mask: holds values that are not numbers")
    mask = mask >= LOSSY_HALF if lossy else mask != 0
    if not mask.any():
        raise InputError("mask: empty; nonzero pixels are the ones that may change")
    return mask


def _one_channel(mask: np.ndarray) -> np.ndarray:
    """The channel of an image [H, W, channels] that is the mask, or the brightest of its colours."""
    colours = 1 if mask.shape[2] == 2 else 3
    colour, alpha = mask[..., :colours].max(-1), mask[..., colours:]
    if not alpha.size or (alpha == alpha.flat[0]).all():
        return colour
    seen = mask[alpha[..., 0] > 0][:, :colours]
    if (seen == seen[:1]).all():
        return np.asarray(alpha[..., 0])
    raise InputError("mask: both its colour and its transparency vary; make one of them the same everywhere")
