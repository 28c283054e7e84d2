"""Drags that go on with earlier ones or take them back, on the shipped bundle: as one drag, or exactly as before."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from conftest import EXAMPLES
from rounds import FORMS, MOVES, around, as_form, disc, psnr

import edgedrag
from edgedrag.runtime.drag.flow import warp


@pytest.mark.parametrize("form", FORMS)
def test_a_drag_and_its_inverse_leave_no_trace(runtime: edgedrag.Runtime, cat: np.ndarray, form: str) -> None:
    original = as_form(cat, form)
    photo = runtime.load(original)
    for turn, (handle, target) in enumerate([MOVES[0], MOVES[1], MOVES[0]]):
        mask = around(cat.shape, handle, target)
        moved = photo.drag([(handle, target)], mask, seed=turn).image
        assert not np.array_equal(moved, original)
        assert np.array_equal(photo.drag([(target, handle)], mask, seed=turn + 1).image, original)


def test_drags_and_their_inverses_nest(runtime: edgedrag.Runtime, cat: np.ndarray) -> None:
    """Inverses in reverse order, then forward again by taking those back: each state returns exactly."""
    photo = runtime.load(cat)
    masks = [around(cat.shape, *move) for move in MOVES]
    states = [cat]
    for move, mask in zip(MOVES, masks):
        states.append(photo.drag([move], mask).image)
    for k in (2, 1, 0):
        handle, target = MOVES[k]
        assert np.array_equal(photo.drag([(target, handle)], masks[k]).image, states[k])
    for k in (0, 1):
        assert np.array_equal(photo.drag([MOVES[k]], masks[k]).image, states[k + 1])


def test_several_drags_are_reversed_in_any_order(runtime: edgedrag.Runtime, cat: np.ndarray) -> None:
    photo = runtime.load(cat)
    mask = disc(cat.shape, 245, 230, 70)
    photo.drag(MOVES, mask)
    inverse = [(target, handle) for handle, target in MOVES]
    with_one_less = photo.drag(inverse[:2], mask).image
    assert not np.array_equal(with_one_less, cat)
    photo.undo()
    near = [((x + 0.4, y), (u, v - 0.4)) for (x, y), (u, v) in inverse]
    assert np.array_equal(photo.drag(near[::-1], mask).image, cat)


def test_two_small_steps_are_no_way_back(runtime: edgedrag.Runtime, cat: np.ndarray) -> None:
    """Their ends are all within a generator pixel; the second goes on all the same."""
    photo = runtime.load(cat)
    mask = disc(cat.shape, 265, 240)
    one = photo.drag([((265, 240), (265.4, 240))], mask).image
    for step in (((265.4, 240), (265.8, 240)), ((265, 240), (265.4, 240))):
        two = photo.drag([step], mask).image
        assert not np.array_equal(two, cat) and not np.array_equal(two, one)
        photo.undo()


def test_what_is_taken_back_ends_at_the_mask(runtime: edgedrag.Runtime, cat: np.ndarray) -> None:
    """An inverse with a smaller mask, and the round that goes on from there."""
    photo = runtime.load(cat)
    handle, target = MOVES[0]
    moved = photo.drag([(handle, target)], around(cat.shape, handle, target)).image
    small = disc(cat.shape, 255, 245, 30)
    back = photo.drag([(target, handle)], small).image
    assert np.array_equal(back[~small], moved[~small])
    deep = disc(cat.shape, 255, 245, 27)
    assert np.array_equal(back[deep], cat[deep])
    again = photo.drag([((250, 240), (250.5, 240))], disc(cat.shape, 255, 245, 20)).image
    near = disc(cat.shape, 255, 245, 16)
    assert psnr(again, back, near) > 25, "the state went back too, not only the pixels"


@pytest.mark.parametrize("masked", [True, False])
def test_nearly_back_is_the_photo_moved_by_the_difference(
    runtime: edgedrag.Runtime, cat: np.ndarray, masked: bool
) -> None:
    """Also where the finger takes hold again beside where it let go."""
    for number, ((hx, hy), (tx, ty)) in enumerate(MOVES):
        mask = around(cat.shape, (hx, hy), (tx, ty)) if masked else None
        photo, off = runtime.load(cat), (0, 2, -2)[number]
        photo.move([((hx, hy), (tx, ty))], mask)
        back = photo.move([((tx + off, ty), (hx + off + 2.5, hy + 1.5))], mask)
        once = runtime.load(cat).move([((hx, hy), (hx + 2.5, hy + 1.5))], mask)
        region = back.mask | once.mask
        assert not np.array_equal(back.image, cat) and psnr(back.image, once.image, region) > 40
        assert abs(detail(back.image, region) / detail(once.image, region) - 1) < 0.02
        photo.undo()
        assert np.array_equal(photo.redo().image, back.image)


def test_many_small_drags_are_one_long_drag(runtime: edgedrag.Runtime, cat: np.ndarray) -> None:
    photo, (handle, target) = runtime.load(cat), ((240.0, 210.0), (262.0, 190.0))
    mask, x, y = disc(cat.shape, 250, 200, 60), *handle
    for step in range(1, 13):
        share = step / 12
        to = (handle[0] + 22 * share, handle[1] - 20 * share + 5 * np.sin(np.pi * share))
        shown = photo.move([((x, y), to)], mask).image
        x, y = to
    once = runtime.load(cat).move([(handle, target)], mask).image
    assert psnr(shown, once, mask) > 50
    assert len(photo._history.done[-1].layers_after) == 1
    while photo.undo_count:
        image = photo.undo().image
    assert np.array_equal(image, cat)


def test_what_was_changed_elsewhere_stays_when_a_drag_goes_on(runtime: edgedrag.Runtime, cat: np.ndarray) -> None:
    photo, mask, other = runtime.load(cat), disc(cat.shape, 250, 230, 45), disc(cat.shape, 80, 80, 40)
    photo.move([((250, 230), (240, 222))], mask)
    beside = photo.move([((80, 80), (92, 84))], other).image
    photo.move([((240, 222), (258, 226))], mask)
    assert np.array_equal(photo.image[~mask], beside[~mask])
    once = runtime.load(cat).move([((250, 230), (258, 226))], mask).image
    assert psnr(photo.image, once, mask) > 50, "a hold depends a little on the whole photo"
    between = disc(cat.shape, 240, 222, 20)
    over = photo.move([((243, 222), (246, 230))], between).image
    again = photo.move([((258, 226), (244, 238))], mask).image
    assert not np.array_equal(again, over), "drawn over since: the drag starts from the photo as it is"


def detail(picture: np.ndarray, mask: np.ndarray) -> float:
    """Energy of the second derivatives in a mask."""
    grey = cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY)
    return float((cv2.Laplacian(grey, cv2.CV_32F)[mask] ** 2).mean())


def test_a_held_thing_keeps_its_hold(runtime: edgedrag.Runtime) -> None:
    """Grabbed elsewhere on what was moved: the hold that it had, moved with it, whatever the place looks like now."""
    photo = runtime.load(EXAMPLES / "coffee.png")
    first, by = photo.hold((300, 200)), np.array([24.0, 10.0])
    moved = photo.move([((300, 200), tuple(np.array([300, 200]) + by))], motion="whole")
    rows, columns = np.nonzero(first.answer("thing").on_photo() > 0.9)
    at = np.array([columns[len(columns) // 3], rows[len(rows) // 3]]) + by
    again = photo.hold(at)
    for name in ("thing", "group"):
        before, after = (held.answer(name).follows > 0.5 for held in (first, again))
        step = by * np.array(before.shape[::-1]) / photo.image.shape[1::-1]
        expected = cv2.warpAffine(before.astype(np.uint8), np.column_stack([np.eye(2), step]), before.shape[::-1]) > 0
        assert (after & expected).sum() > 0.85 * (after | expected).sum(), name
    photo.move([(at, at - [24, 2])], motion="whole")
    once = runtime.load(EXAMPLES / "coffee.png").move([((300, 200), (300, 208))], motion="whole")
    assert psnr(photo.image, once.image, moved.mask) > 40, "moved as a whole, any handle goes on with the motion"


def test_the_motion_of_a_drag_that_goes_on_is_of_the_photo_as_it_is(runtime: edgedrag.Runtime, cat: np.ndarray) -> None:
    """What the preview warps is the photo on the screen: it ends in what the drag makes of it."""
    mask, (handle, target) = disc(cat.shape, 250, 230, 70), ((250, 230), (270, 222))
    photo = runtime.load(cat)
    now = photo.move([(handle, target)], mask).image
    further = [(target, (262, 236))]
    motion = photo.motion(further, mask)
    flow = cv2.resize(motion.flow, (motion.window.width, motion.window.height))
    shown = now.copy()
    shown[motion.window.box] = warp(now[motion.window.box], flow, cv2.INTER_CUBIC)
    made = photo.move(further, mask).image
    inner = disc(cat.shape, 258, 230, 40)
    assert psnr(shown, made, inner) > 30 > psnr(now, made, inner)


def test_a_drag_goes_on_with_one_whose_beginning_was_dropped(runtime: edgedrag.Runtime, cat: np.ndarray) -> None:
    photo, at = runtime.load(cat, undo_limit=2), (265.0, 240.0)
    for _ in range(5):
        before, to = photo.image, (at[0] - 4, at[1] + 2)
        photo.move([(at, to)])
        assert np.array_equal(photo.undo().image, before) and not np.array_equal(photo.redo().image, before)
        at = to
