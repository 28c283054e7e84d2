"""Motion fields: what a drag alone suggests, its inverse, and the warp of pixels.

A *backward flow* is float32 [H, W, 2] in pixels, x then y: the result at p shows the source at
p + flow(p). Points are float32 [N, 4]: handle x, y, target x, y in pixels.
"""

from __future__ import annotations

from collections.abc import Callable

import cv2
import numpy as np

FADE = 6.0  # pixels over which a prior falls to zero at the mask's edge
SOFTENING = 4.0  # square pixels added to squared distances
REACH = 2.0  # distance from the centre, in spreads of the drags, at which a fitted rotation and scaling has faded
LIMIT = 1.0  # change of a vector, as a share of it, from which on a fitted rotation or scaling is damped
STRIP = 256  # rows at once, times points, so that the sums stay in the caches


def grid(shape: tuple[int, int]) -> tuple[np.ndarray, np.ndarray]:
    """Pixel coordinates x [1, W] and y [H, 1], float32."""
    h, w = shape
    return np.arange(w, dtype=np.float32)[None, :], np.arange(h, dtype=np.float32)[:, None]


def edge_fade(mask: np.ndarray, width: float = FADE) -> np.ndarray:
    """0 outside the mask, rising linearly to 1 at `width` pixels inside it; float32 [H, W].

    The border of the array is not an edge: what touches it goes on beyond.
    """
    padded = cv2.copyMakeBorder(mask.view(np.uint8), 1, 1, 1, 1, cv2.BORDER_REPLICATE)
    inside = cv2.distanceTransform(padded, cv2.DIST_L2, 5)[1:-1, 1:-1]
    return np.minimum(inside / width, 1.0)


def inverse_distance(at: np.ndarray, values: np.ndarray, shape: tuple[int, int]) -> np.ndarray:
    """Values [N, C] at points [N, 2] spread over a picture, float32 [C, H, W].

    Inverse-distance weighting (Shepard 1968): sum w_i v_i / sum w_i, w_i = 1 / (d_i^2 + 4).
    """
    x, y = grid(shape)
    at, values = at.astype(np.float32), values.astype(np.float32)
    field = np.empty((values.shape[1], *shape), np.float32)
    step = max(1, STRIP // len(at))
    for top in range(0, shape[0], step):
        rows = slice(top, top + step)
        weights = 1.0 / ((x - at[:, 0, None, None]) ** 2 + (y[rows] - at[:, 1, None, None]) ** 2 + SOFTENING)
        total = weights.sum(0)
        for plane, components in zip(field, values.T):
            plane[rows] = (weights * components[:, None, None]).sum(0) / total
    return field


def prior_flow(points: np.ndarray, mask: np.ndarray) -> np.ndarray:
    """The backward flow that a drag alone suggests: around each target, what lies at its handle.

    Several drags together rotate and scale what lies around them. What the fit leaves of each vector (of a single drag,
    all of it) is spread by inverse distance.

    Args:
        points: [N, 4] with N >= 1; a repeated row changes nothing.
        mask: bool [H, W].
    """
    drags = np.unique(points.astype(np.float32), axis=0)
    targets, shifts = drags[:, 2:], drags[:, :2] - drags[:, 2:]
    if len(drags) == 1:
        field = inverse_distance(targets, shifts, mask.shape)
    else:
        fitted = fit_rotation_and_scaling(targets, shifts)
        field = inverse_distance(targets, shifts - fitted(*targets.T).T, mask.shape)
        field += fitted(*grid(mask.shape))
    field *= edge_fade(mask)
    return np.moveaxis(field, 0, -1)


def fit_rotation_and_scaling(at: np.ndarray, shifts: np.ndarray) -> Callable[[np.ndarray, np.ndarray], np.ndarray]:
    """The rotation and scaling about their centre that fits shifts [N, 2] at points [N, 2] best (least squares).

    Returns:
        A function of x and y (pixels, broadcast) that gives the shift there, [2, ...]. It fades out with the distance
        from the centre (REACH). Large fitted rotations and scales are damped (LIMIT): closing a mouth only resembles
        scaling.
    """
    centre = at.mean(0)
    x, y = (at - centre).T
    spread = float((x * x + y * y).mean()) + 1e-6  # square pixels
    scaling = float((x * shifts[:, 0] + y * shifts[:, 1]).mean()) / spread
    rotation = float((x * shifts[:, 1] - y * shifts[:, 0]).mean()) / spread
    damping = 1 / (1 + ((scaling**2 + rotation**2) / LIMIT**2) ** 2)

    def shift(x: np.ndarray, y: np.ndarray) -> np.ndarray:
        x, y = x - centre[0], y - centre[1]
        near = np.float32(damping) / (1 + (x * x + y * y) * np.float32(1 / (REACH**2 * spread)))
        return np.stack([(scaling * x - rotation * y) * near, (rotation * x + scaling * y) * near])

    return shift


def bidirectional_flow(points: np.ndarray, mask: np.ndarray, rounds: int = 8) -> tuple[np.ndarray, np.ndarray]:
    """A backward flow for bundles that give none: spread from the handles forward, then inverted.

    The idea is Inpaint4Drag's (Lu and Han, ICCV 2025): move the pixels of the region forward, then
    look up for each pixel of the result where it came from. The inverse is found by fixed-point
    iteration of b(p) = -f(p + b(p)).

    Returns:
        flow [H, W, 2] and revealed, bool [H, W]: pixels of the mask that no pixel moved to.
    """
    spread = inverse_distance(points[:, :2], points[:, 2:] - points[:, :2], mask.shape) * edge_fade(mask)
    forward = np.ascontiguousarray(np.moveaxis(spread, 0, -1))
    backward = -forward
    for _ in range(rounds):
        backward = -warp(forward, backward)
    missed = np.linalg.norm(backward + warp(forward, backward), axis=-1)
    return backward, (missed > 1.0) & mask


def warp(image: np.ndarray, flow: np.ndarray, interpolation: int = cv2.INTER_LINEAR) -> np.ndarray:
    """Sample `image` [H, W] or [H, W, C] at p + flow(p); beyond the border its edge is repeated."""
    x, y = grid(flow.shape[:2])
    return cv2.remap(image, flow[..., 0] + x, flow[..., 1] + y, interpolation, borderMode=cv2.BORDER_REPLICATE)
