"""The backward flow of a forward field f, and what it reveals.

The result at p shows the source at p + b(p) with b(p) = -f(p + b(p)), found by fixed-point iteration. Where two places
of the source move to one pixel, what moves is in front. Where none does, or the source would be drawn out beyond
recognition, the ground behind is revealed, and fades into what lies around it. Where what moves far comes to lie in
front of what stays, it has a soft outline before the photo as it is: both are resampled, not the flow between them.

Lengths are in generator pixels.
"""

from __future__ import annotations

import cv2
import numpy as np

from edgedrag.runtime.drag.blend import REVEAL_RANGE
from edgedrag.runtime.drag.flow import ROW, jacobian, places, sample, sample_list, warp, wider
from edgedrag.runtime.drag.held_motion import BAND, BESIDE, COVERS, HeldMotion, revealed_beside

ROUNDS = 8  # of the fixed-point iteration
MISSED = 1.0  # residual of the iteration above which a pixel shows nothing of the source
BEHIND = 0.8  # what is held less than this may lie behind what moves, if that is held more by MORE_HELD,
MORE_HELD = 0.1  # so that no specks of the ground show in a soft outline, and what bends smoothly stays smooth
UNLIKE = 1.0  # pixels between a flow and the usual one around: a speck
STAYS, LEAVES = 0.5, 7.0  # pixels: what moves less stays; what moves more has an outline before it
EDGE = 1.8  # Gaussian blur of the edge of what is revealed
FADING = 12.0  # pixels over which the ground fades into what lies around it
DRAWN_OUT = (0.5, 0.25)  # smaller singular values of the sampling map between which the ground is revealed

Indices = tuple[np.ndarray, ...]  # rows and columns of some pixels, each [n]


def inverted(forward: np.ndarray, free: np.ndarray, held: np.ndarray) -> HeldMotion:
    """The backward flow of a forward field, and what it reveals.

    Args:
        forward: float32 [H, W, 2]. free: the same, what all would move by that is held.
        held: float32 [H, W] in 0..1.
    """
    behind, nothing, held_behind = _alone(forward, free, held)
    front, held_in_front = _in_front(free, held, held_behind)
    in_front = held_in_front > np.maximum(0.5, held_behind + MORE_HELD)
    flow = np.where(in_front[..., None], front, behind)
    usual = cv2.merge([cv2.medianBlur(each, 5) for each in cv2.split(flow)])
    specks = (_length(flow - usual) > UNLIKE) & ~in_front  # where no iteration ended well
    flow[specks] = usual[specks]
    drawn_out = _drawn_out(flow, nothing | specks, in_front)

    # Where nothing is shown, what moves goes on beyond its outline, and the ground comes in over that.
    moved_by = _length(front)
    before = moved_by > 0  # where what moves may lie
    goes_on = (drawn_out > 0.5) & wider(in_front, BESIDE) & before
    flow[goes_on] = front[goes_on]
    revealed = np.clip(cv2.GaussianBlur(drawn_out, (0, 0), EDGE), 0, 1)
    ground = ~in_front & (held_behind < 0.5)
    revealed[ground] = np.maximum(revealed, _faded(revealed))[ground]
    # Slits in the ground, of an outline that is drawn out, show no more than is held.
    slits = np.nonzero((drawn_out > 0.5) & ~in_front)
    closed = cv2.morphologyEx(revealed, cv2.MORPH_CLOSE, np.ones((2 * BESIDE + 1, 2 * BESIDE + 1)))
    covers = revealed_beside(_shown(held, flow, slits))
    revealed[slits] = np.maximum(revealed[slits], np.minimum(covers, closed[slits]))

    # Before what stays it has a soft outline of its own.
    rests = _length(behind) < STAYS
    stays = rests & (revealed < REVEAL_RANGE[0])
    outline = in_front & (held_in_front < BEHIND) & stays & (moved_by > LEAVES)
    beside = wider(outline, BESIDE) & (held_in_front < COVERS[1]) & stays & before
    flow[beside] = front[beside]
    revealed[beside] = revealed_beside(held_in_front[beside])
    # Between two flows there is nothing to see.
    across = cv2.split(cv2.morphologyEx(flow, cv2.MORPH_GRADIENT, np.ones((2 * BAND + 1, 2 * BAND + 1))))
    jumps = np.maximum(*across) > LEAVES
    unseen = ground & ~(beside & (held_in_front > COVERS[0])) & (rests | (drawn_out > 0.5))
    revealed[jumps & unseen] = 1
    return HeldMotion(flow, revealed[..., None])


def _length(flow: np.ndarray) -> np.ndarray:
    """The length of vectors [H, W, 2], float32 [H, W]."""
    return cv2.magnitude(*cv2.split(flow))


def _alone(forward: np.ndarray, free: np.ndarray, held: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Where the source moves to one pixel alone: the backward flow [H, W, 2].

    Returns it, whether it shows nothing of the source, bool [H, W], and how much of what it shows is held, [H, W].
    """
    flow, residual = _iterated(forward, free, places(held.shape))
    lost = residual > MISSED
    # At the outline of what moves far the iteration does not end, or ends at what lies behind.
    held_behind = np.where(lost, 0, warp(held, flow))
    at = np.nonzero(lost)
    flow[lost], missed = _iterated_at(forward, forward, at)
    nothing = np.zeros(held.shape, bool)
    nothing[tuple(index[missed > MISSED] for index in at)] = True
    return flow, nothing, held_behind


def _in_front(free: np.ndarray, held: np.ndarray, held_behind: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """What moves before the rest: its backward flow [H, W, 2], and how much of what that shows is held, [H, W].

    Both are 0 where it cannot come to lie. `held_behind` is how much of what the rest shows is held.
    """
    reach = wider(held > 0.5, int(np.ceil(np.abs(free).max())) + 1)
    at = np.nonzero(reach & (held_behind < BEHIND))
    flow, held_in_front = np.zeros_like(free), np.zeros_like(held)
    flow[at], _ = _iterated_at(free, free, at)
    held_in_front[at] = _shown(held, flow, at)
    return flow, held_in_front


def _shown(held: np.ndarray, flow: np.ndarray, at: Indices) -> np.ndarray:
    """How much of what a flow shows at some pixels is held, [n]."""
    return sample_list(held, *(np.stack(at[::-1], 1) + flow[at]).astype(np.float32).T)[:, 0]


def _faded(revealed: np.ndarray) -> np.ndarray:
    """What is revealed, [H, W], with less and less of it up to FADING pixels around what wholly is."""
    low, high = REVEAL_RANGE
    away = cv2.distanceTransform((revealed < high).view(np.uint8), cv2.DIST_L2, cv2.DIST_MASK_3)
    return np.where(away < FADING, high - away * np.float32((high - low) / FADING), 0)


def _drawn_out(flow: np.ndarray, nothing: np.ndarray, in_front: np.ndarray) -> np.ndarray:
    """How far a flow [H, W, 2] draws the source out, up to 1 where it shows nothing; float32 [H, W]."""
    low, high = DRAWN_OUT[1], DRAWN_OUT[0]
    drawn_out = np.clip((high - least_stretch(flow)) / (high - low), 0, 1)
    drawn_out[nothing] = 1
    drawn_out[in_front] = 0
    return drawn_out


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
    return flow, _length(flow + shown(flow))


def least_stretch(flow: np.ndarray) -> np.ndarray:
    """The smaller singular value of the Jacobian of p + flow(p), [H, W]: how far the source is drawn out, 1 = not."""
    squares, root, _ = jacobian(flow)
    return np.sqrt(np.maximum((squares - root) / 2, 0))
