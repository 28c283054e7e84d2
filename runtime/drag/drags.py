"""Drags as people give them: parsed, checked, and made into an array of points."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from edgedrag.runtime.errors import InputError

MAX_DRAGS = 64

Drag = tuple[tuple[float, float], tuple[float, float]]
Drags = Sequence[Sequence[Sequence[float] | np.ndarray] | np.ndarray] | np.ndarray  # as people give them: `as_points`


def parse_drag(text: str) -> Drag:
    """Read "X,Y:X,Y", handle before the colon, target after.

    Raises:
        InputError: it is not of that form.
    """
    try:
        (hx, hy), (tx, ty) = (map(float, part.split(",")) for part in text.split(":"))
    except ValueError:
        raise InputError(
            f"drag '{text}': write it as X,Y:X,Y in pixels, handle before the colon, target after"
        ) from None
    return (hx, hy), (tx, ty)


def as_points(drags: Drags) -> np.ndarray:
    """Drags as float64 [N, 4]: handle x, y, target x, y; whether the values make sense is not checked.

    Args:
        drags: [((handle x, handle y), (target x, target y)), ...] of lists, tuples or arrays, or one array
            [N, 2, 2] or [N, 4].

    Raises:
        InputError: nested otherwise, not numbers, none, or too many.
    """
    points = as_numbers(drags, MAX_DRAGS, "drags: {} given")
    shaped = points.shape[1:] == (2, 2) or (isinstance(drags, np.ndarray) and points.shape[1:] == (4,))
    if not shaped:
        raise InputError("drags: give a list of ((handle x, handle y), (target x, target y)), all numbers")
    return points.reshape(-1, 4)


def as_numbers(given: object, most: int, counted: str) -> np.ndarray:
    """A list or array of 1 to `most` entries as float64; of shape [0] where it is none, or holds anything but numbers.

    Raises InputError for another number of entries, which begins with `counted`.
    """
    try:
        if not isinstance(given, (Sequence, np.ndarray)) or isinstance(given, (str, bytes)):
            raise TypeError
        if not 1 <= len(given) <= most:
            raise InputError(f"{counted.format(len(given))}; give 1 to {most}")
        values = np.asarray(given)
    except (TypeError, ValueError, OverflowError):
        return np.empty(0)
    return values.astype(np.float64) if values.dtype.kind in "iuf" else np.empty(0)


def check_drags(drags: Drags, height: int, width: int) -> np.ndarray:
    """The drags as float32 [N, 4] (handle x, y, target x, y) after every check that needs no mask.

    Raises:
        InputError: none or too many, not numbers, outside the photo, two targets for one handle, pins alone.
    """
    points = as_points(drags)
    if not np.isfinite(points).all():
        raise InputError("drags: a coordinate is not a finite number")
    for hx, hy, tx, ty in points:
        _check_inside("handle", hx, hy, height, width)
        _check_inside("target", tx, ty, height, width)
    seen: dict[tuple[int, int], tuple[float, float]] = {}
    for hx, hy, tx, ty in points:
        pixel = (round(hx), round(hy))
        if seen.setdefault(pixel, (tx, ty)) != (tx, ty):
            raise InputError(f"two drags share the handle pixel {pixel} but have different targets")
    if (points[:, :2] == points[:, 2:]).all():
        raise InputError("drags: each ends where it begins, which pins what it holds; pull at least one somewhere else")
    return points.astype(np.float32)


def check_point(point: object, height: int, width: int) -> np.ndarray:
    """One point of a photo as float64 [2], x and y.

    Raises:
        InputError: not two numbers, or outside the photo.
    """
    try:
        if not isinstance(point, (Sequence, np.ndarray)) or isinstance(point, (str, bytes)):
            raise TypeError
        at = np.asarray(point)
    except (TypeError, ValueError, OverflowError):
        at = np.empty(0)
    if at.shape != (2,) or at.dtype.kind not in "iuf":
        raise InputError("point: give x and y, two numbers, in pixels of the photo")
    if not np.isfinite(at).all():
        raise InputError("point: a coordinate is not a finite number")
    x, y = at.tolist()
    _check_inside("point", x, y, height, width)
    return at.astype(np.float64)


def _check_inside(what: str, x: float, y: float, height: int, width: int) -> None:
    if not (0 <= x <= width - 1 and 0 <= y <= height - 1):
        raise InputError(f"{what} ({x:g}, {y:g}) lies outside the photo of {width} x {height} pixels")


def check_handles_in_mask(points: np.ndarray, mask: np.ndarray) -> None:
    """Raise InputError where a handle is not in the editable region, bool [H, W]."""
    for handle in points[:, :2]:
        check_in_mask(handle, mask, "handle")


def check_in_mask(point: np.ndarray, mask: np.ndarray, what: str) -> None:
    """Raise InputError where a point (x, y), called `what`, is not in a mask, bool [H, W]."""
    x, y = point.tolist()
    if not mask[round(y), round(x)]:
        raise InputError(f"{what} ({x:g}, {y:g}) lies outside the mask; draw the mask over what should move")
