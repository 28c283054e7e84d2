from __future__ import annotations

import cv2
import numpy as np
import pytest

from edgedrag.runtime.drag.flow import FADE, edge_fade, inverse_distance, warp


def disc(size: int, radius: int) -> np.ndarray:
    mask = np.zeros((size, size), np.uint8)
    cv2.circle(mask, (size // 2, size // 2), radius, 1, -1)
    return mask.astype(bool)


def test_drags_are_spread_by_their_weighted_mean() -> None:
    """Against the formula, one pixel at a time."""
    at, values = np.array([[50, 48], [58, 52]]), np.array([[-10.0, 0], [2, -12]])
    field = inverse_distance(at, values, (96, 96))
    for x, y in ((48, 48), (58, 52), (30, 60), (20, 48)):
        weights = [1 / ((x - tx) ** 2 + (y - ty) ** 2 + 4) for tx, ty in at]
        np.testing.assert_allclose(field[:, y, x], np.average(values, axis=0, weights=weights), rtol=1e-4, atol=1e-4)


def test_fade_rises_over_its_width_and_ignores_the_photo_border() -> None:
    mask = np.zeros((40, 40), bool)
    mask[:, :20] = True
    fade = edge_fade(mask)
    assert not fade[~mask].any()
    assert (fade[:, 0] == 1).all()  # the mask goes on beyond the photo
    np.testing.assert_allclose(fade[20, 19 - np.arange(6)], (np.arange(6) + 1) / FADE, atol=0.02)


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.float32])
def test_warp_by_whole_pixels_moves_values_unchanged(dtype: type) -> None:
    image = np.random.default_rng(0).integers(0, 200, (20, 30, 3)).astype(dtype)
    flow = np.broadcast_to(np.array([3, -2], np.float32), (20, 30, 2))
    assert np.array_equal(warp(image, flow)[2:, :-3], image[:-2, 3:])
