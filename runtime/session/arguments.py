"""Arguments of drags, checked."""

from __future__ import annotations

import operator

import numpy as np

from edgedrag.runtime.drag.mask import check_mask
from edgedrag.runtime.errors import InputError
from edgedrag.runtime.photo.picture import MAX_MEGAPIXELS, Picture, Source, load_picture


def checked_mask(mask: Source, height: int, width: int) -> np.ndarray:
    """A given mask as bool [H, W]; raises InputError where it cannot be used."""
    return check_mask(_mask_values(mask, height * width / 1e6), height, width)


def _mask_values(mask: Source, photo_megapixels: float) -> np.ndarray | Picture:
    """A mask as an array, or read where it is a file or picture; raises InputError where it holds no numbers."""
    if not isinstance(mask, np.ndarray):
        return load_picture(mask, max(photo_megapixels, MAX_MEGAPIXELS), "mask")
    if mask.dtype.kind not in "biuf":
        raise InputError(f"mask: an array of {mask.dtype}; give booleans or numbers, nonzero = may change")
    return mask


def whole_number(argument: str, value: object) -> int:
    """An integer of any kind, NumPy's included; raises InputError for all else, booleans too."""
    try:
        if not isinstance(value, (bool, np.bool_)):
            return operator.index(value)  # type: ignore[arg-type]
    except TypeError:
        pass
    raise InputError(f"{argument}: {value!r:.80} is not a whole number")
