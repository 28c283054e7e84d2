"""What is held at a point: of which pixels, how exactly, and what is asked amiss. On a bundle without graphs for it."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import edgedrag
import edgedrag.runtime.hold.soft_map as soft_map
from edgedrag.runtime.hold.hold import NAMES
from edgedrag.runtime.hold.outlines import draw_outlines, outline

POINT = (150.0, 110.0)


@pytest.fixture
def plain(toy: Path) -> edgedrag.Runtime:
    """A bundle without graphs for the hold."""
    return edgedrag.open(toy)


def scene(height: int, width: int) -> tuple[np.ndarray, np.ndarray]:
    """A noisy red ellipse around POINT (of 300 x 240 pixels) on noisy green, uint8; and where it is, bool."""
    y, x = np.mgrid[:height, :width]
    thing = ((x / width - 0.5) / 0.2) ** 2 + ((y / height - 0.46) / 0.25) ** 2 < 1
    colours = np.where(thing[..., None], [190, 60, 50], [70, 110, 80])
    noise = np.random.default_rng(3).normal(0, 6, colours.shape)
    return np.clip(colours + noise, 0, 255).astype(np.uint8), thing


def overlap(a: np.ndarray, b: np.ndarray) -> float:
    return float((a & b).sum() / (a | b).sum())


def test_a_thing_that_stands_out_is_held_up_to_its_edge(plain: edgedrag.Runtime) -> None:
    photo, thing = scene(240, 300)
    hold = plain.load(photo).hold(POINT)
    held = hold.on_photo()
    assert held.shape == photo.shape[:2] and held.dtype == np.float32 and 0 <= held.min() and held.max() == 1
    assert overlap(held > 0.5, thing) > 0.95
    assert np.array_equal(held[hold.box], hold.map)


def test_edges_are_those_of_the_native_pixels(plain: edgedrag.Runtime) -> None:
    photo, thing = scene(960, 1200)
    held = plain.load(photo).hold((600, 440)).on_photo() > 0.5
    wrong = (held != thing).astype(np.uint8)
    near = cv2.morphologyEx(thing.astype(np.uint8), cv2.MORPH_GRADIENT, np.ones((9, 9), np.uint8))
    assert not cv2.erode(wrong, np.ones((3, 3), np.uint8))[near == 0].any(), "further than 4 pixels from the edge"
    assert overlap(held, thing) > 0.99, "at low resolution a pixel is nearly five wide"


def test_the_answers_lie_in_each_other_and_hold_the_point(plain: edgedrag.Runtime, cat: np.ndarray) -> None:
    for point in ((265, 240), (0, 0), (450, 299), (100.4, 20.6)):
        hold = plain.load(cat).hold(point)
        assert tuple(h.name for h in hold.alternatives) == NAMES and not hold.alternatives[0].alternatives
        maps = [h.on_photo() for h in hold.alternatives]
        assert all(m[round(point[1]), round(point[0])] == 1 for m in maps)
        sizes = [float(m.sum()) for m in maps]
        assert sizes == sorted(sizes)
        assert np.array_equal(hold.on_photo(), maps[NAMES.index(hold.name)])


def test_a_mask_bounds_what_is_held(plain: edgedrag.Runtime) -> None:
    photo, thing = scene(240, 300)
    mask = np.zeros(thing.shape, bool)
    mask[:, 120:] = True
    held = plain.load(photo).hold(POINT, mask).on_photo()
    assert not held[~mask].any() and overlap(held > 0.5, thing & mask) > 0.9


def test_holding_changes_nothing_and_is_the_same_again(plain: edgedrag.Runtime, cat: np.ndarray) -> None:
    photo = plain.load(cat)
    first = photo.hold((265, 240)).on_photo()
    photo.hold((40, 40))
    assert np.array_equal(photo.hold((265, 240)).on_photo(), first)
    assert np.array_equal(plain.load(cat).hold(np.array([265, 240])).on_photo(), first)
    assert np.array_equal(photo.image, cat) and not photo.undo_count


def test_a_hold_is_of_the_photo_as_it_is_now(plain: edgedrag.Runtime) -> None:
    photo, thing = scene(240, 300)
    loaded = plain.load(photo)
    before = loaded.hold(POINT).on_photo()
    loaded.drag([(POINT, (190.0, 110.0))], np.ones(thing.shape, bool))
    assert not np.array_equal(loaded.hold(POINT).on_photo(), before)
    loaded.undo()
    assert np.array_equal(loaded.hold(POINT).on_photo(), before)


@pytest.mark.parametrize("form", ["grey", "grey_alpha", "rgba", "deep", "deep_grey"])
def test_every_picture_form_is_held_alike(plain: edgedrag.Runtime, form: str) -> None:
    photo, thing = scene(240, 300)
    alpha = np.full((*thing.shape, 1), 200, np.uint8)
    photo = {
        "grey": photo[..., 0],
        "grey_alpha": np.concatenate([photo[..., :1], alpha], -1),
        "rgba": np.concatenate([photo, alpha], -1),
        "deep": photo.astype(np.uint16) * 257,
        "deep_grey": photo[..., 0].astype(np.uint16) * 257,
    }[form]
    assert overlap(plain.load(photo).hold(POINT).on_photo() > 0.5, thing) > 0.95


@pytest.mark.parametrize("shape", [(1, 1), (2, 1), (5, 3), (40, 900), (1200, 7)])
def test_odd_photos(plain: edgedrag.Runtime, shape: tuple[int, int]) -> None:
    photo = np.random.default_rng(0).integers(0, 255, (*shape, 3), dtype=np.uint8)
    for point in ((0, 0), (shape[1] - 1, shape[0] - 1)):
        held = plain.load(photo).hold(point).on_photo()
        assert held.shape == shape and held[point[1], point[0]] == 1


@pytest.mark.parametrize("point", [
    (-1, 5), (300, 5), (5, 240), (math.nan, 5), (5, math.inf), (10**400, 5), (1,), (1, 2, 3), ((1, 2), (3, 4)), [],
    None, "12", b"ab", 5, (True, False), ("1", "2"), (1j, 2), {1: 2, 3: 4}, np.zeros((2, 1)),
])  # fmt: skip
def test_points_that_cannot_be_held_are_input_errors(plain: edgedrag.Runtime, point: Any) -> None:
    with pytest.raises(edgedrag.InputError, match="point"):
        plain.load(scene(240, 300)[0]).hold(point)


@given(
    st.recursive(st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.binary(), st.lists)
    | st.tuples(st.floats(allow_nan=True), st.floats())
)
@settings(deadline=None, max_examples=50, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_nothing_that_is_given_as_a_point_raises_anything_else(plain: edgedrag.Runtime, point: Any) -> None:
    photo = plain.load(np.zeros((9, 9, 3), np.uint8))
    try:
        photo.hold(point)
    except edgedrag.InputError as error:
        assert str(error).startswith("point")


def test_masks_that_cannot_bound_a_hold_are_input_errors(plain: edgedrag.Runtime) -> None:
    photo = plain.load(scene(240, 300)[0])
    elsewhere = np.zeros((240, 300), bool)
    elsewhere[:20] = True
    for mask, words in ((elsewhere, "outside the mask"), (elsewhere[:10], "mask"), (elsewhere & False, "empty")):
        with pytest.raises(edgedrag.InputError, match=words):
            photo.hold(POINT, mask)


def test_outlines_go_around_what_is_held(plain: edgedrag.Runtime) -> None:
    photo, thing = scene(240, 300)
    hold = plain.load(photo).hold(POINT)
    filled = np.zeros(thing.shape, np.uint8)
    cv2.fillPoly(filled, outline(hold), 1)
    assert overlap(filled > 0, thing) > 0.95
    drawn = draw_outlines(photo[..., 0], hold)
    assert drawn.shape == photo.shape and np.array_equal(drawn[5, 5], photo[5, 5, [0, 0, 0]])
    assert (drawn != photo[..., :1]).any(-1)[cv2.Canny(filled * 255, 100, 200) > 0].mean() > 0.9


def test_tiles_away_from_the_edge_are_what_every_pixel_gives(
    plain: edgedrag.Runtime, monkeypatch: pytest.MonkeyPatch
) -> None:
    photo, _ = scene(960, 1200)
    hold = plain.load(photo).hold((600, 440))
    fast = hold.map
    monkeypatch.setattr(soft_map, "FLAT", -1.0)
    again = plain.load(photo).hold((600, 440)).map
    np.testing.assert_allclose(fast, again, atol=2e-3)
    assert (fast == 1).mean() > 0.3 and (fast == 0).mean() > 0.1
