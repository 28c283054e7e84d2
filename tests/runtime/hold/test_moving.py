"""What of a hold moves."""

from __future__ import annotations

import numpy as np
import pytest

from edgedrag.runtime.hold.hold import FOUND_NAMES, Hold, around_point, make_hold
from edgedrag.runtime.hold.view import PhotoView

SIZE = 120
RADII = (12, 30, 45)  # of part, thing and group
UNSURE = 10  # pixels at the edge of each larger answer that may belong to it


@pytest.fixture
def hold() -> Hold:
    """Discs in each other around the middle, whose outer UNSURE pixels are held by 0.6 of 1."""
    y, x = np.mgrid[:SIZE, :SIZE]
    distance = np.hypot(x - SIZE / 2, y - SIZE / 2)
    answers = [np.where(distance < radius - UNSURE, 1, 0.6) * (distance < radius) for radius in RADII[1:]]
    part = (distance < RADII[0]).astype(np.float32)
    photo = np.random.default_rng(0).integers(0, 255, (SIZE, SIZE, 3), dtype=np.uint8)
    return make_hold(PhotoView(photo), np.full(2, SIZE / 2), np.stack([part, *answers]).astype(np.float32), None)


def radius(held: Hold, level: float = 0.5) -> float:
    return float(np.sqrt((held.follows > level).sum() / np.pi))


def test_what_is_unsure_is_held_and_does_not_move(hold: Hold) -> None:
    for name, held in zip(FOUND_NAMES[1:], RADII[1:]):
        assert radius(hold.answer(name)) == pytest.approx(held, abs=0.5)
        assert radius(hold.sure_answer(name)) == pytest.approx(held - UNSURE, abs=2.5), "soft for two pixels"


def test_the_part_moves_as_it_is_and_lies_in_all(hold: Hold) -> None:
    part = hold.sure_answer("part")
    assert part is hold.answer("part") and hold.sure_answer("neighbourhood") is hold.answer("neighbourhood")
    for name in FOUND_NAMES[1:]:
        moved = hold.sure_answer(name)
        assert (moved.follows[part.follows >= 0.5] >= 0.5).all() and moved.name == name
        assert moved is hold.sure_answer(name), "made once"
        assert np.array_equal(moved.on_photo(), hold.answer(name).on_photo()), "what is held is what it was"


def test_small_islands_that_a_piece_encloses_are_held_too() -> None:
    """Of each hole on its own: enclosed or open to the picture's edge, small or large."""
    piece, at = np.zeros((60, 80), np.float32), np.array([50, 20])
    piece[10:50, 10:70] = 1
    piece[12:15, 12:15] = 0  # small
    piece[20:45, 20:40] = 0  # large: more than a fifth of what is held
    piece[30:34, 60:70] = 0  # open to the outside
    piece[55:58, 70:78] = 1  # another piece
    held = around_point(piece, at, 0.5)
    added = {tuple(place) for place in np.argwhere((held > 0) & (piece == 0))}
    assert added == {(y, x) for y in (12, 13, 14) for x in (12, 13, 14)}
    assert not held[55:58, 70:78].any()
    piece[:] = 1
    piece[0:3, 5:8] = 0  # open to the picture's edge
    assert np.array_equal(around_point(piece, at, 0.5), piece)
