from __future__ import annotations

import numpy as np
import pytest

from edgedrag.runtime.drag.drags import check_drags, check_handles_in_mask, parse_drag
from edgedrag.runtime.errors import InputError


def test_parse() -> None:
    assert parse_drag("12,30.5:40,50") == ((12.0, 30.5), (40.0, 50.0))


@pytest.mark.parametrize("text", ["", "1,2", "1,2:3", "1,2:3,4:5,6", "a,b:c,d", "1;2:3;4", "1,2,3:4,5"])
def test_parse_refuses(text: str) -> None:
    with pytest.raises(InputError, match="X,Y:X,Y"):
        parse_drag(text)


def test_points() -> None:
    points = check_drags([((1, 2), (3, 4)), ((0, 0), (9, 7))], height=8, width=10)
    assert points.tolist() == [[1, 2, 3, 4], [0, 0, 9, 7]]


@pytest.mark.parametrize(
    ("drags", "words"),
    [
        ([], "0 given"),
        ([((i, 0), (0, 0)) for i in range(65)], "65 given"),
        ([((float("nan"), 0), (1, 1))], "finite"),
        ([((1, 1), (float("inf"), 1))], "finite"),
        ([((100, 1), (1, 1))], "outside the photo"),
        ([((1, 1), (1, 50))], "outside the photo"),
        ([((-1, 1), (1, 1))], "outside the photo"),
        ([((1, 1), (2, 2)), ((1.2, 0.9), (3, 3))], "different targets"),
        ([(1, 2, 3, 4)], "give a list"),
        ("nonsense", "give a list"),
    ],
)
def test_refused(drags: list, words: str) -> None:
    with pytest.raises(InputError, match=words):
        check_drags(drags, height=50, width=100)


def test_one_handle_twice_with_one_target_is_no_contradiction() -> None:
    assert len(check_drags([((1, 1), (2, 2)), ((1, 1), (2, 2))], 50, 100)) == 2


def test_handle_outside_mask() -> None:
    mask = np.zeros((10, 10), bool)
    mask[2:5, 2:5] = True
    check_handles_in_mask(np.array([[2, 4, 9, 9]]), mask)
    with pytest.raises(InputError, match="outside the mask"):
        check_handles_in_mask(np.array([[5, 4, 2, 2]]), mask)
