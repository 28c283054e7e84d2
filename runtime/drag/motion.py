"""How held things move: from drags and what each one holds to a backward flow and what it reveals.

Each pixel q of the photo is moved by

    f(q) = W(q) sum_i k_i(q) v_i(q) / sum_i k_i(q)        k_i = h_i / (|q - handle_i|^2 + 4)        W = max_i h_i r_i

where h_i is the hold of drag i, v_i what the drag does to the thing that it holds, and r_i how far that carries: the
three motions differ in v and r. So drags on one thing are interpolated (inverse-distance weighting, Shepard 1968), and
drags on two things do not disturb each other. A drag of length 0 is a pin: what it holds stays.

The backward flow of f, and what it reveals, is found in inversion.py.

Lengths are in generator pixels. Points are float32 [N, 4]: handle x, y, target x, y.
"""

from __future__ import annotations

import cv2
import numpy as np

from edgedrag.runtime.drag.flow import SOFTENING, edge_fade, grid, turn_and_growth
from edgedrag.runtime.drag.held_motion import HeldMotion
from edgedrag.runtime.drag.inversion import inverted
from edgedrag.runtime.drag.motion_names import BEND_REACH, MOTIONS, MotionName
from edgedrag.runtime.errors import InputError

SOFT = 2.0  # Gaussian blur of a hold's outline
KEPT = 14.0  # Gaussian width around a handle in a given mask within which what lies there moves as one
HELD_MOST = 0.3  # share of a motion in a given mask that what is not held does without
TRUSTED = 0.05  # of the held area: the square spread of handles from which on they turn a thing as a whole


def check_motion(motion: object) -> None:
    """Raise InputError where something is not the name of a motion."""
    if motion not in MOTIONS:
        raise InputError(f"motion: {motion!r:.80} is none; there are: {', '.join(MOTIONS)}")


def held_in_mask(mask: np.ndarray, held: np.ndarray, at: np.ndarray, margin: float) -> np.ndarray:
    """What a drag holds inside a mask that someone gave, float32 [H, W].

    All of it follows the drag, since the mask says what may move; what the handle holds follows most (HELD_MOST), and
    what lies right around the handle keeps its shape (KEPT).

    Args:
        mask: bool [H, W]. held: float32 [H, W] in 0..1. at: the handle, x and y. margin: pixels over which a motion
            fades in from the edge.
    """
    x, y = grid(mask.shape)
    at = at.astype(np.float32)
    near = np.exp(((x - at[0]) ** 2 + (y - at[1]) ** 2) * np.float32(-0.5 / KEPT**2))
    follows = edge_fade(mask, margin) * (1 - HELD_MOST + HELD_MOST * held)
    return np.maximum(follows, near * edge_fade(mask))


def move_held(
    points: np.ndarray, holds: np.ndarray, motion: MotionName = "auto", reach: float = BEND_REACH, whole: float = 0.0
) -> HeldMotion:
    """Move what drags hold.

    Args:
        points: [N, 4] with N >= 1; a drag of length 0 is a pin.
        holds: float32 [N, H, W] in 0..1, what each drag holds.
        motion: "bend": what is near a handle follows it. "whole": each thing moves and turns rigidly. "stretch": each
            thing turns and changes its size; with one drag its far end stays. "auto": "bend".
        reach: of a bend: its Gaussian width, as a share of the square root of the held area.
        whole: of a bend: the share of a drag that all of a thing follows, however far from the handle.
    """
    points, first = np.unique(points.astype(np.float32), axis=0, return_index=True)
    holds = np.stack([cv2.GaussianBlur(hold, (0, 0), SOFT) for hold in holds[first]])
    rows, columns = _pixels(points, holds.shape[1:])
    at_handles = holds[np.arange(len(points)), rows, columns]
    holds = np.clip(holds / np.maximum(at_handles, 0.2)[:, None, None], 0, 1)
    pins = (points[:, :2] == points[:, 2:]).all(1)
    stays = 1 - holds[pins].max(0, initial=0.0)
    forward, free = _forward(points, holds, pins, motion, reach, whole)
    forward *= stays[..., None]
    held = holds.max(0) * stays
    forward, free = (_kept_at_sides(field, points, held) for field in (forward, free))
    return inverted(forward, free, held)


