"""The edit stack: for each touched pixel of a photo, where it comes from in the photo as it was opened.

Rounds of drags do not resample each other's pixels. Each adds a *layer*, which holds for its mask a `State`: the
backward flow F from the picture to the original, and generated pixels with their weight R, stored premultiplied. The
picture is the original sampled once, by F, blended with the generated pixels by R, plus the change c that the last
round there makes to what it moved (blend.py has the definition). round_state.py makes the state of a round from the
states below it.

State is kept at two points a generator pixel, or at every pixel where generator pixels are larger: finer than what it
is made from, and a few megabytes a layer in a photo of any size.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property

import cv2
import numpy as np

from edgedrag.runtime.drag.blend import blend_premultiplied
from edgedrag.runtime.drag.composite import Box, each_on_a_thread, strips
from edgedrag.runtime.drag.flow import sample, sample_list
from edgedrag.runtime.photo.picture import colour_and_alpha
from edgedrag.runtime.session.lattice import Lattice, box_around, common, pixels_of, within


@dataclass(frozen=True)
class State:
    """The state at [h, w] points.

    Attributes:
        flow: float32 [h, w, 2], photo pixels.
        drawn: [h, w, C + 1] in the photo's type and range: the generated colour times its weight, then the weight;
            None where nothing is generated.
        change: float32 [h, w, C] in the photo's range: what the layer's own round adds to what it moved. Later rounds
            do not move it along.
    """

    flow: np.ndarray
    drawn: np.ndarray | None
    change: np.ndarray | None = None

    def length(self) -> np.ndarray:
        """Of the flow, [h, w]."""
        return lengths(self.flow)

    def is_generated(self) -> np.ndarray:
        """Where generated pixels have more than half of the weight, bool [h, w]."""
        if self.drawn is None:
            return np.zeros(self.flow.shape[:2], bool)
        return self.drawn[..., -1] > np.iinfo(self.drawn.dtype).max // 2


class Layer:
    """The state that a round left in its mask, bool, of a box; computed when it is first asked for."""

    def __init__(self, lattice: Lattice, mask: np.ndarray, make: Callable[[Lattice], State]):
        self.lattice = lattice
        self.box = lattice.box
        self.mask = mask
        self._make: Callable[[Lattice], State] | None = make

    @cached_property
    def state(self) -> State:
        assert self._make is not None, "computed once"
        state = self._make(self.lattice)
        self._make = None  # frees what it was computed from
        return state

    def covers(self, x: np.ndarray, y: np.ndarray) -> np.ndarray:
        """Whether the pixels nearest to photo points are in the mask, bool like them."""
        row, column = np.rint(y).astype(int) - self.box[0].start, np.rint(x).astype(int) - self.box[1].start
        height, width = self.mask.shape
        inside = (row >= 0) & (row < height) & (column >= 0) & (column < width)
        inside[inside] = self.mask[row[inside], column[inside]]
        return inside

    def hides(self, older: Layer) -> bool:
        """Whether nothing of an older layer is visible under this one."""
        if common(self.box, older.box) != older.box:
            return False
        return bool(self.mask[within(older.box, self.box)][older.mask].all())


Layers = tuple[Layer, ...]  # later ones hide earlier ones; elsewhere the photo shows itself


def on_top(layers: Layers, layer: Layer) -> Layers:
    """A stack with one more layer, without those that it hides."""
    return (*(older for older in layers if not layer.hides(older)), layer)


def touches(layers: Layers, box: Box) -> bool:
    """Whether a layer overlaps a box of the photo."""
    return any(common(layer.box, box) for layer in layers)


def state_at(layers: Layers, x: np.ndarray, y: np.ndarray) -> State:
    """The state at photo points x and y, each [h, w]; without `change`."""
    flow = np.zeros((x.size, 2), np.float32)
    drawn: np.ndarray | None = None
    points_x, points_y = x.ravel(), y.ravel()
    below = np.arange(x.size)  # points that no layer so far covers
    for layer in reversed(layers):
        covered = layer.covers(points_x[below], points_y[below])
        here, below = below[covered], below[~covered]
        if not len(here):
            continue
        at = layer.lattice.to_lattice(points_x[here], points_y[here])
        flow[here] = sample_list(layer.state.flow, *at)
        of_layer = layer.state.drawn
        if of_layer is not None:
            if drawn is None:
                drawn = np.zeros((x.size, of_layer.shape[2]), of_layer.dtype)
            drawn[here] = sample_list(of_layer, *at, cv2.INTER_CUBIC)
    return State(flow.reshape(*x.shape, 2), None if drawn is None else drawn.reshape(*x.shape, -1))


def render(photo: np.ndarray, layer: Layer) -> np.ndarray:
    """The colour [h, w, 1 or 3] that a layer gives in its box of the original photo, in the photo's type."""
    colour = colour_and_alpha(photo)[0]
    state, full = layer.state, np.float32(np.iinfo(photo.dtype).max)
    out = np.empty((*layer.mask.shape, colour.shape[2]), photo.dtype)

    def render_strip(strip: Box) -> None:
        part = within(strip, layer.box)
        x, y = (np.ascontiguousarray(a) for a in np.broadcast_arrays(*pixels_of(strip)))
        at = layer.lattice.to_lattice(x, y)
        flow = sample(state.flow, *at)
        x += flow[..., 0]
        y += flow[..., 1]
        near = box_around(x, y, photo.shape)  # only this much of a photo with alpha is copied
        x -= near[1].start
        y -= near[0].start
        shown = sample(colour[near], x, y, cv2.INTER_CUBIC)
        if state.drawn is not None:
            drawn = sample(state.drawn, *at).astype(np.float32)
            if drawn[..., -1].any():
                shown = blend_premultiplied(shown, drawn[..., :-1], drawn[..., -1:] / full)
        if state.change is not None:
            shown = shown + sample(state.change, *at)
        out[part] = shown if shown.dtype == photo.dtype else rounded(shown, photo.dtype)

    each_on_a_thread(render_strip, strips(layer.box))
    return out


def crossfade(now: np.ndarray, then: np.ndarray, weight: np.ndarray) -> np.ndarray:
    """Pixels [h, w, C] fading into others with a weight [h, w, 1], in the type of `now`; exact where it is 0 or 1."""
    return rounded(blend_premultiplied(now, then * weight, weight), now.dtype)


def crossfade_states(lattice: Lattice, now: Layers, then: Layers, weight: np.ndarray) -> State:
    """One state fading into another; `weight` [h, w, 1] is of the pixels of the lattice's box."""
    x, y = np.broadcast_arrays(*lattice.points())
    first, second = state_at(now, x, y), state_at(then, x, y)
    share = lattice.at_points(weight)
    flow = first.flow * (1 - share) + second.flow * share
    some = first.drawn if first.drawn is not None else second.drawn
    if some is None:
        return State(flow, None)
    old, new = (np.zeros_like(some) if state.drawn is None else state.drawn for state in (first, second))
    return State(flow, crossfade(old, new, share))


def rounded(values: np.ndarray, dtype: np.dtype) -> np.ndarray:
    return np.clip(np.rint(values), 0, np.iinfo(dtype).max).astype(dtype)


def lengths(vectors: np.ndarray) -> np.ndarray:
    """Of vectors [h, w, 2], [h, w]."""
    return np.hypot(vectors[..., 0], vectors[..., 1])
