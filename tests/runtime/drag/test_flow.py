from __future__ import annotations

import cv2
import numpy as np
import pytest

from edgedrag.runtime.drag.flow import FADE, bidirectional_flow, edge_fade, inverse_distance, prior_flow, warp


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


def test_a_prior_moves_with_its_drag_and_stays_in_the_mask() -> None:
    mask = disc(96, 40)
    flow = prior_flow(np.array([[40, 48, 50, 44]], np.float32), mask)
    np.testing.assert_allclose(flow[30:60, 30:60], np.broadcast_to([-10, 4], (30, 30, 2)), atol=1e-4)
    assert not flow[~mask].any()


def turned(points: np.ndarray, degrees: float, scale: float) -> np.ndarray:
    """Drags that turn and scale handles [N, 2] about (64, 64)."""
    c, s = scale * np.cos(np.radians(degrees)), scale * np.sin(np.radians(degrees))
    return np.hstack([points, (points - 64) @ np.array([[c, s], [-s, c]]) + 64]).astype(np.float32)


@pytest.mark.parametrize(("degrees", "scale"), [(25, 1.0), (0, 1.4), (-15, 0.8)])
def test_drags_that_turn_or_scale_do_so_between_them(degrees: float, scale: float) -> None:
    handles = np.array([[44, 64], [84, 60], [60, 90]])
    drags = turned(handles, degrees, scale)
    flow = prior_flow(drags, np.ones((128, 128), bool))
    spread = np.moveaxis(inverse_distance(drags[:, 2:], drags[:, :2] - drags[:, 2:], (128, 128)), 0, -1)
    for hx, hy, tx, ty in turned(np.array([[54, 62], [66, 70], [74, 62], [58, 78]]), degrees, scale):
        at = round(ty), round(tx)
        off, spread_off = (np.linalg.norm(f[at] - (hx - tx, hy - ty)) for f in (flow, spread))
        assert off < max(0.5 * spread_off, 1.5)


def test_targets_of_a_prior_show_their_handles() -> None:
    points = np.array([[40, 48, 50, 44], [80, 50, 77, 80], [60, 100, 60, 96], [40, 48, 50, 44]], np.float32)
    flow = prior_flow(points, np.ones((128, 128), bool))
    for hx, hy, tx, ty in points:
        np.testing.assert_allclose(flow[int(ty), int(tx)], [hx - tx, hy - ty], atol=0.5)
    np.testing.assert_array_equal(flow, prior_flow(points[:3], np.ones((128, 128), bool)))


@pytest.mark.parametrize("apart", [0.0, 0.01, 1.0])
def test_drags_that_nearly_meet_shift_no_farther_than_they_are_long(apart: float) -> None:
    points = np.array([[30, 64, 64, 64], [98, 64, 64 + apart, 64]], np.float32)
    flow = prior_flow(points, np.ones((128, 128), bool))
    assert np.isfinite(flow).all() and np.abs(flow).max() < 40


def test_drags_that_close_a_mouth_crush_nothing_beside_them() -> None:
    jaws = np.array([[64, 40, 64, 58], [64, 88, 64, 70]], np.float32)
    flow = prior_flow(jaws, np.ones((128, 128), bool))
    assert np.abs(flow[64, ..., 0]).max() < 6, "what lies beside is not drawn in"


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
