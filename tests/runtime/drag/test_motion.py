"""What is held moves as its drags say; what is not held, and what a pin holds, stays."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from edgedrag.runtime.drag.blend import reveal_weight
from edgedrag.runtime.drag.flow import warp
from edgedrag.runtime.drag.motion import MOTIONS, MotionName, held_in_mask, move_held, thing_motion
from edgedrag.runtime.errors import InputError

SIZE = (160, 160)


def disc(x: float, y: float, radius: float) -> np.ndarray:
    columns, rows = np.meshgrid(np.arange(SIZE[1]), np.arange(SIZE[0]))
    return (np.hypot(columns - x, rows - y) <= radius).astype(np.float32)


def drags(*rows: tuple[float, ...]) -> np.ndarray:
    return np.array(rows, np.float32)


def source_of(flow: np.ndarray, x: int, y: int) -> np.ndarray:
    """Where in the photo a pixel of the result comes from."""
    return np.array([x, y]) + flow[y, x]


@pytest.mark.parametrize("motion", MOTIONS)
def test_targets_show_their_handles_and_what_is_far_from_a_hold_stays(motion: MotionName) -> None:
    held = disc(80, 80, 25)
    moved = move_held(drags((80, 80, 92, 74)), held[None], motion)
    np.testing.assert_allclose(source_of(moved.flow, 92, 74), [80, 80], atol=0.75)
    outside = (disc(80, 80, 42) + disc(92, 74, 42)) == 0
    assert np.abs(moved.flow[outside]).max() < 0.2 and moved.revealed[outside].max() < 0.01


def test_a_thing_moved_whole_keeps_its_shape_and_reveals_what_was_behind() -> None:
    held = disc(60, 80, 20)
    moved = move_held(drags((60, 80, 110, 80)), held[None], "whole")
    inside = disc(110, 80, 16) > 0
    np.testing.assert_allclose(moved.flow[inside], np.broadcast_to([-50, 0], (int(inside.sum()), 2)), atol=3)
    assert moved.revealed[..., 0][disc(60, 80, 14) > 0].min() > 0.9, "where it was, nothing of the photo belongs"
    assert not reveal_weight(moved.revealed)[..., 0][inside].any()


def test_a_bend_fades_with_the_distance_from_the_handle() -> None:
    held = np.zeros(SIZE, np.float32)
    held[70:90, 20:140] = 1
    moved = move_held(drags((30, 80, 30, 72)), held[None], "bend")
    along = moved.flow[76, 30:130:20, 1]
    assert along[0] > 6.5 and (np.diff(along) < 0).all() and along[-1] < 1


@pytest.mark.parametrize("softness", [1.0, 2.0, 3.0, 5.0])
def test_a_soft_outline_shows_no_specks_of_the_ground(softness: float) -> None:
    """Where a thing moves over its ground no single pixels show what lies behind it (18 to 61 did)."""
    y, x = np.mgrid[:128, :160].astype(np.float32)
    hold = cv2.GaussianBlur((np.hypot((x - 70) / 1.3, y - 60) < 32).astype(np.float32), (0, 0), softness)
    moved = move_held(np.array([[80, 70, 94, 86], [50, 60, 52, 62]], np.float32), np.stack([hold] * 2))
    around = cv2.merge([cv2.medianBlur(plane, 5) for plane in cv2.split(moved.flow)])
    specks = (np.linalg.norm(moved.flow - around, axis=-1) > 4) & (moved.revealed[..., 0] < 0.5)
    assert specks.sum() <= 8


def test_a_stretched_things_far_end_stays() -> None:
    held = np.zeros(SIZE, np.float32)
    held[70:90, 40:120] = 1
    moved = move_held(drags((115, 80, 135, 80)), held[None], "stretch")
    assert abs(moved.flow[80, 44, 0]) < 2 and moved.flow[80, 134, 0] < -18
    assert -14 < moved.flow[80, 88, 0] < -5, "the middle goes half of the way"


@pytest.mark.parametrize(("degrees", "scale"), [(25.0, 1.0), (-15.0, 1.0), (0.0, 1.4), (20.0, 0.8)])
def test_two_drags_turn_and_size_a_thing(degrees: float, scale: float) -> None:
    c, s = scale * np.cos(np.radians(degrees)), scale * np.sin(np.radians(degrees))
    turn = np.array([[c, s], [-s, c]])
    handles = np.array([[45.0, 80], [115, 80]])
    points = np.hstack([handles, (handles - 80) @ turn + 80]).astype(np.float32)
    x, y = np.array([[60.0]]), np.array([[95.0]])
    found = np.array([60, 95]) + thing_motion(points, 900.0, True, x, y)[:, 0, 0]
    np.testing.assert_allclose(found, (np.array([60, 95]) - 80) @ turn + 80, atol=3)
    rigid = np.array([60, 95]) + thing_motion(points, 900.0, False, x, y)[:, 0, 0]
    centre = points[:, 2:].mean(0)
    assert abs(np.linalg.norm(rigid - centre) - np.linalg.norm(np.array([60, 95]) - 80)) < 1e-3


def test_handles_close_together_do_not_turn_a_large_thing() -> None:
    points = drags((80, 80, 90, 80), (82, 80, 92, 84))
    far = thing_motion(points, 60.0**2, False, np.array([20.0]), np.array([80.0]))
    assert abs(far[1, 0]) < 12


def test_a_pin_holds_its_part_and_the_rest_moves() -> None:
    held = np.zeros(SIZE, np.float32)
    held[60:100, 20:140] = 1
    part = disc(130, 80, 12)
    moved = move_held(drags((30, 80, 30, 65), (130, 80, 130, 80)), np.stack([held, part]), "whole")
    assert np.abs(moved.flow[80, 126:134]).max() < 0.5
    np.testing.assert_allclose(source_of(moved.flow, 30, 65), [30, 80], atol=1)


def test_things_held_apart_move_apart() -> None:
    holds = np.stack([disc(45, 80, 18), disc(115, 80, 18)])
    moved = move_held(drags((45, 80, 45, 70), (115, 80, 115, 90)), holds, "whole")
    np.testing.assert_allclose(moved.flow[70, 45], [0, 10], atol=0.3)
    np.testing.assert_allclose(moved.flow[90, 115], [0, -10], atol=0.3)


@pytest.mark.parametrize("motion", MOTIONS)
@pytest.mark.parametrize("target", [(159.0, 0.0), (80.0, 80.01), (0.0, 159.0)])
def test_any_pull_gives_finite_fields(motion: MotionName, target: tuple[float, float]) -> None:
    for held in (disc(80, 80, 25), np.zeros(SIZE, np.float32), np.ones(SIZE, np.float32)):
        moved = move_held(drags((80, 80, *target)), held[None], motion)
        assert np.isfinite(moved.flow).all() and ((0 <= moved.revealed) & (moved.revealed <= 1)).all()


def test_a_repeated_drag_and_the_order_of_drags_change_nothing() -> None:
    holds = np.stack([disc(45, 80, 18), disc(115, 80, 18)])
    points = drags((45, 80, 45, 70), (115, 80, 120, 90))
    once = move_held(points, holds)
    again = move_held(points[[1, 0, 1]], holds[[1, 0, 1]])
    np.testing.assert_array_equal(once.flow, again.flow)


def test_small_motions_are_undone_by_their_inverse() -> None:
    """The backward flow is the inverse of a smooth forward field: what it shows is the picture, moved."""
    held = cv2.GaussianBlur(disc(80, 80, 40), (0, 0), 8)
    moved = move_held(drags((80, 80, 84, 78)), held[None])
    picture = cv2.GaussianBlur(np.random.default_rng(0).random((*SIZE, 3), np.float32), (0, 0), 4)
    there = warp(picture, moved.flow)
    np.testing.assert_allclose(there[78, 84], picture[80, 80], atol=0.01)
    assert moved.revealed.max() < 0.01


def test_in_a_given_mask_all_follows_and_what_is_held_most() -> None:
    mask = disc(80, 80, 50) > 0
    weight = held_in_mask(mask, disc(80, 80, 20), np.array([80.0, 80.0]), 10.0)
    assert not weight[~mask].any() and weight[80, 80] == 1
    assert 0.5 < weight[80, 110] < 1 and weight[80, 128] < 0.3


def test_an_unknown_motion_is_refused() -> None:
    from edgedrag.runtime.drag.motion import check_motion

    with pytest.raises(InputError, match="motion: 'fly' is none; there are: auto, whole, bend, stretch"):
        check_motion("fly")


@pytest.mark.parametrize("motion", MOTIONS)
@pytest.mark.parametrize("turned", range(4))
def test_what_the_picture_cuts_stays_at_its_side(motion: MotionName, turned: int) -> None:
    """Nobody sees what would follow it: no pixel of the thing comes from outside the picture."""
    held = np.zeros(SIZE, np.float32)
    held[60:100, :90] = 1
    points, last = drags((70, 80, 100, 80)), SIZE[0] - 1
    for _ in range(turned):  # by a quarter: x, y to y, last - x
        held = np.ascontiguousarray(np.rot90(held))
        points = points[:, [1, 0, 3, 2]] * [1, -1, 1, -1] + [0, last, 0, last]
    moved = move_held(points, held[None], motion)
    x, y = np.rint(points[0, 2:]).astype(int)
    np.testing.assert_allclose(source_of(moved.flow, x, y), points[0, :2], atol=0.75)
    shown = reveal_weight(moved.revealed)[..., 0] < 0.5
    rows, columns = np.mgrid[: SIZE[0], : SIZE[1]]
    came = np.stack([columns, rows], -1) + moved.flow
    assert (came[shown] > -1).all() and (came[shown] < SIZE[0]).all()


def test_what_only_comes_near_a_side_moves_as_it_is() -> None:
    held = disc(40, 80, 30)
    moved = move_held(drags((40, 80, 75, 80)), held[None], "whole")
    inside = disc(75, 80, 26) > 0
    np.testing.assert_allclose(moved.flow[inside], np.broadcast_to([-35, 0], (int(inside.sum()), 2)), atol=2)
