"""How what drags hold moves in a window, and the ground behind it."""

from __future__ import annotations

import numpy as np
import pytest

from edgedrag.runtime.session import mover
from edgedrag.runtime.session.mover import HOLE_MARGIN, Mover
from edgedrag.runtime.session.scaled_drag import ScaledDrag
from edgedrag.runtime.session.variants import VARIANTS

SIZE = 96
PICTURE = np.random.default_rng(0).integers(0, 255, (SIZE, SIZE, 3), dtype=np.uint8)
DRAG = ScaledDrag(PICTURE, np.ones((SIZE, SIZE), bool), np.array([[40, 48, 62, 48]], np.float32))


def square(left: int, right: int) -> np.ndarray:
    held = np.zeros((1, SIZE, SIZE), np.float32)
    held[:, left:right, left:right] = 1
    return held


@pytest.mark.parametrize(("matte", "soft"), [((30, 60), (36, 54)), ((36, 54), (30, 60))])
def test_the_hole_holds_both_outlines(matte: tuple[int, int], soft: tuple[int, int]) -> None:
    """What is held before and after its outline moved to where the colours change: nothing is left at either."""
    moved = Mover().move(DRAG, square(*matte), square(*soft), VARIANTS[0], 0.0)
    assert moved.ground is not None
    assert np.array_equal(moved.ground.hole, square(30 - HOLE_MARGIN, 60 + HOLE_MARGIN)[0] > 0)


def test_a_resting_finger_and_answers_with_the_same_hole_share_a_ground(monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[int] = []
    make = mover.make_ground
    monkeypatch.setattr(mover, "make_ground", lambda *of: (made.append(1), make(*of))[1])
    one = Mover()
    for variant in (VARIANTS[0], VARIANTS[0], VARIANTS[1]):
        one.move(DRAG, square(30, 60), square(30, 60), variant, 0.0)
    assert len(made) == 1
