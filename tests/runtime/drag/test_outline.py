"""A thing is seen to end where an edge of the photo lies on its outline."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from edgedrag.runtime.drag.outline import (
    COMPACT,
    FAR,
    LESS_COMPACT,
    LIFTED,
    LIFTED_FROM,
    LIFTED_TURNING,
    WHOLE,
    is_distinct,
    is_lifted,
    moved_whole,
    outline_length,
    turns,
)

SIZE = (160, 200)


def picture(*shapes: tuple[str, tuple[int, ...], int]) -> np.ndarray:
    """Things of one grey level on textured ground, uint8 RGB."""
    drawn = np.random.default_rng(3).integers(90, 110, (*SIZE, 3)).astype(np.uint8)
    for kind, (x, y, *size), level in shapes:
        if kind == "disc":
            cv2.circle(drawn, (x, y), size[0], (level,) * 3, -1)
        else:
            cv2.rectangle(drawn, (x, y), (x + size[0], y + size[1]), (level,) * 3, -1)
    return drawn


def box(x: int, y: int, width: int, height: int) -> np.ndarray:
    held = np.zeros(SIZE, np.float32)
    held[y : y + height + 1, x : x + width + 1] = 1
    return held


CUP = ("box", (60, 50, 60, 50), 220)


@pytest.mark.parametrize("soft", [0.0, 1.5])
def test_a_thing_on_other_ground_is_distinct(soft: float) -> None:
    held = box(*CUP[1])
    held = cv2.GaussianBlur(held, (0, 0), soft) if soft else held
    assert is_distinct(held, picture(CUP))


def test_a_hold_that_misses_the_edge_by_a_pixel_or_two_is_distinct() -> None:
    for by in (-2, 2):
        assert is_distinct(box(60 - by, 50 - by, 60 + 2 * by, 50 + 2 * by), picture(CUP))


@pytest.mark.parametrize("width", [22, 30, 50])
def test_a_thing_that_goes_on_is_not(width: int) -> None:
    """An arm of the thing's own colour, which the hold cuts off."""
    arm = ("box", (119, 60, 80, width), CUP[2])
    assert not is_distinct(box(*CUP[1]), picture(CUP, arm))


def test_a_part_of_a_thing_or_of_the_ground_is_not() -> None:
    assert not is_distinct(box(80, 60, 20, 20), picture(CUP))
    assert not is_distinct(box(10, 10, 30, 30), picture())
    for nothing_or_all in (0, 1):
        assert not is_distinct(np.full(SIZE, nothing_or_all, np.float32), picture(CUP))


def test_a_thing_that_the_photo_cuts_is_seen_to_end_where_it_does() -> None:
    cut = ("box", (150, 50, 60, 50), 220)
    assert is_distinct(box(150, 50, 60, 50), picture(cut))


def test_the_outline_of_limbs_is_longer_than_that_of_compact_things() -> None:
    disc = cv2.circle(np.zeros(SIZE, np.uint8), (100, 80), 30, 1, -1).astype(np.float32)
    assert outline_length(disc) == pytest.approx(4.4, abs=0.1) and outline_length(box(60, 50, 60, 60)) < 4
    assert outline_length(box(60, 50, 40, 80)) < 5 < 7 < outline_length(box(20, 70, 150, 12))
    assert outline_length(disc * 0) == 0


def pull(length: float) -> np.ndarray:
    return np.array([[90, 75, 90 + length, 75]], np.float32)


def test_a_compact_thing_moves_more_and_more_as_one() -> None:
    held, seen = box(*CUP[1]), picture(CUP)
    size = float(held.sum()) ** 0.5
    shares = [moved_whole(pull(sizes * size), held, seen) for sizes in (0.05, 0.12, 0.2, 1.01 * WHOLE, 1)]
    assert shares[0] == 0 and shares == sorted(shares) and shares[-2:] == [1, 1]
    assert moved_whole(pull(size), held, picture()) == 0, "nothing is seen to end here"


def test_a_lever_bends_until_it_is_pulled_far() -> None:
    lever = ("box", (30, 70, 100, 30), 220)
    held, seen = box(*lever[1]), picture(lever)
    size = float(held.sum()) ** 0.5
    assert moved_whole(pull((FAR - 0.1) * size), held, seen) > 0, "compact enough"
    limb = ("box", (30, 70, 130, 20), 220)
    held, seen = box(*limb[1]), picture(limb)
    size = float(held.sum()) ** 0.5
    assert COMPACT < outline_length(held) < LESS_COMPACT
    assert moved_whole(pull((FAR - 0.1) * size), held, seen) == 0 < moved_whole(pull((FAR + 0.1) * size), held, seen)


def test_what_is_lifted_from_a_mask() -> None:
    held, seen, mask = box(*CUP[1]), picture(CUP), np.ones(SIZE, bool)
    far = max(LIFTED_FROM, LIFTED * float(held.sum()) ** 0.5)
    assert not is_lifted(pull(far - 0.5), held, mask, seen) and is_lifted(pull(far + 0.5), held, mask, seen)
    assert not is_lifted(pull(40), box(90, 70, 12, 12), mask, picture(("box", (90, 70, 12, 12), 220))), "a speck"
    assert not is_lifted(pull(40), held, mask, picture())


def test_what_two_drags_turn_is_lifted_by_shorter_ones() -> None:
    thing = ("box", (50, 20, 110, 110), 220)
    held, seen, mask = box(*thing[1]), picture(thing), np.ones(SIZE, bool)
    length = 0.5 * (LIFTED_TURNING + LIFTED) * float(held.sum()) ** 0.5
    assert length > LIFTED_FROM
    down, up, right, left = (0, length), (0, -length), (length, 0), (-length, 0)

    def pair(one: tuple[float, float], other: tuple[float, float]) -> np.ndarray:
        return np.array([[80, 75, 80 + one[0], 75 + one[1]], [130, 75, 130 + other[0], 75 + other[1]]], np.float32)

    assert turns(pair(down, up)) and is_lifted(pair(down, up), held, mask, seen)
    for one, other in ((left, right), (down, down), (right, right)):
        assert not turns(pair(one, other)) and not is_lifted(pair(one, other), held, mask, seen)
    assert not turns(pull(30))


def test_a_mask_may_cut_a_little_of_what_is_lifted() -> None:
    """Where it does, no edge of the photo lies on the outline."""
    arm = ("box", (100, 55, 99, 40), CUP[2])
    held, seen, mask = np.maximum(box(*CUP[1]), box(*arm[1])), picture(CUP, arm), np.ones(SIZE, bool)
    mask[:, 150:] = False
    assert is_lifted(pull(40), held * mask, mask, seen), "an arm, cut by the mask"
    assert not is_lifted(pull(40), held * mask, np.ones(SIZE, bool), seen), "cut by the hold"
    mask[:, 90:] = mask[75:] = False
    assert not is_lifted(pull(40), held * mask, mask, seen), "half of its outline is the mask's"
