"""The flow of a brush's stroke: what lies under it, how far it reaches, and what it does not take."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from edgedrag.runtime.drag.brush import (
    BRUSHES,
    MAX_DABS,
    MAX_POINTS,
    BrushName,
    Stroke,
    check_stroke,
    reach,
    smoothed,
    stroke_flow,
    stroke_window,
)
from edgedrag.runtime.drag.flow import jacobian
from edgedrag.runtime.errors import InputError
from edgedrag.runtime.photo.window import Window

HEIGHT, WIDTH = 400, 600


def line(*points: tuple[float, float], steps: int = 30) -> np.ndarray:
    """A path through some points, as a finger draws it."""
    share = np.linspace(0, len(points) - 1, steps * (len(points) - 1) + 1)
    return np.stack([np.interp(share, np.arange(len(points)), np.array(points)[:, axis]) for axis in (0, 1)], 1)


def made(brush: BrushName, path: np.ndarray, radius: float, strength: float = 1.0) -> tuple[Stroke, Window, np.ndarray]:
    stroke = check_stroke(brush, path, radius, strength, HEIGHT, WIDTH)
    window = stroke_window(stroke, HEIGHT, WIDTH)
    return stroke, window, stroke_flow(stroke, window)


def flow_at(flow: np.ndarray, window: Window, point: np.ndarray) -> np.ndarray:
    x, y = window.to_generator(np.asarray(point))
    return cv2.remap(flow, np.float32([[x]]), np.float32([[y]]), cv2.INTER_LINEAR)[0, 0]


@pytest.mark.parametrize("radius", [3, 12, 40])
def test_a_push_takes_along_what_lies_under_it(radius: float) -> None:
    start = np.array([150.0, 150.0])
    for far in (0.4, 2, 4):  # of the radius
        path = line(tuple(start), tuple(start + np.array([far, 0.5]) * radius))
        _, window, flow = made("push", path, radius)
        assert np.abs(flow_at(flow, window, path[-1]) - (start - path[-1])).max() < 0.02 * radius


def test_half_the_strength_pushes_less() -> None:
    path = line((150, 150), (200, 150))
    full, half = (made("push", path, 40, strength)[2] for strength in (1, 0.5))
    assert 0.2 < np.abs(half).max() / np.abs(full).max() < 0.8


def test_the_number_of_points_of_a_path_does_not_matter() -> None:
    corners = ((100.0, 100.0), (200.0, 150.0), (120.0, 220.0))
    for brush in ("push", "grow", "shrink"):
        few, many = (made(brush, line(*corners, steps=steps), 30)[2] for steps in (1, MAX_POINTS // 2 - 1))
        assert np.abs(few - many).max() < 0.05


@pytest.mark.parametrize("brush", ["push", "grow", "shrink"])
def test_nothing_moves_beyond_the_brush(brush: BrushName) -> None:
    path = line((100, 100), (220, 180), (150, 260))
    stroke, window, flow = made(brush, path, 30)
    x, y = np.meshgrid(np.arange(window.size[1]), np.arange(window.size[0]))
    at = (np.stack([x, y], -1) + 0.5) * window.scale - 0.5 + [window.left, window.top]
    near = np.min([np.hypot(*(at - point).transpose(2, 0, 1)) for point in path], 0)
    assert not flow[near > stroke.radius + 1e-3].any() and np.abs(flow).max() > 1


def test_one_dab_grows_or_shrinks_and_does_not_fold() -> None:
    for brush, larger in (("grow", True), ("shrink", False)):
        rests = np.repeat([[200.0, 200.0]], 12, 0)
        _, window, flow = made(brush, rests, 40)
        ahead = flow_at(flow, window, np.array([210.0, 200.0]))[0]
        assert (ahead < -1) if larger else (ahead > 1)
        assert np.abs(flow_at(flow, window, rests[0])).max() < 0.2, "the centre stays"
        _, _, determinant = jacobian(flow / window.scale)
        assert determinant.min() > 0
        once = made(brush, rests[:1], 40)[2]
        assert 0 < np.abs(once).max() < np.abs(flow).max() / 4


def test_a_push_that_rests_or_begins_moves_nothing() -> None:
    for path in ([[200.0, 200.0]], [[200.0, 200.0]] * 5):
        assert not made("push", np.array(path), 40)[2].any()


def test_smoothing_lowers_the_slopes_of_what_is_there() -> None:
    path = line((150, 200), (250, 200))
    stroke = check_stroke("smooth", path, 40, 1.0, HEIGHT, WIDTH)
    window = stroke_window(stroke, HEIGHT, WIDTH)
    shown = np.zeros((*window.size, 2), np.float32)
    shown[10:20, 30:60] = [6, -4]
    shown = cv2.GaussianBlur(shown, (0, 0), 2)
    after = smoothed(stroke, window, shown)

    def energy(field: np.ndarray) -> float:
        return float(sum((np.diff(field, axis=axis) ** 2).sum() for axis in (0, 1)))

    assert energy(after) < 0.5 * energy(shown)
    assert np.abs(shown).max() > np.abs(after).max()


@pytest.mark.parametrize("brush", BRUSHES)
def test_the_grid_stays_small_at_any_size(brush: BrushName) -> None:
    for radius, path in (
        (1, line((0, 0), (999, 0))),
        (4000, line((0, 0), (3999, 2999))),
        (20, line((-900, 9), (4500, 9))),
    ):
        window = stroke_window(check_stroke(brush, path, radius, 1.0, 3000, 4000), 3000, 4000)
        assert 0 < window.size[0] * window.size[1] < 2**20 and max(window.size) <= 2048
        assert (
            window.left >= 0
            and window.top >= 0
            and reach(check_stroke(brush, path, radius, 1.0, 3000, 4000), window).any()
        )
        assert window.left + window.width <= 4000 and window.top + window.height <= 3000


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ({"brush": "paint"}, "brush: 'paint' is none; there are: push, grow, shrink, smooth"),
        ({"brush": ["push"]}, "brush: "),
        ({"path": []}, "path: 0 points"),
        ({"path": [(1, 1)] * (MAX_POINTS + 1)}, "path: 10001 points"),
        ({"path": "push"}, "path: give a list of"),
        ({"path": [(1, 2, 3)]}, "path: give a list of"),
        ({"path": [(1, 2), (3,)]}, "path: give a list of"),
        ({"path": [("a", "b")]}, "path: give a list of"),
        ({"path": [(1, float("nan"))]}, "path: a coordinate is not a finite number near the photo"),
        ({"path": [(1, 1e9)]}, "path: a coordinate is not a finite number near the photo"),
        ({"path": [(700, 200), (900, 200)]}, "path: the brush does not touch the photo of 600 x 400 pixels"),
        ({"radius": 0}, "radius: 0 is not at least 1 and at most 600"),
        ({"radius": 601}, "radius: 601 is not"),
        ({"radius": float("nan")}, "radius: nan is not"),
        ({"radius": "40"}, "radius: '40' is not"),
        ({"radius": None}, "radius: None is not"),
        ({"strength": 0}, "strength: 0 is not above 0 and at most 1"),
        ({"strength": True}, "strength: True is not"),
        ({"strength": 1.5}, "strength: 1.5 is not"),
    ],
    ids=str,
)
def test_wrong_values_are_named(given: dict[str, object], says: str) -> None:
    values = {"brush": "push", "path": [(100, 100), (120, 100)], "radius": 30, "strength": 1.0, **given}
    with pytest.raises(InputError) as raised:
        check_stroke(height=HEIGHT, width=WIDTH, **values)
    assert says in str(raised.value)


def test_a_stroke_has_a_most_number_of_dabs() -> None:
    for path in (np.array([[0, 0], [599, 0]] * 4), np.repeat([[5, 5]], MAX_DABS + 2, 0)):
        with pytest.raises(InputError, match=rf"too long for a radius of 1: \d+ dabs, .* at most {MAX_DABS}"):
            made("grow", path, 1)
    assert not made("push", np.repeat([[5, 5]], MAX_DABS, 0), 1)[2].any()
