from __future__ import annotations

import numpy as np
import pytest

from edgedrag.runtime.drag.mask import check_mask
from edgedrag.runtime.errors import InputError


def test_nonzero_is_editable_whatever_the_form() -> None:
    plain = np.zeros((4, 6), np.uint8)
    plain[1, 2] = 1
    rgba = np.zeros((4, 6, 4), np.uint8)
    rgba[..., 3] = 255  # opaque black is not editable
    rgba[1, 2, 0] = 9
    for mask in (plain, plain.astype(bool), plain * 0.5, rgba, np.repeat(plain[..., None], 3, 2)):
        assert np.argwhere(check_mask(mask, 4, 6)).tolist() == [[1, 2]]


@pytest.mark.parametrize(
    ("mask", "words"),
    [
        (np.ones((5, 6)), "6 x 5 pixels, but the photo has 6 x 4"),
        (np.zeros((4, 6)), "empty"),
        (np.full((4, 6), np.nan), "not numbers"),
        (np.ones(6), "pixels"),
    ],
)
def test_refused(mask: np.ndarray, words: str) -> None:
    with pytest.raises(InputError, match=words):
        check_mask(mask, 4, 6)
