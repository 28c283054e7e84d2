"""The ground behind what moved: its hole; and that it is made once and used again."""

from __future__ import annotations

import numpy as np
import pytest

import edgedrag
from edgedrag.runtime.drag.ground import Ground, make_ground
from edgedrag.runtime.session import mover
from edgedrag.runtime.session.mover import HOLE_MARGIN, Mover
from edgedrag.runtime.session.scaled_drag import ScaledDrag
from edgedrag.runtime.session.variants import VARIANTS

DRAG = [((265.0, 240.0), (245.0, 250.0))]
SIZE = 96
PICTURE = np.random.default_rng(0).integers(0, 255, (SIZE, SIZE, 3), dtype=np.uint8)
SCALED = ScaledDrag(PICTURE, np.ones((SIZE, SIZE), bool), np.array([[40, 48, 62, 48]], np.float32))


def square(left: int, right: int) -> np.ndarray:
    held = np.zeros((1, SIZE, SIZE), np.float32)
    held[:, left:right, left:right] = 1
    return held


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


@pytest.mark.parametrize(("matte", "soft"), [((30, 60), (36, 54)), ((36, 54), (30, 60))])
def test_the_hole_holds_both_outlines(matte: tuple[int, int], soft: tuple[int, int]) -> None:
    """What is held before and after its outline moved to where the colours change: nothing is left at either."""
    moved = Mover().move(SCALED, square(*matte), square(*soft), VARIANTS[0], 0.0)
    assert moved.ground is not None
    assert np.array_equal(moved.ground.hole, square(30 - HOLE_MARGIN, 60 + HOLE_MARGIN)[0] > 0)


def test_answers_with_the_same_hole_share_a_ground(filled: list[int]) -> None:
    one = Mover()
    for variant in (VARIANTS[0], VARIANTS[0], VARIANTS[1]):
        one.move(SCALED, square(30, 60), square(30, 60), variant, 0.0)
    assert len(filled) == 1
