"""How what lies in a given mask moves: drags are followed along their way, so that nothing folds.

At time s, from 0 to 1, handle i is at a_i = h_i + s v_i, and a pixel x moves with the velocity

    u(x, s) = G(x) sum_i w_i (v_i + A(x - a_i)) / (sum_i w_i + c)    w_i = (r_i + EPSILON)^-2    c = (CUT_REACH d)^-2

r_i is how far x lies beyond a disc around a_i, which moves as one; d is the distance to the part of the mask's edge
where the mask cuts through what is held: this edge is one more sample, of no motion (inverse-distance weighting,
Shepard 1968), so that a thing that goes on beyond the mask is drawn out evenly. A is the rotation and growth that the
drags have in common. G is 1 in the discs, falls to 0 at the mask's edge, and is less for what is not held.

The result at p shows where p comes from, traced back from s = 1 (Christensen, Rabbitt and Miller, 1996): the paths of a
smooth velocity do not cross, so a long drag towards a near edge compresses what lies between, and every handle comes to
its target. Lengths are in generator pixels. Points are float32 [N, 4]: handle x, y, target x, y.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from edgedrag.runtime.drag.composite import box_of
from edgedrag.runtime.drag.flow import at_sides, edge_fade, enclosed, longest, places, rim, turn_and_growth, warp, wider
from edgedrag.runtime.drag.held_motion import BAND, BESIDE, COVERS, HeldMotion, revealed_beside
from edgedrag.runtime.drag.motion import HELD_MOST, SOFT

DISC = 20.0  # largest radius of what moves as one around a handle: large enough to be recognised
INSIDE, APART = 0.9, 0.4  # the same at most, as shares of the distances to the mask's edge and to the next handle
EPSILON = 0.1
CUT_REACH = 4.0  # a cut edge weighs as much as a handle that is this many times as far
CUT_WIDTH = 2  # around the mask's edge, within which it cuts what is held
TURNED = 0.1  # of the mask's area: the square spread of handles from which on they turn and scale what lies between
LIFTED_TURNED = 0.003  # the same of the area of a thing that is lifted: it turns as one
STEP, MOST_STEPS = 4.0, 16  # the longest drag is followed in steps of this length, at most this many
FIRM_FROM = 16.0  # pixels; what longer drags hold keeps its shape up to the mask's edge
FARTHEST = 1e4  # pixels; farther than any picture


@dataclass(frozen=True)
class Velocity:
    """What the velocity of pixels depends on, in the box of a mask.

    Attributes:
        points: [N, 4], in pixels of the box, no two the same.
        inside: float32 [h, w], distance to the mask's edge.
        fade: the factor G outside the discs, float32 [h, w], or None: 1 everywhere.
        still: the weight c of the cut edge, float32 [h, w].
        disc: largest radius of what moves as one.
        spread: square pixels, from which on handles turn what lies between them.
    """

    points: np.ndarray
    inside: np.ndarray
    fade: np.ndarray | None
    still: np.ndarray
    disc: float
    spread: float

    def traced(self) -> np.ndarray:
        """Where each pixel comes from, a backward flow float32 [h, w, 2]."""
        handles, along = self.points[:, :2], self.points[:, 2:] - self.points[:, :2]
        steps = int(np.clip(np.ceil(longest(self.points) / STEP), 1, MOST_STEPS))
        start = places(self.inside.shape)
        at = start.copy()
        for step in range(steps):
            handles_now = handles + np.float32(1 - step / steps) * along
            at -= self._at(at, handles_now, along) * np.float32(1 / steps)
        return at - start

    def _at(self, at: np.ndarray, handles: np.ndarray, along: np.ndarray) -> np.ndarray:
        """The velocity at places [h, w, 2] while the handles are at [N, 2] and move along [N, 2]."""
        flow = at - places(self.inside.shape)
        total, in_disc = warp(self.still, flow), np.zeros(at.shape[:2], np.float32)
        turn = self._turn(handles, along)
        x, y = cv2.split(at)
        moved_x, moved_y = np.zeros_like(x), np.zeros_like(x)
        for handle, (vx, vy), radius in zip(handles, along, self._radii(handles)):
            dx, dy = x - handle[0], y - handle[1]
            distance = cv2.magnitude(dx, dy)
            beyond = np.maximum(distance - radius, 0) + np.float32(EPSILON)
            weight = 1 / (beyond * beyond)  # numpy's power of -2 takes 17 times as long
            total += weight
            moved_x += weight * (vx + turn[0] * dx - turn[1] * dy)
            moved_y += weight * (vy + turn[1] * dx + turn[0] * dy)
            if self.fade is not None:
                np.maximum(in_disc, np.clip(2 - distance / radius, 0, 1), out=in_disc)
        share = 1 / total
        if self.fade is not None:
            in_disc *= in_disc * (3 - 2 * in_disc)
            share *= in_disc + (1 - in_disc) * warp(self.fade, flow)
        return cv2.merge([moved_x * share, moved_y * share])

    def _radii(self, handles: np.ndarray) -> np.ndarray:
        """The radius of each handle's disc, float32 [N]."""
        height, width = self.inside.shape
        columns, rows = np.rint(handles).astype(int).clip(0, [width - 1, height - 1]).T
        radii = np.minimum(self.disc, INSIDE * self.inside[rows, columns])
        if len(handles) > 1:
            apart = np.linalg.norm(handles[:, None] - handles[None], axis=-1)
            np.fill_diagonal(apart, FARTHEST)
            radii = np.minimum(radii, APART * apart.min(1))
        return np.maximum(radii, 1e-3).astype(np.float32)

    def _turn(self, handles: np.ndarray, along: np.ndarray) -> np.ndarray:
        """Growth and rotation that the drags have in common, by least squares, per pixel; float32 [2]."""
        if len(handles) == 1:
            return np.zeros(2, np.float32)
        rotation, growth = turn_and_growth(handles, along)
        spread = ((handles - handles.mean(0)) ** 2).sum(1).mean() + self.spread
        return np.array([growth / spread, rotation / spread], np.float32)


