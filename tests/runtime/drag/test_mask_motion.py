"""In a given mask nothing folds, handles come to their targets, and nothing outside moves."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from edgedrag.runtime.drag.blend import reveal_weight
from edgedrag.runtime.drag.flow import enclosed, jacobian
from edgedrag.runtime.drag.mask_motion import FIRM_FROM, lift, move_in_mask

SIZE = (160, 160)
MARGIN = 12.0
NOTHING = np.zeros(SIZE, np.float32)


def disc(x: float, y: float, radius: float) -> np.ndarray:
    columns, rows = np.meshgrid(np.arange(SIZE[1]), np.arange(SIZE[0]))
    return np.hypot(columns - x, rows - y) <= radius


def drags(*rows: tuple[float, ...]) -> np.ndarray:
    return np.array(rows, np.float32)


def sources(flow: np.ndarray, points: np.ndarray) -> np.ndarray:
    """Where in the photo the targets' pixels come from, [N, 2]."""
    return points[:, 2:] + np.stack([flow[int(y), int(x)] for x, y in points[:, 2:]])


MASK = disc(80, 80, 65)
SEVERAL = {
    "one": drags((80, 80, 100, 70)),
    "long, towards a near edge": drags((80, 110, 80, 30)),
    "from a near edge": drags((80, 140, 80, 90)),
    "apart": drags((60, 80, 45, 80), (100, 80, 115, 80)),
    "together": drags((50, 80, 70, 80), (110, 80, 90, 80)),
    "a turn": drags((50, 80, 60, 55), (110, 80, 100, 105)),
    "with a pin": drags((60, 80, 60, 60), (100, 80, 100, 80)),
}


@pytest.mark.parametrize("points", SEVERAL.values(), ids=SEVERAL)
@pytest.mark.parametrize("held", [NOTHING, NOTHING + 1, disc(80, 130, 60).astype(np.float32)], ids=["no", "all", "cut"])
def test_handles_come_to_their_targets_and_nothing_outside_moves(points: np.ndarray, held: np.ndarray) -> None:
    moved = move_in_mask(points, MASK, held, MARGIN)
    np.testing.assert_allclose(sources(moved.flow, points), points[:, :2], atol=1)
    assert not moved.flow[~MASK].any() and not moved.revealed.any()


@pytest.mark.parametrize("length", [5.0, 15.0, 30.0])
@pytest.mark.parametrize("degrees", [0, 50, 200])
@pytest.mark.parametrize("held", [NOTHING, disc(80, 130, 60).astype(np.float32)], ids=["no", "cut"])
def test_a_pull_does_not_fold(length: float, degrees: int, held: np.ndarray) -> None:
    angle = np.radians(degrees)
    points = drags((80, 80, round(80 + length * np.cos(angle)), round(80 + length * np.sin(angle))))
    moved = move_in_mask(points, MASK, held, MARGIN)
    inside = cv2.erode(MASK.astype(np.uint8), np.ones((3, 3))) > 0
    assert jacobian(moved.flow)[2][inside].min() > 0


def test_what_the_mask_cuts_is_drawn_out_evenly() -> None:
    """A thing that goes on below the mask: its half way to the edge goes about half of the way."""
    goes_on = np.zeros(SIZE, np.float32)
    goes_on[60:] = 1
    up = drags((80, 70, 80, 40))
    cut, free = (move_in_mask(up, MASK, held, MARGIN).flow for held in (goes_on, NOTHING + 0.0))
    assert 0 < cut[115, 80, 1] < 0.8 * free[115, 80, 1] / 0.7, "nearer to the cut it stays more"
    assert cut[40, 80, 1] > 29


def test_gaps_in_a_painted_mask_do_not_hinder() -> None:
    gaps = MASK & ~disc(110, 80, 3)
    np.testing.assert_array_equal(gaps | enclosed(gaps), MASK)
    points = drags((80, 80, 120, 80))
    whole, torn = (move_in_mask(points, mask, NOTHING, MARGIN).flow for mask in (MASK, gaps))
    np.testing.assert_allclose(torn[gaps], whole[gaps], atol=0.05)
    assert not torn[~MASK].any()


def test_a_mask_of_everything_has_no_edge() -> None:
    moved = move_in_mask(drags((80, 80, 100, 80)), np.ones(SIZE, bool), NOTHING + 1, MARGIN)
    np.testing.assert_allclose(moved.flow[..., 0], -20, atol=0.1)


