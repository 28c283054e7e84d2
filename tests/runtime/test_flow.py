from __future__ import annotations

import cv2
import numpy as np
import pytest

from edgedrag.runtime.flow import FADE, bidirectional_flow, edge_fade, prior_flow, warp


def disc(size: int, radius: int) -> np.ndarray:
    mask = np.zeros((size, size), np.uint8)
    cv2.circle(mask, (size // 2, size // 2), radius, 1, -1)
    return mask.astype(bool)


def test_prior_is_the_weighted_mean_of_the_drags() -> None:
    """Against the formula, one pixel at a time."""
    mask = disc(96, 40)
    points = np.array([[40, 48, 50, 48], [60, 40, 58, 52]], np.float32)
    flow = prior_flow(points, mask)
    fade = edge_fade(mask)
    for x, y in ((48, 48), (58, 52), (30, 60), (20, 48)):
        weights = [1 / ((x - tx) ** 2 + (y - ty) ** 2 + 4) for _, _, tx, ty in points]
        vectors = points[:, :2] - points[:, 2:]
        expected = fade[y, x] * np.average(vectors, axis=0, weights=weights)
        np.testing.assert_allclose(flow[y, x], expected, rtol=1e-4, atol=1e-4)
    assert not flow[~mask].any()


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


def test_bidirectional_flow_lands_the_handle_and_finds_what_is_revealed() -> None:
    mask = disc(128, 55)
    flow, revealed = bidirectional_flow(np.array([[50, 64, 70, 64]], np.float32), mask)
    np.testing.assert_allclose(flow[64, 70], [-20, 0], atol=0.5)
    assert not flow[~mask].any() and not revealed[~mask].any()
