"""Copied pieces of a ground meet each other and the picture around them."""

from __future__ import annotations

import numpy as np
import pytest

from edgedrag.runtime.drag.seam_colour import LARGEST, seam_colour

SIZE = 64
HOLE = np.zeros((SIZE, SIZE), bool)
HOLE[24:40, 24:40] = True
LEFT, RIGHT = HOLE & (np.arange(SIZE) < 32), HOLE & (np.arange(SIZE) >= 32)


def offsets(left: tuple[int, int], right: tuple[int, int]) -> np.ndarray:
    """Two pieces that fill the hole, each copied from elsewhere (x, y)."""
    found = np.zeros((SIZE, SIZE, 2), np.float32)
    found[LEFT], found[RIGHT] = left, right
    return found


def filled(picture: np.ndarray, move: np.ndarray) -> np.ndarray:
    """The picture with its hole filled, float32 [H, W, 3] in grey levels."""
    y, x = np.mgrid[:SIZE, :SIZE]
    at = np.stack([x, y], -1) + move.astype(int)
    return picture[at[..., 1], at[..., 0]] + seam_colour(picture, HOLE, move) * 255


def test_two_pieces_of_a_ramp_become_the_ramp() -> None:
    """Copied from brighter and from darker places, the pieces differ by 40 levels where they meet."""
    ramp = np.repeat((90 + np.arange(SIZE))[:, None, None], SIZE, 1).repeat(3, 2).astype(np.uint8)
    move = offsets((0, -20), (0, 20))
    wrong = np.abs(filled(ramp, move) - ramp)
    assert wrong[HOLE].max() <= 3 and not wrong[~HOLE].any()


def test_pieces_that_fit_are_copied_as_they_are() -> None:
    """A pattern that repeats needs no colour, whatever its contrast."""
    tile = np.random.default_rng(1).integers(0, 255, (8, 8, 3), dtype=np.uint8)
    picture = np.tile(tile, (8, 8, 1))
    assert not seam_colour(picture, HOLE, offsets((-16, 0), (16, 0))).any()


def test_the_edge_of_something_is_no_seam() -> None:
    """A white piece beside a black one is not drawn into it: the difference is too large."""
    picture = np.full((SIZE, SIZE, 3), 250, np.uint8)
    picture[:, 32:] = 5
    wrong = np.abs(filled(picture, offsets((-13, 0), (13, 0))) - picture)
    assert wrong[HOLE].max() <= 2


@pytest.mark.parametrize("seed", range(3))
def test_the_colour_is_bounded_and_only_where_something_is_copied(seed: int) -> None:
    rng = np.random.default_rng(seed)
    picture = rng.integers(0, 256, (SIZE, SIZE, 3), dtype=np.uint8)
    move = offsets((-20, 0), (0, 20))
    move[HOLE & (rng.random(HOLE.shape) < 0.2)] = 0  # not filled
    colour = seam_colour(picture, HOLE, move)
    assert np.isfinite(colour).all() and np.abs(colour).max() <= LARGEST / 255 + 1e-6
    assert not colour[(move == 0).all(-1)].any()


@pytest.mark.parametrize("hole", [np.zeros((5, 7), bool), np.ones((5, 7), bool), np.ones((1, 1), bool)], ids=str)
def test_nothing_to_copy_and_nothing_known_beside_it_is_no_colour(hole: np.ndarray) -> None:
    picture = np.full((*hole.shape, 3), 9, np.uint8)
    assert not seam_colour(picture, hole, np.zeros((*hole.shape, 2), np.float32)).any()
    assert not seam_colour(picture, hole, np.where(hole[..., None], 0.0, 0.0).astype(np.float32).repeat(2, 2)).any()
