"""What the drags of a window hold of a thing."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any, cast

import cv2
import numpy as np

from edgedrag.runtime.hold.hold import Hold
from edgedrag.runtime.session.scaled_drag import GROUND, share_of_edge, thing_of

SIZE = (120, 160)
PULL = np.array([[80, 60, 100, 60]], np.float32)


def disc(x: int, y: int, radius: int) -> np.ndarray:
    return cv2.circle(np.zeros(SIZE, np.uint8), (x, y), radius, 1, -1).astype(np.float32)


def holding(**maps: np.ndarray) -> Hold:
    """A hold whose answers hold these maps."""
    answers = {name: SimpleNamespace(map=held, beyond=0.0) for name, held in maps.items()}
    return cast(Hold, SimpleNamespace(answer=answers.__getitem__))


def found(hold: Hold, mask: np.ndarray, points: np.ndarray = PULL) -> Any:
    return thing_of((hold,), points, mask, lambda answer: cast(Any, answer).map)


def test_what_the_mask_was_painted_on_is_not_the_thing() -> None:
    mask = disc(80, 60, 40) > 0
    part, thing, wall = disc(80, 60, 8), disc(80, 60, 20), mask.astype(np.float32)
    assert found(holding(part=part, thing=thing), mask).held.sum() == thing.sum()
    assert share_of_edge(wall, mask) > GROUND
    assert found(holding(part=part, thing=wall), mask).held.sum() == part.sum()


def test_a_thing_goes_on_where_the_mask_or_the_picture_cuts_it() -> None:
    mask = np.ones(SIZE, bool)
    inside, cut = disc(80, 60, 20), disc(80, 10, 20)
    assert not found(holding(part=inside, thing=inside), mask).goes_on
    assert found(holding(part=cut, thing=cut), mask).goes_on


def test_pins_alone_hold_no_thing() -> None:
    assert found(holding(part=disc(80, 60, 8)), np.ones(SIZE, bool), PULL[:, [0, 1, 0, 1]]) is None
