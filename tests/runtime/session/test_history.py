"""The history of a photo, on the shipped bundle: many rounds, undo, redo, what is restored and what is protected."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from conftest import EXAMPLES
from rounds import FORMS, MOVES, Point, around, as_form, disc

import edgedrag


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
        assert photo.undo_count == 2 and len(photo._history.state()[1]) <= 3, "bounded"
    assert np.array_equal(photo.undo().image, states[-2]) and np.array_equal(photo.undo().image, states[-3])
    continued = photo.move([MOVES[0]], around(cat.shape, *MOVES[0])).image
    assert photo.undo_count == 1 and np.array_equal(photo.undo().image, states[-3]), "and goes on from there"
    assert not np.array_equal(continued, states[-3])


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
