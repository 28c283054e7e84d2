from __future__ import annotations

import cv2
import numpy as np
import pytest

from edgedrag.runtime.drag.flow import FADE, edge_fade, enclosed, inverse_distance, warp


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


def test_what_a_region_encloses() -> None:
    """Of each hole on its own: enclosed or open to the picture's edge, small or large."""
    region = np.zeros((60, 80), bool)
    region[10:50, 10:70] = True
    region[12:15, 12:15] = False  # small
    region[20:45, 20:40] = False  # large
    region[30:34, 60:70] = False  # open to the outside
    assert {tuple(at) for at in np.argwhere(enclosed(region, 400))} == {
        (y, x) for y in (12, 13, 14) for x in (12, 13, 14)
    }
    assert enclosed(region).sum() == 9 + 500
    region[:] = True
    region[0:3, 5:8] = False  # open to the picture's edge
    assert not enclosed(region).any()
