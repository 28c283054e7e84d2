from __future__ import annotations

import cv2
import numpy as np
import pytest

from edgedrag.runtime.drag.mask import automatic_mask, check_mask
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


def test_automatic_mask_covers_the_object_and_its_way() -> None:
    """A disc on a plain ground: its pixels before and after the move, and not much else."""
    picture = np.full((400, 600, 3), (70, 90, 110), np.uint8)
    picture += np.random.default_rng(0).integers(0, 8, picture.shape, dtype=np.uint8)
    cv2.circle(picture, (200, 200), 40, (220, 60, 40), -1)
    points = np.array([[200, 200, 260, 200]], np.float32)
    mask = automatic_mask(picture, points)
    disc = np.zeros(mask.shape, np.uint8)
    cv2.circle(disc, (200, 200), 40, 1, -1)
    cv2.circle(disc, (260, 200), 40, 1, -1)
    assert mask[disc > 0].mean() > 0.98
    assert mask.sum() < 3.5 * disc.sum()
    assert np.array_equal(mask, automatic_mask(picture, points))


@pytest.mark.parametrize("shape", [(1, 1), (2, 300), (16, 16), (700, 30)])
def test_automatic_mask_of_odd_photos_holds_handle_and_target(shape: tuple[int, int]) -> None:
    h, w = shape
    picture = np.random.default_rng(0).integers(0, 255, (h, w, 3), dtype=np.uint8)
    points = np.array([[0, 0, w - 1, h - 1]], np.float32)
    mask = automatic_mask(picture, points)
    assert mask.shape == shape
    assert mask[0, 0] and mask[-1, -1]
