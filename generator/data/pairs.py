"""Training pairs from video: two frames of a shot, the flow between them, and the mask of what moves.

A pair is a 256 x 256 crop. `source` and `target` share a background (the camera's motion is
removed); `flow` is the backward flow of the target (target pixel p shows source pixel
p + flow(p), in pixels, x then y); `valid` says where forward and backward flow agree;
`mask` is the region that moves, in either frame; `kind` is "video", or a kind of synthetic motion
(`synthetic_motion.KINDS`).
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from edgedrag.generator.data.synthetic_motion import make_motion
from edgedrag.runtime.drag.flow import warp

SIZE = 256
MIN_CORNER = 1e-4  # eigenvalue of the structure tensor over 7 x 7 pixels of a picture in 0..1
MOTION = 1.0  # pixels; what moves less counts as still
MOTION_RANGE = (4.0, 48.0)  # allowed 95th percentile of the motion inside the mask, pixels
MADE_RANGE = (4.0, 96.0)  # the same of synthetic motion, whose flow is exact at any length
MASK_SHARE = (0.02, 0.70)
MIN_CONSISTENT = 0.55  # share of the mask where forward and backward flow must agree
MAX_OUTSIDE_CHANGE = 5.0  # mean grey-level difference allowed outside the mask


@dataclass
class Pair:
    """One mined pair; all arrays are SIZE x SIZE."""

    source: np.ndarray  # uint8 RGB
    target: np.ndarray  # uint8 RGB
    flow: np.ndarray  # float16 [H, W, 2]
    valid: np.ndarray  # bool
    mask: np.ndarray  # bool
    kind: str = "video"


class Rejected(Exception):
    """Two frames make no pair; the message is the reason in one word."""


def dense_flow(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """DIS optical flow (Kroeger et al., ECCV 2016) from grey frame a to grey frame b, float32 [H, W, 2]."""
    return cv2.DISOpticalFlow.create(cv2.DISOPTICAL_FLOW_PRESET_MEDIUM).calc(a, b, None)  # type: ignore[call-overload]


def stabilise(source: np.ndarray, target: np.ndarray) -> np.ndarray:
    """Resample `source` so that its background is aligned with the target's. Raises Rejected if none is found."""
    flow = dense_flow(cv2.cvtColor(target, cv2.COLOR_BGR2GRAY), cv2.cvtColor(source, cv2.COLOR_BGR2GRAY))
    h, w = flow.shape[:2]
    x, y = np.meshgrid(np.arange(4, w, 8), np.arange(4, h, 8))
    at_target = np.stack([x, y], -1).reshape(-1, 2).astype(np.float32)
    at_source = at_target + flow[y, x].reshape(-1, 2)
    homography, inliers = cv2.findHomography(at_target, at_source, cv2.RANSAC, 1.0)
    if homography is None or inliers.mean() < 0.35:
        raise Rejected("no_background")
    moved = cv2.perspectiveTransform(at_target[None], homography)[0] - at_target
    if np.abs(moved).max() < 0.25:
        return source
    if np.abs(moved).max() > 0.2 * max(h, w):
        raise Rejected("camera")
    return cv2.warpPerspective(
        source, homography, (w, h), flags=cv2.INTER_CUBIC | cv2.WARP_INVERSE_MAP, borderMode=cv2.BORDER_CONSTANT
    )


def motion_mask(backward: np.ndarray, forward: np.ndarray) -> np.ndarray:
    """Where something moves in either frame, cleaned of specks and holes; bool [H, W]."""
    speed = np.maximum(np.linalg.norm(backward, axis=-1), np.linalg.norm(forward, axis=-1))
    mask = (cv2.medianBlur(speed.astype(np.float32), 5) > MOTION).astype(np.uint8)
    mask = cv2.morphologyEx(mask, cv2.MORPH_OPEN, np.ones((5, 5), np.uint8))
    mask = cv2.morphologyEx(mask, cv2.MORPH_CLOSE, cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (15, 15)))
    count, labels, stats, _ = cv2.connectedComponentsWithStats(mask)
    small = [i for i in range(1, count) if stats[i, cv2.CC_STAT_AREA] < 0.003 * mask.size]
    mask[np.isin(labels, small)] = 0
    return cv2.dilate(mask, cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (7, 7))).astype(bool)


