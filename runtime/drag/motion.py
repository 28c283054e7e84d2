"""How held things move: from drags and what each one holds to a backward flow and what it reveals.

Each pixel q of the photo is moved by

    f(q) = W(q) sum_i k_i(q) v_i(q) / sum_i k_i(q)        k_i = h_i / (|q - handle_i|^2 + 4)        W = max_i h_i r_i

where h_i is the hold of drag i, v_i what the drag does to the thing that it holds, and r_i how far that carries: the
three motions differ in v and r. So drags on one thing are interpolated (inverse-distance weighting, Shepard 1968), and
drags on two things do not disturb each other. A drag of length 0 is a pin: what it holds stays.

The result at p shows the source at p + b(p) with b(p) = -f(p + b(p)), found by fixed-point iteration. Where two places
of the source move to one pixel, what moves is in front. Where none does, or the source would be drawn out beyond
recognition, the ground behind is revealed.

Lengths are in generator pixels. Points are float32 [N, 4]: handle x, y, target x, y.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from edgedrag.runtime.drag.composite import Generated
from edgedrag.runtime.drag.flow import ROW, SOFTENING, edge_fade, grid, jacobian, places, sample, sample_list, warp
from edgedrag.runtime.drag.ground import Ground
from edgedrag.runtime.drag.motion_names import BEND_REACH, MOTIONS, MotionName
from edgedrag.runtime.errors import InputError

SOFT = 2.0  # Gaussian blur of a hold's outline
KEPT = 14.0  # Gaussian width around a handle in a given mask within which what lies there moves as one
HELD_MOST = 0.3  # share of a motion in a given mask that what is not held does without
ROUNDS = 8  # of the fixed-point iteration
TRUSTED = 0.05  # of the held area: the square spread of handles from which on they turn a thing as a whole
MISSED = 1.0  # residual of the iteration above which a pixel shows nothing of the source
BEHIND = 0.8  # what is held less than this may lie behind what moves, if that is held more by MORE_HELD,
MORE_HELD = 0.1  # so that no specks of the ground show in a soft outline, and what bends smoothly stays smooth
EDGE = 1.8  # Gaussian blur of the edge of what is revealed
DRAWN_OUT = (0.5, 0.25)  # smaller singular values of the sampling map between which the ground is revealed


@dataclass(frozen=True)
class HeldMotion:
    """A motion of what is held.

    Attributes:
        flow: float32 [H, W, 2], backward: the result at p shows the source at p + flow(p).
        revealed: float32 [H, W, 1] in 0..1; 1 = the flow shows nothing real there, but the ground behind what moved.
        ground: what is revealed; None where nothing is.
    """

    flow: np.ndarray
    revealed: np.ndarray
    ground: Ground | None = None

    def generated(self, picture: np.ndarray) -> Generated:
        """The motion as an edit of the window (uint8 RGB [H, W, 3]), without anything that a generator would add."""
        if self.ground is None:
            return Generated(None, self.flow, None)
        result = warp(picture.astype(np.float32) * np.float32(1 / 255), self.shown())
        return Generated(result, self.flow, self.revealed, None, self.ground)

    def shown(self) -> np.ndarray:
        """Where each pixel comes from, the ground's too: a backward flow like `flow`."""
        if self.ground is None:
            return self.flow
        return np.where(self.revealed > 0.5, self.ground.offsets, self.flow)


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
    points: np.ndarray, holds: np.ndarray, motion: MotionName = "auto", reach: float = BEND_REACH
) -> HeldMotion:
    """Move what drags hold.

    Args:
        points: [N, 4] with N >= 1; a drag of length 0 is a pin.
        holds: float32 [N, H, W] in 0..1, what each drag holds.
        motion: "bend": what is near a handle follows it. "whole": each thing moves and turns rigidly. "stretch": each
            thing turns and changes its size; with one drag its far end stays. "auto": "bend".
        reach: of a bend: its Gaussian width, as a share of the square root of the held area.
    """
    points, first = np.unique(points.astype(np.float32), axis=0, return_index=True)
    holds = np.stack([cv2.GaussianBlur(hold, (0, 0), SOFT) for hold in holds[first]])
    rows, columns = _pixels(points, holds.shape[1:])
    at_handles = holds[np.arange(len(points)), rows, columns]
    holds = np.clip(holds / np.maximum(at_handles, 0.2)[:, None, None], 0, 1)
    pins = (points[:, :2] == points[:, 2:]).all(1)
    stays = 1 - holds[pins].max(0, initial=0.0)
    forward, free = _forward(points, holds, pins, motion, reach)
    forward *= stays[..., None]
    return _inverted(forward, free, holds.max(0) * stays)


