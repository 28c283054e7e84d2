"""Synthetic motion from still pictures: edits that clips rarely show (stretching, rotation, scaling, moved parts)."""

from __future__ import annotations

import cv2
import numpy as np

from edgedrag.runtime.drag.blend import smoothstep
from edgedrag.runtime.drag.flow import grid, warp

KINDS = ("warp", "rotation", "scaling", "move")
SHARES = (0.2, 0.2, 0.2, 0.4)  # probability of each kind
MOVES = 1.5  # pixels; a smaller flow may be smoothed over from moving neighbours
PIECE = (0.015, 0.4)  # smallest and largest area of a cut-out piece, as a share of the picture


def blob(size: int, centre: np.ndarray, radius: float, rng: np.random.Generator) -> np.ndarray:
    """A random smooth closed shape around `centre` (x, y), bool [size, size]: a circle with three harmonics."""
    x, y = grid((size, size))
    dx, dy = x - centre[0], y - centre[1]
    stretch, turn = rng.uniform(0.6, 1.6), rng.uniform(0, np.pi)
    u = (dx * np.cos(turn) + dy * np.sin(turn)) * stretch
    v = (dy * np.cos(turn) - dx * np.sin(turn)) / stretch
    angle = np.arctan2(v, u)
    edge = np.ones_like(angle)
    for harmonic in (2, 3, 5):
        edge += rng.uniform(0, 0.35 / harmonic) * np.cos(harmonic * angle + rng.uniform(0, 2 * np.pi))
    return np.hypot(u, v) < radius * edge


def affine_flow(size: int, centre: np.ndarray, angle: float, scale: float, shift: np.ndarray) -> np.ndarray:
    """Backward flow of a rotation by `angle` and a scaling about `centre`, then a shift; float32 [size, size, 2]."""
    x, y = grid((size, size))
    dx, dy = x - centre[0] - shift[0], y - centre[1] - shift[1]
    cos, sin = np.cos(angle) / scale, np.sin(angle) / scale
    back_x, back_y = centre[0] + cos * dx + sin * dy, centre[1] - sin * dx + cos * dy
    return np.stack([back_x - x, back_y - y], -1).astype(np.float32)


def draw_motion(kind: str, radius: float, rng: np.random.Generator) -> tuple[float, float, np.ndarray]:
    """A random rotation (radians), scale and shift (pixels) of a kind, for an object of this radius (pixels)."""
    turn, scale, shift = 0.0, 1.0, np.zeros(2)
    if kind == "rotation":
        turn = rng.choice([-1, 1]) * np.deg2rad(rng.uniform(10, 60))
    elif kind == "scaling":
        scale = float(rng.choice([rng.uniform(0.6, 0.88), rng.uniform(1.14, 1.6)]))
    else:
        direction = rng.uniform(0, 2 * np.pi)
        shift = rng.uniform(0.2, 1.8) * radius * np.array([np.cos(direction), np.sin(direction)])
    return turn, scale, shift


def silhouette(flow: np.ndarray, valid: np.ndarray) -> np.ndarray | None:
    """The largest moving object in a pair's target, bool [S, S]; None if its area lies outside PIECE.

    Args:
        flow: float [S, S, 2], pixels; below MOVES counts as still. valid: bool [S, S].
    """
    moving = (valid & (np.linalg.norm(flow.astype(np.float32), axis=-1) > MOVES)).astype(np.uint8)
    moving = cv2.morphologyEx(moving, cv2.MORPH_CLOSE, cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (9, 9)))
    moving = cv2.morphologyEx(moving, cv2.MORPH_OPEN, cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (9, 9)))
    count, labels, stats, _ = cv2.connectedComponentsWithStats(moving)
    if count < 2:
        return None
    largest = 1 + int(np.argmax(stats[1:, cv2.CC_STAT_AREA]))
    share = stats[largest, cv2.CC_STAT_AREA] / moving.size
    return labels == largest if PIECE[0] <= share <= PIECE[1] else None


def recomposed(
    still: np.ndarray, other: np.ndarray, shape: np.ndarray | None, kind: str, rng: np.random.Generator
) -> dict[str, np.ndarray]:
    """A piece of `other` pasted on `still` that rotates, scales or moves; the ground that it uncovers is known.

    Args:
        still, other: uint8 RGB [S, S, 3].
        shape: the piece's mask, bool [S, S], not empty; None cuts out a random blob.

    Returns:
        The arrays of a Pair, unchecked.
    """
    size = len(still)
    if shape is None:
        radius = rng.uniform(0.08, 0.26) * size
        centre = rng.uniform(0.3, 0.7, 2) * size
        inside = blob(size, centre, radius, rng)
    else:
        inside, radius = shape, float(np.sqrt(shape.sum() / np.pi))
        centre = np.argwhere(shape).mean(0)[::-1]
    turn, scale, shift = draw_motion(kind, radius, rng)
    shift = np.clip(centre + shift, 0.15 * size, 0.85 * size) - centre
    flow = affine_flow(size, centre, turn, scale, shift)
    soft = cv2.GaussianBlur(inside.astype(np.float32), (0, 0), rng.uniform(0.6, 1.5))
    moved_soft, moved_piece = warp(soft, flow), warp(other, flow, cv2.INTER_CUBIC)
    source = still + soft[..., None] * (other.astype(np.float32) - still)
    target = still + moved_soft[..., None] * (moved_piece.astype(np.float32) - still)
    there = moved_soft > 0.5
    return {
        "source": np.rint(source).astype(np.uint8),
        "target": np.rint(target).astype(np.uint8),
        "flow": np.where(there[..., None], flow, 0),
        "valid": there | ~(soft > 0.05),
        "mask": cv2.dilate((there | inside).astype(np.uint8), np.ones((7, 7), np.uint8)).astype(bool),
    }


def deformed(still: np.ndarray, kind: str, rng: np.random.Generator) -> dict[str, np.ndarray]:
    """A region of `still` shifted, rotated or scaled, with the motion fading to 0 at the region's edge.

    Args:
        still: uint8 RGB [S, S, 3].

    Returns:
        The arrays of a Pair; nothing is uncovered.
    """
    size = len(still)
    radius = rng.uniform(0.16, 0.36) * size
    centre = rng.uniform(0.3, 0.7, 2) * size
    mask = blob(size, centre, radius, rng)
    depth = cv2.distanceTransform(np.pad(mask.astype(np.uint8), 1), cv2.DIST_L2, 5)[1:-1, 1:-1]
    rise = smoothstep(depth / (rng.uniform(0.5, 0.95) * depth.max()))
    fade = cv2.GaussianBlur(rise.astype(np.float32), (0, 0), 2.0) * mask
    turn, scale, shift = draw_motion(kind, radius, rng)
    # A longer shift would fold the picture over itself.
    flow = affine_flow(size, centre, 0.6 * turn, scale, 0.35 * shift) * fade[..., None]
    return {
        "source": still,
        "target": warp(still, flow, cv2.INTER_CUBIC),
        "flow": flow,
        "valid": np.ones_like(mask),
        "mask": mask,
    }


def make_motion(
    still: np.ndarray, other: np.ndarray, shape: np.ndarray | None, kind: str, rng: np.random.Generator
) -> dict[str, np.ndarray]:
    """The arrays of one pair of a kind: "warp" by `deformed`, "move" by `recomposed`, the others by either."""
    if kind == "warp" or (kind != "move" and rng.random() < 0.5):
        return deformed(still, kind, rng)
    return recomposed(still, other, shape, kind, rng)
