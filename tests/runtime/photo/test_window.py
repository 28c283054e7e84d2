from __future__ import annotations

import numpy as np
import pytest

from edgedrag.runtime.photo.window import window_around

SIZES = [(256, 256), (192, 256), (128, 256), (256, 192), (256, 128)]


@pytest.mark.parametrize("seed", range(40))
def test_holds_mask_and_points_and_lies_in_the_photo(seed: int) -> None:
    rng = np.random.default_rng(seed)
    shape = tuple(rng.integers(8, 1500, 2).tolist())
    (top, bottom), (left, right) = (sorted(rng.integers(0, n, 2).tolist()) for n in shape)
    box = np.s_[top : bottom + 1, left : right + 1]
    points = rng.uniform(0, 1, (3, 4)) * [shape[1] - 1, shape[0] - 1, shape[1] - 1, shape[0] - 1]
    window = window_around(box, shape, points, 0.06, SIZES)
    assert 0 <= window.top and window.top + window.height <= shape[0]
    assert 0 <= window.left and window.left + window.width <= shape[1]
    inside = np.zeros(shape, bool)
    inside[window.box] = True
    assert inside[box].all()
    for x, y in points.reshape(-1, 2):
        assert inside[round(y), round(x)]


def test_nearby_drags_share_a_window() -> None:
    windows = {
        window_around(
            np.s_[1000 + d : 1250 + d, 2000 + d : 2300 + d],
            (3000, 4000),
            np.array([[2100 + d, 1100, 2200, 1200 + d]]),
            0.06,
            SIZES,
        )
        for d in range(0, 24, 4)
    }
    assert len(windows) <= 2


def test_size_follows_the_aspect_and_the_fixed_sides() -> None:
    wide = window_around(np.s_[0:300, 0:600], (300, 600), np.array([[10, 10, 500, 200]]), 0.06, SIZES)
    assert (wide.height, wide.width, wide.size) == (300, 600, (128, 256))
    small = window_around(np.s_[900:1000, 900:1000], (2000, 2000), np.array([[950, 950, 960, 950]]), 0.06, SIZES)
    assert (small.height, small.width, small.size) == (256, 256, (256, 256))


def test_coordinates_keep_pixel_centres() -> None:
    window = window_around(np.s_[0:512, 0:512], (512, 512), np.array([[0, 0, 511, 511]]), 0.06, SIZES)
    np.testing.assert_allclose(window.to_generator(np.array([[0.5, 0.5], [510.5, 510.5]])), [[0, 0], [255, 255]])
