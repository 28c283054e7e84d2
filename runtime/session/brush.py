"""A brush's stroke as an entry of the history: the edit stack composes it with what is there."""

from __future__ import annotations

from functools import partial

import cv2
import numpy as np

from edgedrag.runtime.drag.brush import Stroke, reach, smoothed, stroke_flow, stroke_window
from edgedrag.runtime.drag.composite import Generated, box_of
from edgedrag.runtime.drag.flow import grid
from edgedrag.runtime.errors import InputError
from edgedrag.runtime.photo.picture import colour_and_alpha
from edgedrag.runtime.photo.window import Window
from edgedrag.runtime.session.edit_stack import Layer, on_top, render, state_at
from edgedrag.runtime.session.history import Entry, History
from edgedrag.runtime.session.lattice import Lattice
from edgedrag.runtime.session.round_state import bent_state

NO_POINTS = np.empty((0, 4), np.float32)
MOVED = 0.01  # pixels; a flow that is shorter moves nothing
NOTHING = {
    "push": "path: a push moves nothing where it begins; give two points that differ",
    "smooth": "smooth: no edit moved anything where this stroke goes",
}


def flow_of(history: History, window: Window) -> np.ndarray:
    """Where what a photo shows comes from in its original, at a window's grid: a backward flow, float32 [H, W, 2] in
    photo pixels; 0 where no edit moved anything, and everywhere once the edit stack has outgrown its limit."""
    _, layers = history.state()
    if history.limit is not None and len(layers) >= 2 * history.limit:
        layers = ()
    x, y = np.broadcast_arrays(*grid(window.size))
    x = (x + 0.5) * window.scale[0] - 0.5 + window.left
    y = (y + 0.5) * window.scale[1] - 0.5 + window.top
    return state_at(layers, x, y).flow


def brushed(history: History, photo: np.ndarray, protected: np.ndarray | None, stroke: Stroke) -> Entry:
    """What a stroke makes of a photo; the history is unchanged until `add`.

    Args:
        protected: bool [H, W] of the photo, what must not change.

    Raises:
        InputError: nothing would move.
    """
    window = stroke_window(stroke, *photo.shape[:2])
    if stroke.brush == "smooth":
        before = flow_of(history, window)
        flow = smoothed(stroke, window, before) - before
    else:
        flow = stroke_flow(stroke, window)
    mask = _changed(photo.shape[:2], stroke, window, flow, protected)
    if stroke.brush == "smooth":
        return _bent(history, photo, window, mask, flow)
    return history.compose(photo, window, mask, NO_POINTS, Generated(None, flow / window.scale, None))


def _bent(history: History, photo: np.ndarray, window: Window, mask: np.ndarray, change: np.ndarray) -> Entry:
    """What a change of `flow_of`, at the window's grid, makes of a photo in a mask, bool [H, W]; generated pixels stay
    where they are."""
    original, layers = history.state()
    box, region = box_of(mask), mask[window.box].copy()  # copies: views would keep the whole photo's
    masked, before = mask[box].copy(), photo[box].copy()
    make = partial(bent_state, before=layers, window=window, mask=region, change=change)
    layer = Layer(Lattice.of(window, box), masked, make)
    after = before.copy()
    np.copyto(colour_and_alpha(after)[0], render(original, layer), where=masked[..., None])
    return Entry(original, box, masked, NO_POINTS, before, layers, after, on_top(layers, layer))


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
