"""The noise is the documented one, on every machine."""

from __future__ import annotations

import math

import numpy as np

from edgedrag.runtime.sampling.noise import normal


def test_known_answer() -> None:
    """Worked out from the raw Philox words, one number at a time."""
    words = np.random.Philox(key=[7, 0], counter=[0, 0, 0, 2]).random_raw(4)
    u = [((int(w) >> 11) + 0.5) / 2**53 for w in words]
    expected = [
        f(2 * math.pi * u[i + 1]) * math.sqrt(-2 * math.log(u[i])) for i in (0, 2) for f in (math.cos, math.sin)
    ]
    np.testing.assert_allclose(normal(7, 2, (4,)), expected, rtol=1e-6)


def test_stable_values() -> None:
    """A release that changed these would change every edit."""
    np.testing.assert_allclose(normal(0, 0, (3,)), STABLE, rtol=1e-6)


STABLE = [0.1585338, 2.9828794, -1.925692]


def test_rows_and_seeds_differ_and_are_normal() -> None:
    noise = normal(0, 0, (4, 100, 100))
    assert abs(float(noise.mean())) < 0.02
    assert abs(float(noise.std()) - 1) < 0.02
    assert not np.array_equal(noise, normal(0, 1, (4, 100, 100)))
    assert not np.array_equal(noise, normal(1, 0, (4, 100, 100)))
    assert normal(3, 0, (5,)).shape == (5,)