def _forward(
    points: np.ndarray, holds: np.ndarray, pins: np.ndarray, motion: MotionName, reach: float, whole: float
) -> tuple[np.ndarray, np.ndarray]:
    """The forward field f, float32 [H, W, 2], and the same with h = 1."""
    x, y = grid(holds.shape[1:])
    things = _things(points, holds)
    shared, weight, free = (np.full(holds.shape[1:], least, np.float32) for least in (1e-9, 0, 0))
    field = np.zeros((2, *holds.shape[1:]), np.float32)
    for number, (hx, hy, tx, ty) in enumerate(points):
        area, square = float(holds[number].sum()) + 1.0, (x - hx) ** 2 + (y - hy) ** 2
        near = (holds[number] + np.float32(1e-3)) / (square + SOFTENING)
        shared += near
        carries = np.ones(holds.shape[1:], np.float32)
        if motion in ("auto", "bend"):
            field += near * np.array([tx - hx, ty - hy], np.float32)[:, None, None]
            carries = whole + np.float32(1 - whole) * np.exp(square * np.float32(-0.5 / (reach**2 * area)))
        else:
            of_thing = points[things == things[number]]
            field += near * thing_motion(of_thing, area, motion == "stretch", x, y)
            if motion == "stretch" and len(of_thing) == 1:
                carries = _along(points[number], holds[number], x, y)
        if not pins[number]:
            weight, free = np.maximum(weight, holds[number] * carries), np.maximum(free, carries)
    field /= shared
    return cv2.merge(list(field * weight)), cv2.merge(list(field * free))


def _kept_at_sides(field: np.ndarray, points: np.ndarray, held: np.ndarray) -> np.ndarray:
    """A forward field [H, W, 2] that leaves at the picture's sides what is held there, since nobody sees what would
    follow it. What lies between is drawn out, twice at most where the handles allow it: they come to their targets."""
    kept = []
    for axis, at, along in zip((0, 1), grid(held.shape), cv2.split(field)):
        far, handles, shifts = at.max(), points[:, axis], points[:, axis + 2] - points[:, axis]
        first, last = (held.take(side, 1 - axis).max() > 0.5 for side in (0, -1))
        most = at * np.float32(max(0.5, (shifts / (handles + 0.5)).max())) if first else np.inf
        least = (at - far) * np.float32(max(0.5, (-shifts / (far - handles + 0.5)).max())) if last else -np.inf
        kept.append(np.clip(along, least, most))
    return cv2.merge(kept)


def _things(points: np.ndarray, holds: np.ndarray) -> np.ndarray:
    """The number of the thing of each drag, [N]: drags whose handles lie in each other's holds share one."""
    rows, columns = _pixels(points, holds.shape[1:])
    at = holds[:, rows, columns]  # [of hold, at handle]
    numbers = np.arange(len(points))
    for i, j in zip(*np.nonzero((at > 0.5) & (at.T > 0.5))):
        numbers[numbers == numbers[j]] = numbers[i]
    return numbers


def thing_motion(points: np.ndarray, area: float, scales: bool, x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """The shift of a thing at pixels x and y (broadcast) that its drags [N, 4] determine, float32 [2, ...].

    Least squares (Umeyama 1991) of one rotation, and one scale where `scales`, about the handles' centre. Handles that
    lie close together, as measured by the thing's area (square pixels), determine a shift alone.
    """
    handles, along = points[:, :2], points[:, 2:] - points[:, :2]
    centre, shift = handles.mean(0), along.mean(0)
    spread = float(((handles - centre) ** 2).sum(1).mean())
    turn, growth = (float(of_all) for of_all in turn_and_growth(handles, along))
    grown = spread + growth + 1e-6
    share = spread / (spread + TRUSTED * area) if len(points) > 1 else 0.0
    angle = float(np.arctan2(turn, grown)) * min(1.0, 2 * share)
    scale = np.exp(share * np.log(np.hypot(grown, turn) / (spread + 1e-6) + 1e-3)) if scales and share else 1.0
    cos, sin = np.float32(scale * np.cos(angle)), np.float32(scale * np.sin(angle))
    x, y = x - np.float32(centre[0]), y - np.float32(centre[1])
    moved = np.stack([cos * x - sin * y - x, sin * x + cos * y - y])
    return moved + shift.astype(np.float32)[:, None, None]


def _along(drag: np.ndarray, hold: np.ndarray, x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """1 at a drag's handle and in front of it, falling to 0 at the far end of what it holds; float32 [H, W]."""
    direction = drag[2:] - drag[:2]
    direction = direction / max(float(np.hypot(*direction)), 1e-6)
    behind = (drag[0] - x) * direction[0] + (drag[1] - y) * direction[1]
    far = float((behind * (hold > 0.5)).max())
    return np.clip(1 - behind / max(far, 1.0), 0, 1).astype(np.float32)


def _pixels(points: np.ndarray, shape: tuple[int, ...]) -> tuple[np.ndarray, np.ndarray]:
    """Rows and columns of the handles' pixels."""
    height, width = shape
    columns, rows = np.rint(points[:, :2]).astype(int).T
    return np.clip(rows, 0, height - 1), np.clip(columns, 0, width - 1)