def _forward(
    points: np.ndarray, holds: np.ndarray, pins: np.ndarray, motion: MotionName, reach: float
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
            carries = np.exp(square * np.float32(-0.5 / (reach**2 * area)))
        else:
            of_thing = points[things == things[number]]
            field += near * thing_motion(of_thing, area, motion == "stretch", x, y)
            if motion == "stretch" and len(of_thing) == 1:
                carries = _along(points[number], holds[number], x, y)
        if not pins[number]:
            weight, free = np.maximum(weight, holds[number] * carries), np.maximum(free, carries)
    field /= shared
    return cv2.merge(list(field * weight)), cv2.merge(list(field * free))


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
    centre, shift = points[:, :2].mean(0), (points[:, 2:] - points[:, :2]).mean(0)
    from_x, from_y = (points[:, :2] - centre).T
    to_x, to_y = (points[:, 2:] - centre - shift).T
    spread = float((from_x**2 + from_y**2).mean())
    along = float((from_x * to_x + from_y * to_y).mean()) + 1e-6
    across = float((from_x * to_y - from_y * to_x).mean())
    share = spread / (spread + TRUSTED * area) if len(points) > 1 else 0.0
    angle = float(np.arctan2(across, along)) * min(1.0, 2 * share)
    scale = np.exp(share * np.log(np.hypot(along, across) / (spread + 1e-6) + 1e-3)) if scales and share else 1.0
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


def _inverted(forward: np.ndarray, free: np.ndarray, held: np.ndarray) -> HeldMotion:
    """The backward flow of a forward field [H, W, 2]; `free` is what all would move by that is held, [H, W]."""
    flow, residual = _iterated(forward, free, places(held.shape))
    lost = residual > MISSED
    # At the outline of what moves far the iteration does not end, or ends at what lies behind.
    shown = np.where(lost, 0, warp(held, flow))
    covered, front = _in_front(free, held, shown, np.nonzero(_within_reach(held > 0.5, free) & (shown < BEHIND)))
    flow[covered] = front
    lost[covered] = False
    at_lost = np.nonzero(lost)
    flow[lost], missed = _iterated_at(forward, forward, at_lost)
    low, high = DRAWN_OUT[1], DRAWN_OUT[0]
    drawn_out = np.clip((high - least_stretch(flow)) / (high - low), 0, 1)
    drawn_out[tuple(index[missed > MISSED] for index in at_lost)] = 1
    drawn_out[covered] = 0
    return HeldMotion(flow, np.clip(cv2.GaussianBlur(drawn_out, (0, 0), EDGE), 0, 1)[..., None])


Indices = tuple[np.ndarray, ...]  # rows and columns of some pixels, each [n]


def _within_reach(held: np.ndarray, free: np.ndarray) -> np.ndarray:
    """Where what is held may come to lie: as far around it as anything moves, bool [H, W]."""
    side = 2 * int(np.ceil(np.abs(free).max())) + 3
    return cv2.dilate(held.view(np.uint8), np.ones((side, side), np.uint8)).view(bool)


def _in_front(free: np.ndarray, held: np.ndarray, shown: np.ndarray, some: Indices) -> tuple[Indices, np.ndarray]:
    """Those of some pixels at which what is held lies in front, and their backward flow [n, 2].

    `shown`, [H, W], is how much of what each pixel shows without that is held.
    """
    front, _ = _iterated_at(free, free, some)
    there = sample_list(held, *(np.stack(some[::-1], 1) + front).astype(np.float32).T)[:, 0]
    covers = there > np.maximum(0.5, shown[some] + MORE_HELD)
    return tuple(index[covers] for index in some), front[covers]


def _iterated_at(forward: np.ndarray, start: np.ndarray, some: Indices) -> tuple[np.ndarray, np.ndarray]:
    """`_iterated` at some pixels: [n, 2] and [n]."""
    count = len(some[0])
    if not count:
        return np.zeros((0, 2), np.float32), np.zeros(0, np.float32)
    rows = -(-count // ROW)
    at = np.resize(np.stack(some[::-1], 1).astype(np.float32), (rows, ROW, 2))
    flow, residual = _iterated(forward, np.resize(start[some], (rows, ROW, 2)), at)
    return flow.reshape(-1, 2)[:count], residual.reshape(-1)[:count]


def _iterated(forward: np.ndarray, start: np.ndarray, at: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """b(p) = -f(p + b(p)) at places p [h, w, 2] (x, y) from b = -`start`, and how far it is from true, [h, w]."""

    def shown(flow: np.ndarray) -> np.ndarray:
        x, y = cv2.split(at + flow)
        return sample(forward, x, y)

    flow = -start
    for _ in range(ROUNDS):
        flow = -shown(flow)
    return flow, cv2.magnitude(*cv2.split(flow + shown(flow)))


def least_stretch(flow: np.ndarray) -> np.ndarray:
    """The smaller singular value of the Jacobian of p + flow(p), [H, W]: how far the source is drawn out, 1 = not."""
    squares, root, _ = jacobian(flow)
    return np.sqrt(np.maximum((squares - root) / 2, 0))


def _pixels(points: np.ndarray, shape: tuple[int, ...]) -> tuple[np.ndarray, np.ndarray]:
    """Rows and columns of the handles' pixels."""
    height, width = shape
    columns, rows = np.rint(points[:, :2]).astype(int).T
    return np.clip(rows, 0, height - 1), np.clip(columns, 0, width - 1)
