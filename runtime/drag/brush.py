"""Strokes of a brush as a backward flow: push, grow, shrink and smooth.

A stroke is a row of *dabs*, SPACING of the radius apart along its path. A dab at c moves what lies within the radius r,
with the weight w(p) = (1 - |p - c|^4 / r^4)^2, which is flat around c, so that what is pushed stays under the brush:

    push      b(p) = -s w(p) (c - c'), c' = the dab before: what lies under the brush goes with it
    grow      b(p) = -s w(p) (p - c) GROWTH; shrink has the other sign

and is composed with the flow F of the dabs before it, F'(p) = b(p) + F(p + b(p)). Where a dab ends, w and its slope
are 0, so a stroke never reaches beyond its dabs. Smooth changes U, where the photo's pixels come from already, by

    s w(p) SMOOTHING (G * U - U)(p)        G = a Gaussian of WIDTH

s is the strength.

The page of the studio computes the same for its preview (studio/static/field.js); a test compares the two.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, get_args

import cv2
import numpy as np

from edgedrag.runtime.drag.drags import as_numbers
from edgedrag.runtime.drag.flow import grid
from edgedrag.runtime.errors import InputError
from edgedrag.runtime.photo.window import Window

BrushName = Literal["push", "grow", "shrink", "smooth"]
BRUSHES: tuple[BrushName, ...] = get_args(BrushName)
StrokePath = Sequence[Sequence[float] | np.ndarray] | np.ndarray

MAX_POINTS, MAX_DABS = 10_000, 4096  # of a stroke
SPACING = 1 / 4  # of the radius, between two dabs
GROWTH = 0.045  # of the distance from the centre, by a dab of full strength
SMOOTHING = 0.25  # of the difference to the mean around, likewise
WIDTH = 1 / 3  # of the radius: the Gaussian width of that mean
CELLS = 16  # of the flow's grid in a radius: each dab blurs the flow by half a cell
MAX_CELLS, MAX_SIDE = 2**19, 2048  # of the whole grid, and of its longer side
MOST_THICK = 32767  # pixels: of a line that OpenCV draws


@dataclass(frozen=True)
class Stroke:
    """A checked stroke: `path` float64 [N, 2] as x, y and `radius` in photo pixels, `strength` in 0..1."""

    brush: BrushName
    path: np.ndarray
    radius: float
    strength: float

    @property
    def sign(self) -> float:
        """Of growth."""
        return {"grow": 1.0, "shrink": -1.0}.get(self.brush, 0.0)

    def dabs(self) -> tuple[np.ndarray, np.ndarray]:
        """The centres of the dabs and the ways to them from those before, float64 [N, 2] each.

        A point that is repeated is a dab more, unless the brush is "push": there the brush rests.
        """
        lengths = np.hypot(*np.diff(self.path, axis=0).T)
        along = np.concatenate([[0.0], np.cumsum(lengths)])
        spacing = SPACING * self.radius
        rests = along[1:][lengths == 0]
        count = along[-1] / spacing + len(rests)
        if count > MAX_DABS:
            raise InputError(
                f"path: too long for a radius of {self.radius:g}: {count:.0f} dabs, and a stroke has at most "
                f"{MAX_DABS}; end it and begin another"
            )
        at = np.arange(0.0, along[-1], spacing)
        if self.brush == "push":
            centres = _along_path(self.path, along, np.append(at, along[-1]))
            return centres[1:], np.diff(centres, axis=0)
        at = np.sort(np.concatenate([at if len(at) else [0.0], rests]))
        return _along_path(self.path, along, at), np.zeros((len(at), 2))


def _along_path(path: np.ndarray, along: np.ndarray, at: np.ndarray) -> np.ndarray:
    return np.stack([np.interp(at, along, path[:, 0]), np.interp(at, along, path[:, 1])], 1)


def check_stroke(brush: BrushName, path: StrokePath, radius: float, strength: float, height: int, width: int) -> Stroke:
    """A stroke on a photo of a size. Raises InputError where a value cannot be used; says which and why."""
    if brush not in BRUSHES:
        raise InputError(f"brush: {brush!r:.80} is none; there are: {', '.join(BRUSHES)}")
    longest = max(height, width)
    radius = _number("radius", radius, 1, longest)
    strength = _number("strength", strength, 0.0, 1.0)
    stroke = Stroke(brush, _points(path, longest), radius, strength)
    x, y = stroke.path.T
    if x.max() <= -radius or y.max() <= -radius or x.min() >= width - 1 + radius or y.min() >= height - 1 + radius:
        raise InputError(f"path: the brush does not touch the photo of {width} x {height} pixels")
    return stroke


def _points(path: StrokePath, longest: int) -> np.ndarray:
    """A path as float64 [N, 2]; points may lie beside the photo, no further than it is long."""
    points = as_numbers(path, MAX_POINTS, "path: {} points")
    if points.shape[1:] != (2,):
        raise InputError("path: give a list of (x, y), all numbers, in pixels of the photo")
    if not (np.abs(points) <= 2 * longest).all():  # NaN too
        raise InputError("path: a coordinate is not a finite number near the photo")
    return points


def _number(argument: str, value: float, least: float, most: float) -> float:
    try:
        number = float("nan") if isinstance(value, (bool, str, bytes)) else float(value)
    except (TypeError, ValueError, OverflowError):
        number = float("nan")
    if not least <= number <= most or number == 0:
        raise InputError(
            f"{argument}: {value!r:.80} is not {f'at least {least:g}' if least else 'above 0'} and at most {most:g}"
        )
    return number


def stroke_window(stroke: Stroke, height: int, width: int) -> Window:
    """The part of a photo that a stroke reaches; its size is that of the flow's grid."""
    low = np.floor(stroke.path.min(0) - stroke.radius).clip(0, [width - 1, height - 1]).astype(int)
    high = np.ceil(stroke.path.max(0) + stroke.radius).clip(0, [width - 1, height - 1]).astype(int) + 1
    columns, rows = (high - low).tolist()
    least = max(float(np.sqrt(columns * rows / MAX_CELLS)), max(columns, rows) / MAX_SIDE)
    pitch = max(stroke.radius / CELLS, least)
    return Window(int(low[1]), int(low[0]), rows, columns, (int(np.ceil(rows / pitch)), int(np.ceil(columns / pitch))))


