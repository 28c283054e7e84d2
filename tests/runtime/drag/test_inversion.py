"""The backward flow of what moves: outlines before what stays, and the ground around what is revealed."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from edgedrag.runtime.drag.blend import deep, reveal_weight
from edgedrag.runtime.drag.composite import Generated, compose
from edgedrag.runtime.drag.flow import warp
from edgedrag.runtime.drag.ground import make_ground
from edgedrag.runtime.drag.held_motion import COVERS, HeldMotion, revealed_beside
from edgedrag.runtime.drag.inversion import LEAVES
from edgedrag.runtime.drag.mask_motion import lift
from edgedrag.runtime.drag.motion import SOFT, move_held

SIZE, SCALE = 96, 3  # the generator's, and how many times as large the photo is
GROUND, RIM, CORE = (30, 60, 120), (160, 160, 160), (250, 40, 40)
FROM, RADIUS = (36, 48), 18


def disc(x: float, y: float, radius: float, scale: int = 1) -> np.ndarray:
    """A disc in a picture that is `scale` times the generator's size, float32."""
    columns, rows = (np.mgrid[: SIZE * scale, : SIZE * scale][::-1] + 0.5) / scale - 0.5
    return (np.hypot(columns - x, rows - y) <= radius).astype(np.float32)


def photo() -> np.ndarray:
    """A disc with a red core and a grey rim over a blue ground."""
    picture = np.empty((SIZE * SCALE, SIZE * SCALE, 3), np.uint8)
    picture[:] = GROUND
    picture[disc(*FROM, RADIUS, SCALE) > 0] = RIM
    picture[disc(*FROM, RADIUS - 4, SCALE) > 0] = CORE
    return picture


def moved_photo(motion: HeldMotion) -> np.ndarray:
    """The photo with a motion, at its own size; the ground fills what is revealed."""
    native = photo()
    small = cv2.resize(native, (SIZE, SIZE), interpolation=cv2.INTER_AREA)
    hole = disc(*FROM, RADIUS + 5) > 0
    made = Generated(
        np.zeros((SIZE, SIZE, 3), np.float32), motion.flow, motion.revealed, None, make_ground(small, hole)
    )
    return compose(native, np.ones(native.shape[:2], bool), made)


@pytest.mark.parametrize("way", ["whole", "lift"])
@pytest.mark.parametrize("by", [(25.0, 0.0), (17.0, 17.0), (36.0, -8.0)], ids=str)
def test_a_moved_thing_has_its_own_outline_and_its_ground_no_trace_of_it(way: str, by: tuple[float, float]) -> None:
    """At the photo's own size, nothing of the core shows beyond the moved core, and all of that does."""
    held, to = disc(*FROM, RADIUS), (FROM[0] + by[0], FROM[1] + by[1])
    points = np.array([[*FROM, *to]], np.float32)
    if way == "whole":
        motion = move_held(points, held[None], "whole")
    else:
        motion = lift(points, np.ones((SIZE, SIZE), bool), held, disc(*FROM, RADIUS + 3) > 0, False)
    edited = moved_photo(motion).astype(int)
    red = (np.abs(edited - CORE).max(-1) < 60).astype(bool)
    assert red[disc(*to, RADIUS - 6, SCALE) > 0].all(), "the core is whole"
    assert not red[disc(*to, RADIUS - 2, SCALE) == 0].any(), "the core shows nowhere else"
    far = (disc(*to, RADIUS + 3, SCALE) == 0) & (disc(*FROM, RADIUS + 6, SCALE) == 0)
    assert np.abs(edited - GROUND)[far].max() <= 1, "what is neither the thing nor its hole stays"


@pytest.mark.parametrize("softness", [0.5, 1.5, 3.0])
@pytest.mark.parametrize("by", [(0.0, 25.0), (-18.0, -25.0)], ids=str)
def test_nothing_of_a_drawn_out_outline_shows_in_the_ground(by: tuple[float, float], softness: float) -> None:
    """Of a bent hammer, whose outline is drawn out where it bends most: where the photo shows, it is of the hammer."""
    held = np.zeros((SIZE, SIZE), np.float32)
    held[50:68, 14:46] = held[54:62, 46:90] = 1
    held = cv2.warpAffine(held, cv2.getRotationMatrix2D((30, 60), 30, 1), (SIZE, SIZE))
    held = cv2.GaussianBlur(held, (0, 0), softness)
    motion = move_held(np.array([[30, 60, 30 + by[0], 60 + by[1]]], np.float32), held[None], "bend")
    shown = warp(cv2.GaussianBlur(held, (0, 0), SOFT), motion.flow)
    moved = np.linalg.norm(motion.flow, axis=-1) > LEAVES
    assert not (moved & (shown < COVERS[0]) & (reveal_weight(motion.revealed)[..., 0] < 0.6)).any()


def test_the_ground_fades_into_what_lies_around_it() -> None:
    held = cv2.GaussianBlur(disc(*FROM, RADIUS), (0, 0), 3)
    motion = move_held(np.array([[*FROM, FROM[0] + 30, FROM[1]]], np.float32), held[None], "whole")
    weight = reveal_weight(motion.revealed)[FROM[1], :, 0]  # along the drag, from behind the thing
    behind = weight[: FROM[0]]
    assert behind[-1] == 1 and behind[0] == 0 and (np.diff(behind) >= -1e-6).all()
    assert ((behind > 0.05) & (behind < 0.95)).sum() >= 5


def test_the_weight_of_a_ground_falls_from_all_to_nothing_with_what_covers_it() -> None:
    covers = np.linspace(0, 1, 101, dtype=np.float32)
    weight = reveal_weight(revealed_beside(covers))
    assert (np.diff(weight) <= 1e-6).all()
    np.testing.assert_allclose(weight[covers <= COVERS[0]], 1, atol=1e-5)
    np.testing.assert_allclose(weight[covers >= COVERS[1]], 0, atol=1e-5)


def test_what_the_generator_adds_to_a_ground_is_0_at_its_edge_and_whole_deep_in_it() -> None:
    revealed = disc(48, 48, 36)[..., None]
    inside = deep(revealed)[..., 0]
    assert inside[48, 48] == 1 and inside[48, 84] < 0.01 and not inside[disc(48, 48, 36) == 0].any()
