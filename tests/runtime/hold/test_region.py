"""The automatic mask: what is held, where it is and where it goes."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest

import edgedrag
from edgedrag.runtime.hold.region import on_photo, swept


def region(bundle: Path, photo: np.ndarray, point: tuple[float, float], target: tuple[float, float]) -> np.ndarray:
    hold = edgedrag.open(bundle).load(photo).hold(point)
    holds, points = [hold.answer("thing")], np.array([[*point, *target]], np.float32)
    return on_photo(swept(holds, points), hold.photo_shape, points)


def test_it_covers_the_thing_and_its_way(toy: Path) -> None:
    """A disc on a plain ground: its pixels before and after the move, and not much else."""
    photo = np.full((400, 600, 3), (70, 90, 110), np.uint8)
    photo += np.random.default_rng(0).integers(0, 8, photo.shape, dtype=np.uint8)
    cv2.circle(photo, (200, 200), 40, (220, 60, 40), -1)
    mask = region(toy, photo, (200, 200), (260, 200))
    disc = np.zeros(mask.shape, np.uint8)
    for x in (200, 260):
        cv2.circle(disc, (x, 200), 40, 1, -1)
    assert mask[disc > 0].mean() > 0.98 and mask.sum() < 3.5 * disc.sum()
    assert np.array_equal(mask, region(toy, photo, (200, 200), (260, 200)))


@pytest.mark.parametrize("shape", [(1, 1), (2, 300), (16, 16), (700, 30)])
def test_odd_photos_hold_handle_and_target(toy: Path, shape: tuple[int, int]) -> None:
    h, w = shape
    photo = np.random.default_rng(0).integers(0, 255, (h, w, 3), dtype=np.uint8)
    mask = region(toy, photo, (0, 0), (w - 1, h - 1))
    assert mask.shape == shape and mask[0, 0] and mask[-1, -1]
