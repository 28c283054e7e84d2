"""The guided filter against its definition, and what it is for: edges."""

from __future__ import annotations

import numpy as np

from edgedrag.runtime.hold.guided_filter import EPSILON, RADIUS, GuidedFilter, apply_coefficients


def test_coefficients_are_those_of_the_definition() -> None:
    """Equations 19 to 21 of He et al., solved as they stand at one pixel."""
    rng = np.random.default_rng(1)
    guide = rng.integers(0, 256, (36, 50, 3), dtype=np.uint8)
    values = rng.random((36, 50), dtype=np.float32)
    slopes, offsets = np.zeros((36, 50, 3)), np.zeros((36, 50))
    for y in range(RADIUS, 36 - RADIUS):
        for x in range(RADIUS, 50 - RADIUS):
            around = np.s_[y - RADIUS : y + RADIUS + 1, x - RADIUS : x + RADIUS + 1]
            colours, wanted = guide[around].reshape(-1, 3) / 255, values[around].ravel()
            covariance = np.cov(colours.T, bias=True) + EPSILON * np.eye(3)
            with_values = (colours * wanted[:, None]).mean(0) - colours.mean(0) * wanted.mean()
            slopes[y, x] = np.linalg.solve(covariance, with_values)
            offsets[y, x] = wanted.mean() - slopes[y, x] @ colours.mean(0)
    y, x = 18, 25
    around = np.s_[y - RADIUS : y + RADIUS + 1, x - RADIUS : x + RADIUS + 1]
    expected = slopes[around].mean((0, 1)) @ (guide[y, x] / 255) + offsets[around].mean()
    found = apply_coefficients(guide, GuidedFilter(guide).coefficients(values))
    assert abs(found[y, x] - expected) < 1e-4


def test_a_shifted_edge_moves_to_the_guide_s_even_where_both_sides_are_equally_bright() -> None:
    left, right = np.array([200, 50, 60]), np.array([60, 119, 75])  # the same luma
    guide = np.where(np.arange(60)[None, :, None] < 30, left, right).astype(np.uint8).repeat(40, 0)
    values = np.broadcast_to(np.arange(60) < 32, (40, 60)).astype(np.float32)
    found = apply_coefficients(guide, GuidedFilter(guide).coefficients(values))
    assert (found[:, 29] > 0.5).all() and (found[:, 30] < 0.5).all()
