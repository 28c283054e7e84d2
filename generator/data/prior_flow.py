"""The backward flow that drags alone suggests; the motion network corrects it."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from edgedrag.runtime.drag.flow import edge_fade, grid, inverse_distance

REACH = 2.0  # distance from the centre, in spreads of the drags, at which a fitted rotation and scaling has faded
LIMIT = 1.0  # change of a vector, as a share of it, from which on a fitted rotation or scaling is damped


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
