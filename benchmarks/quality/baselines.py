"""Baselines for edits: the unedited photo, and two warps computed from the drag alone.

Photos are uint8 RGB [H, W, 3], points [N, 4] of handle x, y, target x, y in pixels, masks bool [H, W].
None of them changes pixels outside the mask.
"""

from __future__ import annotations

import cv2
import numpy as np

from edgedrag.runtime.drag.flow import edge_fade, inverse_distance, warp

FADE = 12.0  # pixels over which the inverse-distance warp fades to zero at the mask's edge
INPAINT_RADIUS = 5.0  # pixels


def unedited(photo: np.ndarray, points: np.ndarray, mask: np.ndarray) -> np.ndarray:
    """The unchanged photo."""
    return photo


def inverse_distance_warp(photo: np.ndarray, points: np.ndarray, mask: np.ndarray) -> np.ndarray:
    """A warp by the inverse-distance weighted mean of the drags, fading at the mask's edge."""
    field = inverse_distance(points[:, 2:], points[:, :2] - points[:, 2:], mask.shape) * edge_fade(mask, FADE)
    return np.where(mask[..., None], warp(photo, np.moveaxis(field, 0, -1)), photo)


def bidirectional_warp(photo: np.ndarray, points: np.ndarray, mask: np.ndarray) -> np.ndarray:
    """A bidirectional warp with inpainted revealed pixels.

    Inpaint4Drag (Lu and Han, ICCV 2025) with Telea's inpainting (2004) instead of a diffusion model.
    """
    flow, revealed = bidirectional_flow(points, mask)
    filled = cv2.inpaint(warp(photo, flow), revealed.astype(np.uint8), INPAINT_RADIUS, cv2.INPAINT_TELEA)
    return np.where(mask[..., None], filled, photo)


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
