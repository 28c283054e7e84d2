from __future__ import annotations

import numpy as np
import pytest

from edgedrag.runtime.drag.mask import check_mask
from edgedrag.runtime.errors import InputError
from edgedrag.runtime.photo.picture import Picture


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


def rgba(colour: object, alpha: object) -> np.ndarray:
    mask = np.zeros((4, 6, 4), np.uint8)
    mask[..., :3], mask[..., 3] = colour, alpha
    return mask


def test_transparency_is_the_mask_where_what_is_visible_has_one_colour() -> None:
    drawn = np.zeros((4, 6), np.uint8)
    drawn[1, 2], drawn[2, 3] = 255, 9
    strokes = rgba(np.where(drawn[..., None] > 0, 255, 0), drawn)  # white strokes on transparent black
    for mask in (rgba(255, drawn), rgba(0, drawn), strokes, np.dstack([np.full_like(drawn, 7), drawn])):
        assert np.array_equal(check_mask(mask, 4, 6), drawn > 0)
    opaque = np.dstack([drawn, np.full_like(drawn, 128)])
    assert np.array_equal(check_mask(opaque, 4, 6), drawn > 0), "alpha that is the same everywhere does not count"


def test_a_mask_whose_colour_and_transparency_vary_is_refused() -> None:
    drawn = np.arange(24, dtype=np.uint8).reshape(4, 6)
    with pytest.raises(InputError, match="both its colour and its transparency vary; make one of them the same"):
        check_mask(rgba(drawn[..., None], drawn[::-1]), 4, 6)


def test_masks_of_lossy_files_are_thresholded_at_half() -> None:
    values = np.array([[0, 1, 127, 128, 254, 255]] * 4, np.uint8)
    for pixels in (values, np.repeat(values[..., None], 3, 2), np.dstack([values, 0 * values])):
        assert check_mask(Picture(pixels, lossy=True), 4, 6)[0].tolist() == [False] * 3 + [True] * 3
        assert check_mask(Picture(pixels), 4, 6)[0].tolist() == [False] + [True] * 5
