"""The warps that an edit is held against."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from edgedrag.benchmarks.quality.baselines import FADE, bidirectional_flow, bidirectional_warp, inverse_distance_warp
from edgedrag.benchmarks.quality.methods import BASELINES

POINTS = np.array([[150, 120, 185, 130]], np.float32)


@pytest.fixture
def mask(cat: np.ndarray) -> np.ndarray:
    mask = np.zeros(cat.shape[:2], bool)
    mask[60:200, 90:260] = True
    return mask


@pytest.mark.parametrize("name", BASELINES)
def test_outside_the_mask_nothing_changes(cat: np.ndarray, mask: np.ndarray, name: str) -> None:
    edited = BASELINES[name](cat, POINTS, mask)
    assert edited.dtype == np.uint8 and np.array_equal(edited[~mask], cat[~mask])
    assert np.array_equal(edited, cat) == (name == "unedited")


def test_what_lay_at_the_handle_lies_at_the_target(cat: np.ndarray, mask: np.ndarray) -> None:
    for warp in (inverse_distance_warp, bidirectional_warp):
        patch = warp(cat, POINTS, mask)[127:134, 182:189].astype(int)
        assert np.abs(patch - cat[117:124, 147:154]).mean() < 2, warp.__name__


def test_inverse_distance_warp_fades_over_12_pixels(mask: np.ndarray) -> None:
    """On a ramp the warp shows its own flow: 10 grey levels a drag of 10 pixels, less near the edge."""
    ramp = np.broadcast_to(np.arange(451)[None, :, None] % 256, (300, 451, 3)).astype(np.uint8)
    points = np.array([[140, 120, 150, 120]], np.float32)
    moved = ramp[120, :, 0].astype(int) - inverse_distance_warp(ramp, points, mask)[120, :, 0]
    assert moved[90:103].tolist() == pytest.approx([10 * min((k + 1) / FADE, 1) for k in range(13)], abs=0.6)


def test_what_the_content_left_is_filled_from_around(mask: np.ndarray) -> None:
    photo = np.full((300, 451, 3), 90, np.uint8)
    cv2.circle(photo, (150, 120), 10, (250, 0, 0), -1)
    edited = bidirectional_warp(photo, POINTS, mask).astype(int)
    assert np.abs(edited[125:136, 180:191] - [250, 0, 0]).mean() < 5
    assert np.abs(edited[115:126, 145:156] - 90).mean() < 5


def test_bidirectional_flow_lands_the_handle_and_finds_what_is_revealed() -> None:
    x, y = np.meshgrid(np.arange(128), np.arange(128))
    mask = np.hypot(x - 64, y - 64) <= 55
    flow, revealed = bidirectional_flow(np.array([[50, 64, 70, 64]], np.float32), mask)
    np.testing.assert_allclose(flow[64, 70], [-20, 0], atol=0.5)
    assert not flow[~mask].any() and not revealed[~mask].any()
