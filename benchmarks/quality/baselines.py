"""Baselines for edits: the unedited photo, and two warps computed from the drag alone.

Photos are uint8 RGB [H, W, 3], points [N, 4] of handle x, y, target x, y in pixels, masks bool [H, W].
None of them changes pixels outside the mask.
"""

from __future__ import annotations

import cv2
import numpy as np

from edgedrag.runtime.drag.flow import bidirectional_flow, edge_fade, inverse_distance, warp

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