@pytest.mark.parametrize("target", [(159.0, 0.0), (80.0, 80.01), (0.0, 159.0), (80.0, 80.0)])
def test_any_pull_gives_finite_fields(target: tuple[float, float]) -> None:
    for mask in (MASK, disc(80, 80, 2), np.ones(SIZE, bool)):
        assert np.isfinite(move_in_mask(drags((80, 80, *target)), mask, NOTHING, MARGIN).flow).all()


def test_a_repeated_drag_and_the_order_of_drags_change_nothing() -> None:
    points = SEVERAL["a turn"]
    once, again = (move_in_mask(p, MASK, NOTHING, MARGIN).flow for p in (points, points[[1, 0, 1]]))
    np.testing.assert_array_equal(once, again)


def test_a_lifted_thing_keeps_its_shape_over_ground_that_stays() -> None:
    thing = disc(60, 80, 16)
    moved = lift(drags((60, 80, 105, 80)), MASK, thing.astype(np.float32), disc(60, 80, 19), False)
    np.testing.assert_allclose(
        moved.flow[disc(105, 80, 14)], np.broadcast_to([-45, 0], (disc(105, 80, 14).sum(), 2)), atol=0.1
    )
    ground = reveal_weight(moved.revealed)[..., 0]
    assert ground[disc(60, 80, 15)].min() > 0.99 and ground[disc(105, 80, 14)].max() < 0.01
    assert not moved.flow[~(disc(105, 80, 22) & MASK)].any()


def test_a_lifted_thing_that_goes_on_beyond_the_mask_stays_there() -> None:
    thing = np.zeros(SIZE, np.float32)
    thing[60:, 70:90] = 1
    hole = thing > 0
    up, moved = drags((80, 80, 80, 50)), {}
    for goes_on in (False, True):
        moved[goes_on] = lift(up, MASK, thing, hole & MASK, goes_on).flow
        np.testing.assert_allclose(sources(moved[goes_on], up), up[:, :2], atol=1)
    assert moved[True][140, 80, 1] < 15 < 29 < moved[False][100, 80, 1]


def test_what_a_long_drag_holds_keeps_its_shape_up_to_the_masks_edge() -> None:
    thing = disc(80, 80, 56).astype(np.float32)
    below = (MASK & ~disc(80, 80, 57))[:60]
    for length, keeps in ((FIRM_FROM - 1, False), (FIRM_FROM + 1, True)):
        moved = move_in_mask(drags((80, 80, 80 - length, 80)), MASK, thing, 25.0).flow
        rigid = np.abs(moved[disc(80 - length, 80, 54) & disc(80, 80, 54)][:, 0] - length) < 0.25 * length
        assert rigid.all() == keeps
        assert np.abs(moved[:60][below]).max() < length, "the ground gives way"


def test_a_lifted_thing_turns_as_one() -> None:
    """Two handles that turn a dial, both within a third of its radius."""
    dial, angle = disc(80, 80, 40).astype(np.float32), np.deg2rad(20)
    ends = [(80 + side * 12 * np.cos(a), 80 + side * 12 * np.sin(a)) for a in (0, angle) for side in (-1, 1)]
    turn = drags((*ends[0], *ends[2]), (*ends[1], *ends[3]))
    moved = lift(turn, MASK, dial, disc(80, 80, 43), False)
    at = np.array([[80 + 32 * np.cos(a), 80 + 32 * np.sin(a)] for a in np.arange(0, 6.28, 0.5)])
    expected = (at - 80) @ np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]]) + 80
    rows, columns = np.rint(at).astype(int).T[::-1]
    np.testing.assert_allclose(at + moved.flow[rows, columns], expected, atol=2.5)


def test_a_lifted_thing_that_the_picture_cuts_is_drawn_out() -> None:
    everything, thing = np.ones(SIZE, bool), np.zeros(SIZE, np.float32)
    thing[60:100, :70] = 1
    moved = lift(drags((50, 80, 80, 80)), everything, thing, thing > 0, True).flow
    np.testing.assert_allclose(moved[80, 80], [-30, 0], atol=1)
    assert (np.arange(100) + moved[80, :100, 0]).min() > -1, "nothing comes from outside the picture"