def move_in_mask(points: np.ndarray, mask: np.ndarray, held: np.ndarray, margin: float) -> HeldMotion:
    """Move what lies in a mask.

    Args:
        points: [N, 4] with N >= 1, handles in the mask; a drag of length 0 keeps its handle where it is.
        mask: bool [H, W].
        held: float32 [H, W] in 0..1, what the drags hold.
        margin: pixels over which the motion falls to 0 at the mask's edge.
    """
    whole = mask | enclosed(mask)  # gaps between strokes of a brush do not hinder a motion
    follows = cv2.GaussianBlur(np.clip(held, 0, 1), (0, 0), 2 * SOFT)
    fade = edge_fade(whole, margin) * (1 - HELD_MOST + HELD_MOST * follows)
    if longest(points) > FIRM_FROM:
        np.maximum(fade, edge_fade(whole) * cv2.GaussianBlur((held > 0.5).astype(np.float32), (0, 0), SOFT), out=fade)
    flow = _traced(points, whole, fade, _still(rim(whole), held), DISC, TURNED * float(whole.sum()))
    return HeldMotion(flow, np.zeros((*mask.shape, 1), np.float32))


def lift(points: np.ndarray, mask: np.ndarray, held: np.ndarray, hole: np.ndarray, goes_on: bool) -> HeldMotion:
    """Move a thing that lies in a mask with nothing around it; what it leaves is revealed, and is yet to be filled.

    Args:
        points, mask, held: as in `move_in_mask`.
        hole: bool [H, W], where the thing was.
        goes_on: whether the thing goes on beyond the mask.
    """
    whole = mask | enclosed(mask)
    still = _still(rim(whole) | at_sides(whole), held) if goes_on else np.full(mask.shape, FARTHEST**-2, np.float32)
    spread = LIFTED_TURNED * float((held > 0.5).sum())
    flow = _traced(points, whole, None, still, DISC if goes_on else 0.0, spread)
    covers = warp(cv2.GaussianBlur(held, (0, 0), 1.0), flow) * whole
    beside = wider(covers > COVERS[0], BESIDE)
    flow[~beside] = 0
    revealed = np.where(wider(beside, BAND) | hole, revealed_beside(covers), 0)
    return HeldMotion(flow, revealed.astype(np.float32)[..., None])


def _still(edge: np.ndarray, held: np.ndarray) -> np.ndarray:
    """The weight c of the part of a mask's edge that cuts what is held, float32 [H, W]."""
    near = np.ones((2 * CUT_WIDTH + 1, 2 * CUT_WIDTH + 1), np.uint8)
    cut = edge & (cv2.dilate(held, near) > 0.5)
    return (np.float32(CUT_REACH) * np.maximum(_distance(~cut), 0.5)) ** -2


def _traced(
    points: np.ndarray, mask: np.ndarray, fade: np.ndarray | None, still: np.ndarray, disc: float, spread: float
) -> np.ndarray:
    """The backward flow of drags, float32 [H, W, 2]; 0 outside the mask's box."""
    flow = np.zeros((*mask.shape, 2), np.float32)
    box = rows, columns = box_of(mask)
    points, _ = np.unique(points.astype(np.float32), axis=0, return_index=True)  # without an index it imports numpy.ma
    points = points - np.array([columns.start, rows.start] * 2, np.float32)
    inside = _distance(mask)[box]
    part = None if fade is None else fade[box]
    flow[box] = Velocity(points, inside, part, still[box], disc, spread).traced()
    np.copyto(flow[box], 0, where=~mask[box][..., None])
    return flow


def _distance(where: np.ndarray) -> np.ndarray:
    """The distance of each pixel to the nearest where a map, bool [H, W], is false; FARTHEST where none is."""
    if where.all():
        return np.full(where.shape, FARTHEST, np.float32)
    return cv2.distanceTransform(where.astype(np.uint8), cv2.DIST_L2, 5)