def stroke_flow(stroke: Stroke, window: Window) -> np.ndarray:
    """The backward flow of a stroke at the grid of its window, float32 [H, W, 2] in photo pixels; not for "smooth"."""
    canvas = _Canvas(stroke, window, np.zeros((*window.size, 2), np.float32))
    for centre, way in zip(*stroke.dabs()):
        if (part := canvas.part(centre)) is not None:
            canvas.move(part, way)
    return canvas.flow


def smoothed(stroke: Stroke, window: Window, flow: np.ndarray) -> np.ndarray:
    """A backward flow at the grid of a window, float32 [H, W, 2] in photo pixels, after a stroke of "smooth"."""
    canvas = _Canvas(stroke, window, flow.copy())
    for centre in stroke.dabs()[0]:
        if (part := canvas.part(centre)) is not None:
            canvas.smooth(part)
    return canvas.flow


def reach(stroke: Stroke, window: Window) -> np.ndarray:
    """The pixels of a window that the brush passes over, bool [height, width]."""
    part = 16  # of a pixel
    points = np.rint((stroke.path - [window.left, window.top]) * part).astype(np.int32)
    passed = np.zeros((window.height, window.width), np.uint8)
    thick = min(int(2 * stroke.radius), MOST_THICK)
    cv2.polylines(passed, [points[:, None]], False, 1, thick, cv2.LINE_8, int(np.log2(part)))
    return passed.view(bool)


@dataclass
class _Part:
    """The part of a grid that a dab reaches: its box, the weights, and the way from the centre, in photo pixels."""

    box: tuple[slice, slice]
    weight: np.ndarray  # [h, w]
    x: np.ndarray  # [1, w]
    y: np.ndarray  # [h, 1]


class _Canvas:
    """A flow, float32 [H, W, 2] in photo pixels, that dabs change in place."""

    def __init__(self, stroke: Stroke, window: Window, flow: np.ndarray):
        self.flow = flow
        self._stroke, self._scale = stroke, window.scale
        x, y = grid(window.size)
        self._columns, self._rows = x, y
        self._x = (x + 0.5) * self._scale[0] - 0.5 + window.left
        self._y = (y + 0.5) * self._scale[1] - 0.5 + window.top
        width = WIDTH * stroke.radius / float(self._scale.mean())
        self._reach = max(1, int(np.ceil(2 * width)))
        self._kernel = np.exp(np.arange(-self._reach, self._reach + 1) ** 2 * (-0.5 / width**2))
        self._kernel /= self._kernel.sum()

    def part(self, centre: np.ndarray) -> _Part | None:
        """What a dab reaches; None where that is nothing."""
        radius = self._stroke.radius
        first, last = np.searchsorted(self._x[0], [centre[0] - radius, centre[0] + radius])
        top, bottom = np.searchsorted(self._y[:, 0], [centre[1] - radius, centre[1] + radius])
        if first == last or top == bottom:
            return None
        x = self._x[:, first:last] - np.float32(centre[0])
        y = self._y[top:bottom] - np.float32(centre[1])
        near = (x * x + y * y) * np.float32(1 / radius**2)
        inside = np.maximum(1 - near * near, 0)
        inside *= inside * np.float32(self._stroke.strength)
        return _Part((slice(top, bottom), slice(first, last)), inside, x, y)

    def move(self, part: _Part, way: np.ndarray) -> None:
        """One dab that moves what is shown."""
        growth = np.float32(self._stroke.sign * GROWTH)
        by_x = part.weight * (growth * part.x + np.float32(way[0]))
        by_y = part.weight * (growth * part.y + np.float32(way[1]))
        rows, columns = part.box
        at_x = self._columns[:, columns] - by_x / self._scale[0]
        at_y = self._rows[rows] - by_y / self._scale[1]
        there = cv2.remap(self.flow, at_x, at_y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
        there[..., 0] -= by_x
        there[..., 1] -= by_y
        self.flow[part.box] = there

    def smooth(self, part: _Part) -> None:
        """One dab that smooths."""
        rows, columns = part.box
        top, left = max(rows.start - self._reach, 0), max(columns.start - self._reach, 0)
        around = self.flow[top : rows.stop + self._reach, left : columns.stop + self._reach]
        mean = cv2.sepFilter2D(around, -1, self._kernel, self._kernel, borderType=cv2.BORDER_REPLICATE)
        own = np.s_[rows.start - top : rows.stop - top, columns.start - left : columns.stop - left]
        self.flow[part.box] += (part.weight * np.float32(SMOOTHING))[..., None] * (mean[own] - around[own])
