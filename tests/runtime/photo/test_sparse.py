"""Masks that are resized in part have the values of the whole."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from edgedrag.runtime.photo.sparse import resize_sparse

REDUCED = [((300, 400), (192, 256)), ((1000, 750), (256, 192)), ((97, 211), (64, 96))]
WAYS = [
    *((*sizes, cv2.INTER_AREA, np.uint8(255)) for sizes in REDUCED),
    *((*sizes, cv2.INTER_LINEAR, np.float32(1)) for sizes in [*REDUCED, ((192, 256), (1500, 2000))]),
]


@pytest.mark.parametrize("shape, size, way, full", WAYS)
def test_the_values_are_those_of_the_whole(
    shape: tuple[int, int], size: tuple[int, int], way: int, full: np.generic
) -> None:
    rng = np.random.default_rng(0)
    for _ in range(20):
        mask = np.zeros(shape, bool)
        top, left = rng.integers(0, shape[0]), rng.integers(0, shape[1])
        part = mask[top : top + rng.integers(1, shape[0]), left : left + rng.integers(1, shape[1])]
        part[:] = rng.random(part.shape) < 0.4
        expected = cv2.resize(mask * full, size[::-1], interpolation=way)
        found = resize_sparse(mask, size, way, full)
        assert found.dtype == expected.dtype
        if way == cv2.INTER_AREA:
            assert np.array_equal(found, expected)
        else:
            assert np.abs(found - expected).max() < 1e-4, "where a pixel lies is rounded"


def test_an_empty_mask_stays_empty() -> None:
    found = resize_sparse(np.zeros((30, 40), bool), (3, 4), cv2.INTER_AREA, np.uint8(255))
    assert found.shape == (3, 4) and not found.any()
