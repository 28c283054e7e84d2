"""A brush's stroke as an entry of the history: the edit stack composes it with what is there."""

from __future__ import annotations

import cv2
import numpy as np

from edgedrag.runtime.drag.brush import Stroke, reach, smoothed, stroke_flow, stroke_window
from edgedrag.runtime.drag.composite import Generated
from edgedrag.runtime.errors import InputError
from edgedrag.runtime.photo.window import Window
from edgedrag.runtime.session.history import Entry, History

MOVED = 0.01  # pixels; a flow that is shorter moves nothing
NOTHING = {
    "push": "path: a push moves nothing where it begins; give two points that differ",
    "smooth": "smooth: no edit moved anything where this stroke goes",
}


def brushed(history: History, photo: np.ndarray, protected: np.ndarray | None, stroke: Stroke) -> Entry:
    """What a stroke makes of a photo; the history is unchanged until `add`.

    Args:
        protected: bool [H, W] of the photo, what must not change.

    Raises:
        InputError: nothing would move.
    """
    window = stroke_window(stroke, *photo.shape[:2])
    if stroke.brush == "smooth":
        before = history.flow(window)
        flow = smoothed(stroke, window, before) - before
    else:
        flow = stroke_flow(stroke, window)
    mask = _changed(photo.shape[:2], stroke, window, flow, protected)
    if stroke.brush == "smooth":
        return history.bend(photo, window, mask, flow)
    points = np.empty((0, 4), np.float32)
    return history.compose(photo, window, mask, points, Generated(None, flow / window.scale, None))


def _changed(
    shape: tuple[int, ...], stroke: Stroke, window: Window, flow: np.ndarray, protected: np.ndarray | None
) -> np.ndarray:
    """Where a flow moves anything, and a cell around, bool [H, W] of the photo; InputError where that is nothing."""
    moved = (np.abs(flow).max(-1) > MOVED).astype(np.uint8)
    moved = cv2.dilate(moved, np.ones((3, 3), np.uint8))
    moved = cv2.resize(moved, (window.width, window.height), interpolation=cv2.INTER_NEAREST)
    mask = np.zeros(shape, bool)
    mask[window.box] = moved.view(bool) & reach(stroke, window)
    if not mask.any():
        raise InputError(NOTHING.get(stroke.brush, "path: the brush moves no pixel of the photo"))
    if protected is not None:
        mask &= ~protected
        if not mask.any():
            raise InputError("all that this stroke could change is protected; take some of the protection away")
    return mask
