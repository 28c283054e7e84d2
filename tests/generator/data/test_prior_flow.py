"""The flow that drags alone suggests."""

from __future__ import annotations

import numpy as np
import pytest

from edgedrag.generator.data.prior_flow import prior_flow
from edgedrag.runtime.drag.flow import inverse_distance


def disc(size: int, radius: int) -> np.ndarray:
    x, y = np.meshgrid(np.arange(size), np.arange(size))
    return (x - size // 2) ** 2 + (y - size // 2) ** 2 <= radius**2


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
