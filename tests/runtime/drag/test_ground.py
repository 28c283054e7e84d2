"""The ground is made of the photo's own pixels: where they come from, and how they are rendered."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from edgedrag.runtime.drag.ground import Ground, ground_flow, make_ground

RNG = np.random.default_rng(0)
SIZE = 96
EVERY = np.s_[0:SIZE, 0:SIZE]


def noise(size: int = SIZE) -> np.ndarray:
    coarse = RNG.integers(0, 255, (size // 4, size // 4, 3), dtype=np.uint8)
    return cv2.resize(coarse, (size, size), interpolation=cv2.INTER_CUBIC)


def box_hole(top: int, left: int, height: int, width: int, size: int = SIZE) -> np.ndarray:
    hole = np.zeros((size, size), bool)
    hole[top : top + height, left : left + width] = True
    return hole


HOLES = {
    "inside": box_hole(30, 40, 22, 18),
    "at the corner": box_hole(0, 0, 25, 30),
    "along the border": box_hole(60, 0, SIZE - 60, SIZE),
    "one pixel": box_hole(50, 50, 1, 1),
    "nearly everything": ~box_hole(3, 5, 9, 12),
    "all but one pixel": ~box_hole(7, 90, 1, 1),
    "speckles": RNG.random((SIZE, SIZE)) > 0.9,
}


@pytest.mark.parametrize("name", HOLES)
def test_offsets_end_in_the_rest_of_the_picture(name: str) -> None:
    hole = HOLES[name]
    offsets = ground_flow(noise(), hole)
    assert offsets.dtype == np.float32 and offsets.shape == (SIZE, SIZE, 2)
    assert not offsets[~hole].any()
    y, x = np.nonzero(hole)
    to_x, to_y = (offsets[hole] + np.stack([x, y], 1)).T
    assert np.array_equal(to_x, np.rint(to_x)) and np.array_equal(to_y, np.rint(to_y))
    assert to_x.min() >= 0 and to_x.max() < SIZE and to_y.min() >= 0 and to_y.max() < SIZE
    assert not hole[to_y.astype(int), to_x.astype(int)].any()


def test_offsets_end_where_it_is_allowed() -> None:
    hole, allowed = HOLES["inside"], box_hole(0, 60, SIZE, 36)
    offsets = ground_flow(noise(), hole, allowed)
    y, x = np.nonzero(hole)
    to_x, to_y = (offsets[hole] + np.stack([x, y], 1)).astype(int).T
    assert allowed[to_y, to_x].all()


def test_what_is_not_wanted_of_a_hole_is_not_filled_and_not_copied() -> None:
    """The rest of the hole is a thing of one colour, which the ground beside it takes no part of."""
    hole, wanted = box_hole(20, 20, 56, 56), box_hole(20, 20, 56, 10)
    picture = noise()
    picture[hole] = (255, 0, 255)
    offsets = ground_flow(picture, hole, None, wanted)
    assert not offsets[~wanted].any() and offsets[wanted].any(-1).all()
    y, x = np.nonzero(wanted)
    to_x, to_y = (offsets[wanted] + np.stack([x, y], 1)).astype(int).T
    assert not hole[to_y, to_x].any()
    other = picture.copy()
    other[hole & ~wanted] = (0, 255, 0)
    assert np.array_equal(ground_flow(other, hole, None, wanted), offsets)


def test_what_leaves_nothing_to_copy_from_is_as_if_nothing_were_said() -> None:
    picture, hole = noise(), HOLES["inside"]
    assert np.array_equal(ground_flow(picture, hole, hole), ground_flow(picture, hole))


@pytest.mark.parametrize("value", [False, True])
def test_no_hole_and_no_photo_fill_nothing(value: bool) -> None:
    picture = noise()
    ground = make_ground(picture, np.full((SIZE, SIZE), value))
    assert np.array_equal(ground.render(picture, EVERY), picture)


def test_the_same_picture_gives_the_same_ground() -> None:
    picture = noise()
    first, second = make_ground(picture, HOLES["inside"]), make_ground(picture.copy(), HOLES["inside"].copy())
    assert np.array_equal(first.offsets, second.offsets) and np.array_equal(first.colour, second.colour)


@pytest.mark.parametrize("period", [4, 8, 12])
@pytest.mark.parametrize("kind", ["stripes", "checkerboard"])
def test_a_repeating_texture_goes_on(kind: str, period: int) -> None:
    y, x = np.mgrid[:SIZE, :SIZE] // (period // 2)
    light = (x if kind == "stripes" else x + y) % 2 == 1
    picture = np.where(light[..., None], np.uint8([200, 180, 90]), np.uint8([30, 60, 120]))
    hole = cv2.circle(np.zeros((SIZE, SIZE), np.uint8), (50, 44), 14, 1, -1) > 0
    hidden = np.where(hole[..., None], np.uint8([255, 0, 0]), picture)
    filled = make_ground(hidden, hole).render(hidden, EVERY)
    assert np.abs(filled - picture).max() <= 4


def test_an_edge_goes_on() -> None:
    picture = np.full((SIZE, SIZE, 3), 40, np.uint8)
    picture[:, 50:] = 210
    hole = cv2.circle(np.zeros((SIZE, SIZE), np.uint8), (50, 44), 16, 1, -1) > 0
    hidden = np.where(hole[..., None], np.uint8([0, 255, 0]), picture)
    filled = make_ground(hidden, hole).render(hidden, EVERY)
    assert np.abs(filled - picture).max() <= 4


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
@pytest.mark.parametrize("channels", [1, 3])
def test_native_pixels_are_copied(dtype: type, channels: int) -> None:
    """At twice the generator's size, with one offset everywhere in the hole, without a colour: bit by bit."""
    photo = RNG.integers(0, np.iinfo(dtype).max, (2 * SIZE, 2 * SIZE, channels), dtype=dtype, endpoint=True)
    hole = HOLES["inside"]
    offsets = np.where(hole[..., None], np.float32([20, -10]), np.float32(0))
    rendered = Ground(offsets, np.zeros((SIZE, SIZE, 3), np.uint8), hole).render(
        photo, np.s_[0 : 2 * SIZE, 0 : 2 * SIZE]
    )
    assert rendered.dtype == np.float32
    whole = np.repeat(np.repeat(hole, 2, 0), 2, 1)
    inner = cv2.erode(whole.view(np.uint8), np.ones((3, 3))).view(bool)
    outer = cv2.dilate(whole.view(np.uint8), np.ones((3, 3))).view(bool)
    moved = np.roll(photo, (20, -40), (0, 1))
    assert np.array_equal(rendered[inner], moved[inner])
    assert np.array_equal(rendered[~outer], photo[~outer])


def test_a_part_is_part_of_the_whole_across_strips() -> None:
    photo = RNG.integers(0, 255, (700, 350, 3), dtype=np.uint8)
    picture = cv2.resize(photo, (SIZE, SIZE), interpolation=cv2.INTER_AREA)
    ground = make_ground(picture, HOLES["inside"])
    whole = ground.render(photo, np.s_[0:700, 0:350])
    part = ground.render(photo, np.s_[200:390, 130:300])
    np.testing.assert_allclose(part, whole[200:390, 130:300], atol=1e-2)


def test_a_step_in_brightness_at_the_rim_is_spread() -> None:
    """Copied from a darker side: the correction brings most of the way at the rim."""
    picture = np.full((SIZE, SIZE, 3), 100, np.uint8)
    picture[:, 70:] = 90
    hole = HOLES["inside"]
    ground = make_ground(picture, hole, box_hole(0, 72, SIZE, 24))
    filled = ground.render(picture, EVERY)
    assert np.abs(filled[hole] - 100).max() <= 3
