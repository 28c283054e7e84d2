"""The before / drag / after picture."""

from __future__ import annotations

import cv2
import numpy as np

from edgedrag.runtime.photo.picture import as_rgb8

MAX_HEIGHT = 640
HANDLE, TARGET, ARROW = (230, 60, 50), (50, 110, 235), (255, 255, 255)  # RGB
GAP = 8


def make_sheet(before: np.ndarray, after: np.ndarray, mask: np.ndarray, points: np.ndarray) -> np.ndarray:
    """Before, the drag drawn on it, and after, side by side; uint8 RGB.

    Args:
        before, after: pictures of one size. mask: bool [H, W]. points: [N, 4] in their pixels.
    """
    scale = min(1.0, MAX_HEIGHT / before.shape[0], 2 * MAX_HEIGHT / before.shape[1])
    size = (max(1, round(before.shape[1] * scale)), max(1, round(before.shape[0] * scale)))
    left, right = (cv2.resize(as_rgb8(p), size, interpolation=cv2.INTER_AREA) for p in (before, after))
    small = cv2.resize(mask.astype(np.uint8), size, interpolation=cv2.INTER_NEAREST)
    drawn = draw_drag(left, small, points * scale)
    gap = np.full((size[1], GAP, 3), 255, np.uint8)
    return np.hstack([left, gap, drawn, gap, right])


def draw_drag(picture: np.ndarray, mask: np.ndarray, points: np.ndarray) -> np.ndarray:
    """A copy of `picture` with what cannot change dimmed and an arrow from each handle (red) to its target (blue)."""
    drawn = np.where(mask[..., None] > 0, picture, picture // 2 + 40).astype(np.uint8)
    contours, _ = cv2.findContours(mask.astype(np.uint8), cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_SIMPLE)
    cv2.drawContours(drawn, contours, -1, ARROW, 1, cv2.LINE_AA)
    width = max(1, round(max(picture.shape[:2]) / 250))
    for hx, hy, tx, ty in np.round(points).astype(int).tolist():
        cv2.arrowedLine(drawn, (hx, hy), (tx, ty), ARROW, width, cv2.LINE_AA, tipLength=0.2)
        cv2.circle(drawn, (hx, hy), 2 * width + 1, HANDLE, -1, cv2.LINE_AA)
        cv2.circle(drawn, (tx, ty), 2 * width + 1, TARGET, -1, cv2.LINE_AA)
    return drawn
