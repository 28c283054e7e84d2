"""The ground behind what moved is made once and used again."""

from __future__ import annotations

import numpy as np
import pytest

import edgedrag
from edgedrag.runtime.drag.ground import Ground, make_ground
from edgedrag.runtime.session import mover

DRAG = [((265.0, 240.0), (245.0, 250.0))]


@pytest.fixture
def filled(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Grows with each ground that is made."""
    made: list[int] = []

    def counted(*given: np.ndarray | None) -> Ground:
        made.append(1)
        return make_ground(*given)  # type: ignore[arg-type]

    monkeypatch.setattr(mover, "make_ground", counted)
    return made


def test_the_ground_stays_while_a_finger_moves(runtime: edgedrag.Runtime, cat: np.ndarray, filled: list[int]) -> None:
    """It is made when the finger goes down, and again when the drag has become much longer."""
    photo = runtime.load(cat)
    for step in range(1, 13):
        photo.motion([((265, 240), (265 - 2 * step, 240 + step))], motion="whole")
    assert 1 <= len(filled) <= 3


def test_what_is_revealed_beside_the_hold_seldom_makes_the_ground_anew(
    runtime: edgedrag.Runtime, cat: np.ndarray, filled: list[int]
) -> None:
    photo = runtime.load(cat)
    for step in range(1, 49):
        photo.motion([((225, 150), (225 + 2 * step, 150 + step))], motion="whole")
    assert 1 <= len(filled) <= 8  # 14 where each pixel beside it counted


def test_candidates_asked_for_again_fill_nothing_anew(
    runtime: edgedrag.Runtime, cat: np.ndarray, filled: list[int]
) -> None:
    photo = runtime.load(cat)
    first, count = photo.candidates(DRAG), len(filled)
    again = photo.candidates(DRAG)
    assert count and len(filled) == count
    assert all(np.array_equal(one.image, two.image) for one, two in zip(first, again, strict=True))
