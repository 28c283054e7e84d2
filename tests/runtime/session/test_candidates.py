"""Several answers to one drag."""

from __future__ import annotations

from dataclasses import replace

import cv2
import numpy as np
import pytest

import edgedrag
from edgedrag.runtime.bundle.graphs import DRAG_STAGES
from edgedrag.runtime.session.candidates import distinct
from edgedrag.runtime.session.variants import VARIANTS, VARIANTS_IN_MASK

DRAG = [((265.0, 240.0), (245.0, 250.0))]


def oval(shape: tuple[int, ...], centre: tuple[int, int] = (250, 235), radius: int = 60) -> np.ndarray:
    y, x = np.mgrid[: shape[0], : shape[1]]
    return (x - centre[0]) ** 2 + (y - centre[1]) ** 2 < radius**2


def test_candidates_differ_change_nothing_and_one_is_chosen(runtime: edgedrag.Runtime, cat: np.ndarray) -> None:
    photo = runtime.load(cat)
    edits = photo.candidates(DRAG, count=3)
    assert len(edits) == 3 and np.array_equal(photo.image, cat) and photo.undo_count == 0
    assert len({edit.image.tobytes() for edit in edits}) == 3
    for edit in edits:
        assert np.array_equal(edit.image[~edit.mask], cat[~edit.mask])
    photo.choose(edits[1])
    assert np.array_equal(photo.image, edits[1].image) and np.array_equal(photo.undo().image, cat)
    photo.redo()
    with pytest.raises(edgedrag.InputError, match="changed while this drag ran"):
        photo.choose(edits[2])
    for count in (0, 7, 1.5, True):
        with pytest.raises(edgedrag.InputError, match="count"):
            photo.candidates(DRAG, count=count)  # type: ignore[arg-type]


def test_the_first_candidate_is_the_drag_itself(runtime: edgedrag.Runtime, cat: np.ndarray) -> None:
    for mask in (None, oval(cat.shape)):
        edit, first = runtime.load(cat).drag(DRAG, mask), runtime.load(cat).candidates(DRAG, mask)[0]
        assert np.array_equal(edit.image, first.image) and edit.motion == first.motion != "auto"
    with pytest.raises(edgedrag.InputError, match="motion"):
        runtime.load(cat).drag(DRAG, motion="fly")  # type: ignore[arg-type]


def test_no_candidate_is_made_that_is_not_offered(runtime: edgedrag.Runtime) -> None:
    """Alike ones are made and left out, further ones not made."""
    runtime = edgedrag.open(threads=1)
    edit = runtime.load(np.random.default_rng(0).integers(0, 255, (64, 64, 3), dtype=np.uint8)).drag(
        [((30, 30), (34, 30))]
    )
    other = replace(edit, picture=replace(edit.picture, pixels=255 - edit.image))
    made = iter([edit, edit, other, edit])
    assert distinct(made, 2) == [edit, other] and list(made) == [edit]


def test_candidates_in_a_mask_are_made_once_each(runtime: edgedrag.Runtime, cat: np.ndarray) -> None:
    """The mask says what may move, so that they differ in how it does."""
    edits = runtime.load(cat).candidates(DRAG, oval(cat.shape), count=len(VARIANTS_IN_MASK))
    assert [edit.motion for edit in edits] == [variant.motion for variant in VARIANTS_IN_MASK]


def test_the_generator_runs_once_and_others_are_the_motion_alone(
    runtime: edgedrag.Runtime, cat: np.ndarray, stages_run: list[str]
) -> None:
    edits = runtime.load(cat).candidates(DRAG)
    assert [stage for stage in stages_run if stage in DRAG_STAGES] == list(DRAG_STAGES)
    assert edits[0].steps == 1
    for edit, variant in zip(edits[1:], VARIANTS[1:], strict=False):
        assert edit.steps == 0 and edit.motion == variant.motion
        moved = runtime.load(cat).move(DRAG, motion=variant.motion, answer=variant.answer)
        assert np.array_equal(edit.image, moved.image)


def test_where_answers_hold_the_same_they_move_alike_and_one_is_given(runtime: edgedrag.Runtime) -> None:
    """A disc on one colour is part, thing and group, so that further ways to move it are offered."""
    photo = np.full((256, 256, 3), 90, np.uint8)
    cv2.circle(photo, (128, 128), 40, (220, 60, 40), -1)
    edits = runtime.load(photo).candidates([((128, 128), (150, 128))], count=len(VARIANTS))
    assert 1 <= len(edits) < len(VARIANTS)
    assert len({edit.image.tobytes() for edit in edits}) == len(edits)


def test_an_answer_all_of_which_is_protected_is_left_out(runtime: edgedrag.Runtime, cat: np.ndarray) -> None:
    photo = runtime.load(cat)
    part = photo.motion(DRAG, answer="part").region
    photo.protect(part)
    edits = photo.candidates(DRAG)
    assert [edit.motion for edit in edits] == ["bend", "whole", "whole"], "the thing, the group, the thing"
    for edit in edits:
        assert np.array_equal(edit.image[part], cat[part])
    photo.protect(photo.motion(DRAG).region | part)
    with pytest.raises(edgedrag.InputError, match="protected"):
        photo.candidates(DRAG)


def test_wrong_steps_and_seeds_are_refused_before_any_work(runtime: edgedrag.Runtime, cat: np.ndarray) -> None:
    photo = runtime.load(cat)
    for wrong in ({"steps": 0}, {"seed": -1}, {"steps": 1.5}):
        with pytest.raises(edgedrag.InputError, match=next(iter(wrong))):
            photo.candidates(DRAG, **wrong)  # type: ignore[arg-type]
    with pytest.raises(edgedrag.InputError, match="outside"):
        photo.candidates([((-20.0, 240.0), (245.0, 250.0))])