def random_crop(
    shape: tuple[int, ...], centre: np.ndarray, rng: np.random.Generator
) -> tuple[tuple[slice, slice], int]:
    """A square of 3/4 to all of the shorter side, around `centre` (row, column) as far as it fits, and its side."""
    h, w = shape[:2]
    side = int(rng.integers(int(0.75 * min(h, w)), min(h, w) + 1))
    top, left = (int(np.clip(c - side // 2, 0, n - side)) for c, n in zip(centre, (h, w)))
    return np.s_[top : top + side, left : left + side], side


def resized(array: np.ndarray, how: int = cv2.INTER_AREA) -> np.ndarray:
    return cv2.resize(array, (SIZE, SIZE), interpolation=how)


def check_motion(flow: np.ndarray, mask: np.ndarray, reach: tuple[float, float] = MOTION_RANGE) -> None:
    """Raise Rejected if too little or too much moves."""
    share = mask.mean()
    if share < MASK_SHARE[0]:
        raise Rejected("small")
    if share > MASK_SHARE[1]:
        raise Rejected("large")
    speed = np.percentile(np.linalg.norm(flow, axis=-1)[mask], 95)
    if not reach[0] <= speed <= reach[1]:
        raise Rejected("slow" if speed < reach[0] else "fast")


def make_pair(source: np.ndarray, target: np.ndarray, rng: np.random.Generator) -> Pair:
    """Turn two BGR frames of one shot into a pair, or raise `Rejected` with the reason."""
    source = stabilise(source, target)
    grey_source, grey_target = (cv2.cvtColor(f, cv2.COLOR_BGR2GRAY) for f in (source, target))
    backward, forward = dense_flow(grey_target, grey_source), dense_flow(grey_source, grey_target)
    disagreement = np.linalg.norm(backward + warp(forward, backward), axis=-1)
    valid = disagreement < 0.75 + 0.05 * np.linalg.norm(backward, axis=-1)
    mask = motion_mask(backward, forward)
    # The stabilised source is black outside the first frame's field of view.
    seen = cv2.erode((source.max(-1) > 0).astype(np.uint8), np.ones((9, 9), np.uint8), borderValue=1).astype(bool)

    moving = np.argwhere(mask)
    if not len(moving):
        raise Rejected("still")
    crop, side = random_crop(mask.shape, moving[rng.integers(len(moving))], rng)
    if seen[crop].mean() < 0.98:
        raise Rejected("border")
    mask = resized(mask[crop].astype(np.uint8), cv2.INTER_NEAREST).astype(bool)
    valid = resized(valid[crop].astype(np.uint8), cv2.INTER_NEAREST).astype(bool)
    flow = resized(backward[crop], cv2.INTER_LINEAR) * (SIZE / side)
    check_motion(flow, mask)
    if valid[mask].mean() < MIN_CONSISTENT:
        raise Rejected("inconsistent")
    images = [resized(cv2.cvtColor(f[crop], cv2.COLOR_BGR2RGB)) for f in (source, target)]
    change = np.abs(images[0].astype(np.float32) - images[1].astype(np.float32)).mean(-1)
    if change[~mask].mean() > MAX_OUTSIDE_CHANGE:
        raise Rejected("appearance")
    return Pair(images[0], images[1], flow.astype(np.float16), valid, mask)


def made_pair(
    still: np.ndarray, other: np.ndarray, kind: str, rng: np.random.Generator, shape: np.ndarray | None = None
) -> Pair:
    """A pair with a kind of synthetic motion, from two stills, uint8 RGB [SIZE, SIZE, 3]; may raise Rejected.

    `shape`, bool [SIZE, SIZE], is the piece of `other` to move over `still`; None cuts out a random blob.
    """
    if shape is None and rng.random() < 0.5:
        other = other[::-1]
    arrays = make_motion(still, other, shape, kind, rng)
    check_motion(arrays["flow"], arrays["mask"], MADE_RANGE)
    return Pair(**{**arrays, "flow": arrays["flow"].astype(np.float16)}, kind=kind)


def draggable(target: np.ndarray, valid: np.ndarray) -> np.ndarray:
    """Where a drag may end, bool [H, W]: the flow is valid there and the picture has a corner.

    On flat areas and along straight edges flow is ambiguous (the aperture problem), and people grab corners.
    Corners are found by the smaller eigenvalue of the structure tensor (Shi and Tomasi, CVPR 1994).

    Args:
        target: uint8 RGB [H, W, 3]. valid: bool [H, W].
    """
    grey = cv2.cvtColor(target, cv2.COLOR_RGB2GRAY)
    return valid & (cv2.cornerMinEigenVal(grey, 7) > MIN_CORNER)


def sample_points(
    flow: np.ndarray, valid: np.ndarray, mask: np.ndarray, rng: np.random.Generator, limit: int = 20
) -> np.ndarray:
    """Draw 1 to `limit` handle/target pairs where motion is strong.

    `valid` is where targets may lie, see `draggable`.

    Returns float32 [N, 4], handle x, y and target x, y in pixels; handles lie inside the mask. Few points are more
    likely than many, as in real use.
    """
    h, w = mask.shape
    ys, xs = np.nonzero(valid & mask)
    if not len(ys):
        return np.zeros((0, 4), np.float32)
    moved = flow[ys, xs].astype(np.float32)
    weight = np.linalg.norm(moved, axis=-1) ** 2 + 1e-6
    count = min(1 + int(rng.geometric(0.45)) - 1 if rng.random() < 0.85 else int(rng.integers(4, limit + 1)), limit)
    chosen = rng.choice(len(ys), size=min(4 * max(count, 1), len(ys)), p=weight / weight.sum(), replace=False)
    points: list[tuple[float, float, float, float]] = []
    for i in chosen:
        tx, ty = float(xs[i]), float(ys[i])
        hx, hy = tx + float(moved[i, 0]), ty + float(moved[i, 1])
        inside = 0 <= hx <= w - 1 and 0 <= hy <= h - 1 and mask[round(hy), round(hx)]
        apart = all((tx - p[2]) ** 2 + (ty - p[3]) ** 2 > 64 for p in points)
        if inside and apart:
            points.append((hx, hy, tx, ty))
        if len(points) == max(count, 1):
            break
    return np.array(points, np.float32).reshape(-1, 4)
