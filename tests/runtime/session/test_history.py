"""Many rounds on one photo, on the shipped bundle: nothing decays, and what is taken back is exact."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest

import edgedrag
from edgedrag.runtime.drag.flow import warp

EXAMPLES = Path(__file__).resolve().parents[3] / "examples"
Point = tuple[float, float]
MOVES: list[tuple[Point, Point]] = [((265, 240), (245, 250)), ((240, 210), (255, 195)), ((225, 245), (240, 262))]
FORMS = ["rgb", "grey", "grey_alpha", "rgba", "deep", "deep_grey"]


def disc(shape: tuple[int, ...], x: float, y: float, radius: float = 55) -> np.ndarray:
    rows, columns = np.mgrid[: shape[0], : shape[1]]
    return (columns - x) ** 2 + (rows - y) ** 2 < radius**2


def around(shape: tuple[int, ...], handle: Point, target: Point) -> np.ndarray:
    return disc(shape, (handle[0] + target[0]) / 2, (handle[1] + target[1]) / 2)


def as_form(rgb: np.ndarray, form: str) -> np.ndarray:
    photo = rgb[..., 0] if "grey" in form else rgb
    if "deep" in form:
        photo = photo.astype(np.uint16) * 257
    if "alpha" in form or form == "rgba":
        alpha = np.random.default_rng(0).integers(0, 255, (*rgb.shape[:2], 1), dtype=np.uint8)
        photo = np.concatenate([photo.reshape(*rgb.shape[:2], -1), alpha], -1)
    return photo


def psnr(image: np.ndarray, truth: np.ndarray, mask: np.ndarray) -> float:
    return float(10 * np.log10(255**2 / max(((image[mask].astype(float) - truth[mask]) ** 2).mean(), 1e-6)))


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
    assert np.array_equal(photo.image[mask], once[mask])
    between = disc(cat.shape, 240, 222, 20)
    over = photo.move([((243, 222), (246, 230))], between).image
    again = photo.move([((258, 226), (244, 238))], mask).image
    assert not np.array_equal(again, over), "drawn over since: the drag starts from the photo as it is"


def detail(picture: np.ndarray, mask: np.ndarray) -> float:
    """Energy of the second derivatives in a mask."""
    grey = cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY)
    return float((cv2.Laplacian(grey, cv2.CV_32F)[mask] ** 2).mean())


@pytest.mark.parametrize("form", FORMS)
def test_outside_each_mask_nothing_changes(runtime: edgedrag.Runtime, cat: np.ndarray, form: str) -> None:
    original = as_form(cat, form)
    photo, union = runtime.load(original), np.zeros(cat.shape[:2], bool)
    for handle, target in (*MOVES, *MOVES):
        before, mask = photo.image, around(cat.shape, handle, target)
        union |= mask
        after = photo.drag([(handle, target)], mask).image
        assert after.dtype == original.dtype and after.shape == original.shape
        assert np.array_equal(after[~mask], before[~mask]) and not np.array_equal(after, before)
        assert np.array_equal(after[~union], original[~union])
        if "alpha" in form or form == "rgba":
            assert np.array_equal(after[..., -1], original[..., -1])


def test_undo_and_redo_restore_the_state_with_the_pixels(runtime: edgedrag.Runtime, cat: np.ndarray) -> None:
    photo, straight = runtime.load(cat), runtime.load(cat)
    states = [cat]
    for handle, target in (*MOVES, *MOVES):
        states.append(photo.drag([(handle, target)], around(cat.shape, handle, target)).image)
    for state in states[-2::-1]:
        assert np.array_equal(photo.undo().image, state)
    for state in states[1:4]:
        assert np.array_equal(photo.redo().image, state)
    for handle, target in MOVES:
        straight.drag([(handle, target)], around(cat.shape, handle, target))
    other: tuple[Point, Point] = ((250, 240), (262, 225))
    mask = around(cat.shape, *other)
    assert np.array_equal(photo.drag([other], mask).image, straight.drag([other], mask).image)


def test_at_the_limit_the_oldest_edit_alone_is_dropped(runtime: edgedrag.Runtime, cat: np.ndarray) -> None:
    photo, states = runtime.load(cat, undo_limit=2), [cat]
    for number, (handle, target) in enumerate(MOVES):
        mask = around(cat.shape, handle, target)
        if number == 2:
            preview = photo.preview([(handle, target)], mask)
            cancelled = photo.drag_steps([(handle, target)], mask, steps=1)
            next(cancelled)
            cancelled.close()
            assert photo.undo_count == 2, "a drag that was cancelled costs no history"
        states.append(photo.move([(handle, target)], mask).image)
        assert photo.undo_count == (1, 2, 2)[number]
    assert np.array_equal(states[3], preview), "the preview shows what the edit makes, at the limit too"
    assert np.array_equal(states[3], runtime.load(states[2]).move([MOVES[2]], mask).image)
    for state in (states[2], states[1]):
        assert np.array_equal(photo.undo().image, state)
    assert (photo.undo_count, photo.redo_count) == (0, 2)
    for state in states[2:]:
        assert np.array_equal(photo.redo().image, state)
    for number in range(12):
        states.append(photo.move([MOVES[number % 3]], around(cat.shape, *MOVES[number % 3])).image)
        assert photo.undo_count == 2 and len(photo._history._state()[1]) <= 3, "bounded"
    assert np.array_equal(photo.undo().image, states[-2]) and np.array_equal(photo.undo().image, states[-3])
    continued = photo.move([MOVES[0]], around(cat.shape, *MOVES[0])).image
    assert photo.undo_count == 1 and np.array_equal(photo.undo().image, states[-3]), "and goes on from there"
    assert not np.array_equal(continued, states[-3])


def test_a_drag_goes_on_with_one_whose_beginning_was_dropped(runtime: edgedrag.Runtime, cat: np.ndarray) -> None:
    photo, at = runtime.load(cat, undo_limit=2), (265.0, 240.0)
    for _ in range(5):
        before, to = photo.image, (at[0] - 4, at[1] + 2)
        photo.move([(at, to)])
        assert np.array_equal(photo.undo().image, before) and not np.array_equal(photo.redo().image, before)
        at = to


def test_restoring_is_exact_where_painted_and_can_be_undone(runtime: edgedrag.Runtime, cat: np.ndarray) -> None:
    photo = runtime.load(cat, undo_limit=3)
    for handle, target in MOVES:
        photo.move([(handle, target)], around(cat.shape, handle, target))
    edited = photo.image
    mask = np.zeros(cat.shape[:2], bool)
    mask[:, : cat.shape[1] // 2] = True
    for _ in range(2):  # the second time the stack is full
        change = photo.restore(mask)
        assert np.array_equal(change.image[mask], cat[mask]) and np.array_equal(change.image[~mask], edited[~mask])
        again = photo.move([MOVES[0]], around(cat.shape, *MOVES[0]))
        assert not np.array_equal(again.image, change.image)
        assert np.array_equal(photo.undo().image, change.image)
        assert np.array_equal(photo.undo().image, edited)
    assert np.array_equal(photo.restore().image, cat) and photo.picture.edited
    assert np.array_equal(photo.undo().image, edited)


def test_what_is_protected_never_changes(runtime: edgedrag.Runtime, cat: np.ndarray) -> None:
    photo = runtime.load(cat)
    free = photo.move([MOVES[0]]).image
    photo.undo()
    changed = (free != cat).any(-1)
    protected = changed & (np.arange(cat.shape[1]) > np.nonzero(changed)[1].mean())
    photo.protect(protected)
    motion, edit = photo.motion([MOVES[0]]), photo.move([MOVES[0]])
    assert not motion.region[protected].any() and np.array_equal(edit.image[protected], cat[protected])
    assert (edit.image[changed & ~protected] != cat[changed & ~protected]).any()
    further = photo.move([(MOVES[0][1], MOVES[0][0])])
    assert np.array_equal(further.image[protected], cat[protected]), "nor by a drag that goes on with an earlier one"
    photo.protect(np.ones(cat.shape[:2], bool))
    with pytest.raises(edgedrag.InputError, match="protected"):
        photo.move([MOVES[0]])
    photo.protect(None)
    photo.undo(), photo.undo()
    assert np.array_equal(photo.move([MOVES[0]]).image, free)


def test_a_picture_is_edited_while_an_edit_is_in_it(runtime: edgedrag.Runtime, cat: np.ndarray) -> None:
    photo = runtime.load(cat, undo_limit=1)
    assert not photo.picture.edited
    assert photo.move([((265, 240), (255, 245))]).picture.edited and photo.picture.edited
    assert not photo.undo().picture.edited and photo.redo().picture.edited
    photo.move([((265, 240), (255, 245))])
    assert photo.undo().picture.edited, "the first edit cannot be undone any more"


def test_changes_say_where_they_are(runtime: edgedrag.Runtime, cat: np.ndarray) -> None:
    photo, states = runtime.load(cat), [cat]
    changes: list[edgedrag.Change] = [photo.move([move], around(cat.shape, *move)) for move in MOVES]
    changes += [photo.undo(), photo.undo(), photo.redo()]
    for change in changes:
        outside = np.ones(cat.shape[:2], bool)
        outside[change.box] = False
        assert np.array_equal(change.image[outside], states[-1][outside])
        assert not np.array_equal(change.image[change.box], states[-1][change.box])
        states.append(change.image)
    assert change.picture is photo.picture


def test_a_preview_shows_what_the_drag_will(runtime: edgedrag.Runtime, cat: np.ndarray) -> None:
    photo = runtime.load(cat)
    handle, target = MOVES[0]
    mask = around(cat.shape, handle, target)
    moved = photo.drag([(handle, target)], mask).image
    assert np.array_equal(photo.preview([(target, handle)], mask), cat)
    other = photo.preview([MOVES[1]], mask)
    assert np.array_equal(other[~mask], moved[~mask]) and not np.array_equal(other, moved)
    assert np.array_equal(photo.image, moved)


def test_rounds_without_a_flow(toy: Path, cat: np.ndarray) -> None:
    photo = edgedrag.open(toy).load(cat)
    states = [cat]
    for k, (handle, target) in enumerate(MOVES):
        mask = around(cat.shape, handle, target)
        states.append(photo.drag([(handle, target)], mask, seed=k).image)
        assert np.array_equal(states[-1][~mask], states[-2][~mask])
        assert not np.array_equal(states[-1][mask], states[-2][mask])
    fresh = edgedrag.open(toy).load(states[2]).drag([MOVES[2]], mask, seed=2).image
    deep = disc(cat.shape, 232, 253, 40)
    assert np.array_equal(fresh[deep], states[3][deep]), "what is drawn last is what shows"
    handle, target = MOVES[2]
    assert np.array_equal(photo.drag([(target, handle)], mask).image, states[2])


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


MEMORY = """
import pathlib, sys, numpy as np, edgedrag
from edgedrag.benchmarks.latency.worker import peak_memory_mb
cat = edgedrag.load_picture(sys.argv[1]).pixels
photo = edgedrag.open().load(np.tile(cat, (10, 9, 1))[:3000, :4000])
rows, columns = np.ogrid[:3000, :4000]
for k in range(8):
    x, y = 2000 + 60 * (k % 3), 1500 + 40 * (k % 2)
    mask = (columns - x) ** 2 + (rows - y) ** 2 < 300**2
    photo.drag([((x, y), (x + 70 - 20 * k, y + 30))], mask)
edgedrag.save_picture(pathlib.Path(sys.argv[2]), photo.picture)
print(peak_memory_mb())
"""


@pytest.mark.slow
def test_many_rounds_stay_light_at_twelve_megapixels(tmp_path: Path) -> None:
    cat = EXAMPLES / "chelsea.png"
    command = [sys.executable, "-c", MEMORY, str(cat), str(tmp_path / "out.png")]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    assert float(done.stdout) < 600  # MB
