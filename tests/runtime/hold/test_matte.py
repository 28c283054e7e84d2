"""The outline of what is held moves to where the colours change, and only there."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from edgedrag.runtime.hold.matte import NEAR, matted

SIZE = (240, 320)


def disc(radius: float, x: float = 160, y: float = 120) -> np.ndarray:
    rows, columns = np.mgrid[: SIZE[0], : SIZE[1]]
    return np.clip(radius + 0.5 - np.hypot(columns - x, rows - y), 0, 1).astype(np.float32)


def picture(alpha: np.ndarray, inside: tuple[int, ...], outside: tuple[int, ...], noise: float = 4) -> np.ndarray:
    seen = alpha[..., None] * inside + (1 - alpha[..., None]) * np.array(outside)
    return np.clip(seen + np.random.default_rng(2).normal(0, noise, seen.shape), 0, 255).astype(np.uint8)


def apart(held: np.ndarray, true: np.ndarray) -> float:
    return float(np.abs(held - true).mean() / np.abs(disc(64) - disc(60)).mean())


@pytest.mark.parametrize("by", [-3, 3])
@pytest.mark.parametrize("colours", [((200, 60, 50), (70, 110, 80)), ((120, 120, 120), (90, 90, 90))], ids=str)
def test_an_outline_that_is_some_pixels_off_moves_to_the_edge(by: int, colours: tuple[tuple[int, ...], ...]) -> None:
    true, held = disc(60), cv2.GaussianBlur(disc(60 + by), (0, 0), 4)
    refined = matted(picture(true, *colours), held)
    assert apart(refined, true) < 0.5 * apart(held, true)
    assert refined.dtype == np.float32 and 0 <= refined.min() and refined.max() <= 1


def test_where_both_sides_look_alike_the_outline_stays() -> None:
    held = cv2.GaussianBlur(disc(60), (0, 0), 2)
    refined = matted(picture(disc(60), (90, 90, 90), (90, 90, 90), 20), held)
    assert ((refined > 0.5) != (held > 0.5)).mean() < 0.004


def test_nothing_changes_away_from_the_outline() -> None:
    held = 0.8 * disc(60) + 0.05
    refined = matted(picture(disc(50), (200, 60, 50), (70, 110, 80)), held)
    far = (disc(60 - NEAR - 6) == 1) | (disc(60 + NEAR + 6) == 0)
    assert np.array_equal(refined[far], held[far])
    for value in (0.0, 1.0):
        assert (
            matted(picture(disc(50), (200, 60, 50), (70, 110, 80)), np.full(SIZE, value, np.float32)) == value
        ).all()


@pytest.mark.parametrize("size", [(1, 1), (2, 40), (7, 3)], ids=str)
def test_tiny_pictures(size: tuple[int, int]) -> None:
    held = np.zeros(size, np.float32)
    held[0, 0] = 1
    assert np.isfinite(matted(np.zeros((*size, 3), np.uint8), held)).all()
