"""The state of an edited photo: for each touched pixel, where it comes from in the photo as it was opened.

Rounds of drags do not resample each other's pixels. Each adds a *layer*, which holds for its mask the
backward flow F from the picture to the original, and the generated pixels G with their weight R. A round
with native flow f and revealed weight r over a state F, G, R makes

    F'(p) = f(p) + F(p + f(p))        R'(p) = R(p + f(p))        G'(p) = G(p + f(p))

draws its generated pixels over that with weight r, and the picture is the original sampled once, by F',
mixed with G' by R'; what the round changes of what it moved is added to that, and no later round takes it along.
Towards the edge of its mask a round's f and r fall to 0, so the state has no seams.

Where f takes a motion back, what little is left of F' is set to 0: the original's values return exactly.
And where a round reveals something or takes a motion back, at a pixel that did not show its own content
before and whose content nothing shows now, that content returns instead of generated pixels, unless it
is a mere splinter.

F, G and R are kept at two points a generator pixel, or at every pixel where those are larger: finer
than what they are made from, and so small that a layer takes a few megabytes in a photo of any size.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property

import cv2
import numpy as np

from edgedrag.runtime.drag.composite import Box, Generated, decided, in_channels, rising, seam_fade, seam_width, strips
from edgedrag.runtime.drag.flow import edge_fade, grid
from edgedrag.runtime.photo.picture import colour_and_alpha
from edgedrag.runtime.photo.window import Window

POINTS = 2.0  # of a lattice for each generator pixel
REACH = 2  # pixels around a sampled one that bicubic sampling reads
SNAP = 1.0  # generator pixels; less than half of it left of a motion that was taken back is set to 0
STILL = 1.0  # generator pixels; content moved by less counts as shown in its own place
OPENED = 0.1  # of a pixel revealed or taken back; more, and what was covered shows
ROW = 1024  # points sampled in a row; OpenCV takes no long ones
BROAD = 2.0  # generator pixels; in strips thinner than twice this nothing comes back
NEIGHBOURS = np.ones((3, 3), np.uint8)


@dataclass(frozen=True)
class Lattice:
    """Points of a photo at even distances, from the first to the last pixel of a box.

    `pitch` (x, y) is in pixels, `shape` (h, w) in points.
    """

    box: Box
    pitch: tuple[float, float]
    shape: tuple[int, int]

    @classmethod
    def of(cls, window: Window, box: Box) -> Lattice:
        counts, pitches = [], []
        for part, scale in zip(box, window.scale[::-1].tolist()):
            length = part.stop - part.start - 1
            count = int(np.ceil(length / max(1.0, scale / POINTS))) + 1
            counts.append(count)
            pitches.append(length / (count - 1) if count > 1 else 1.0)
        return cls(box, (pitches[1], pitches[0]), (counts[0], counts[1]))

    def points(self) -> tuple[np.ndarray, np.ndarray]:
        """Where in the photo the points lie: x [1, w] and y [h, 1], float32 pixels."""
        x, y = grid(self.shape)
        return x * self.pitch[0] + self.box[1].start, y * self.pitch[1] + self.box[0].start

    def find(self, x: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Photo pixels as places in the lattice, float32."""
        along_x, along_y = (x - self.box[1].start) / self.pitch[0], (y - self.box[0].start) / self.pitch[1]
        return along_x.astype(np.float32), along_y.astype(np.float32)


@dataclass(frozen=True)
class State:
    """The state at [h, w] points.

    `flow` float32 [h, w, 2], photo pixels; `made` [h, w, C + 1] in the photo's type and range, generated
    colour times its weight, then the weight; None where nothing is generated. `change` float32 [h, w, C], in the
    photo's range: what the layer's own round adds to what it moved, and no later round takes along.
    """

    flow: np.ndarray
    made: np.ndarray | None
    change: np.ndarray | None = None

    def length(self) -> np.ndarray:
        """Of the flow, [h, w]."""
        return _length(self.flow)

    def is_generated(self) -> np.ndarray:
        """Where generated pixels prevail, bool [h, w]."""
        if self.made is None:
            return np.zeros(self.flow.shape[:2], bool)
        return self.made[..., -1] > np.iinfo(self.made.dtype).max // 2


class Layer:
    """The state that a round left in its mask, bool, of a box; worked out when it is first asked for."""

    def __init__(self, lattice: Lattice, mask: np.ndarray, make: Callable[[Lattice], State]):
        self.lattice = lattice
        self.box = lattice.box
        self.mask = mask
        self._make: Callable[[Lattice], State] | None = make

    @cached_property
    def state(self) -> State:
        assert self._make is not None, "made once"
        state = self._make(self.lattice)
        self._make = None  # and with it what it was made from
        return state

    def covers(self, x: np.ndarray, y: np.ndarray) -> np.ndarray:
        """Whether the pixels nearest to photo points are in the mask, bool like them."""
        row, column = np.rint(y).astype(int) - self.box[0].start, np.rint(x).astype(int) - self.box[1].start
        height, width = self.mask.shape
        held = (row >= 0) & (row < height) & (column >= 0) & (column < width)
        held[held] = self.mask[row[held], column[held]]
        return held

    def hides(self, older: Layer) -> bool:
        """Whether nothing of an older layer is left to see."""
        if common(self.box, older.box) != older.box:
            return False
        return bool(self.mask[within(older.box, self.box)][older.mask].all())


Layers = tuple[Layer, ...]  # later ones hide earlier ones; elsewhere the photo shows itself


def common(a: Box, b: Box) -> Box | None:
    """Where two boxes overlap."""
    rows, columns = (slice(max(p.start, q.start), min(p.stop, q.stop)) for p, q in zip(a, b))
    return (rows, columns) if rows.start < rows.stop and columns.start < columns.stop else None


def within(box: Box, outer: Box) -> Box:
    """A box as seen from the corner of another."""
    rows, columns = (slice(p.start - q.start, p.stop - q.start) for p, q in zip(box, outer))
    return rows, columns


def on_top(layers: Layers, layer: Layer) -> Layers:
    """A state with one more layer, without those that it hides."""
    return (*(older for older in layers if not layer.hides(older)), layer)


def touches(layers: Layers, box: Box) -> bool:
    """Whether anything in a box of the photo may be another than its own."""
    return any(common(layer.box, box) for layer in layers)


def state_at(layers: Layers, x: np.ndarray, y: np.ndarray) -> State:
    """The state at photo points x and y, each [h, w]."""
    flow = np.zeros((x.size, 2), np.float32)
    made: np.ndarray | None = None
    points_x, points_y = x.ravel(), y.ravel()
    unseen = np.arange(x.size)
    for layer in reversed(layers):
        found = layer.covers(points_x[unseen], points_y[unseen])
        here, unseen = unseen[found], unseen[~found]
        if not len(here):
            continue
        at = layer.lattice.find(points_x[here], points_y[here])
        flow[here] = _sample_list(layer.state.flow, *at)
        drawn = layer.state.made
        if drawn is not None:
            if made is None:
                made = np.zeros((x.size, drawn.shape[2]), drawn.dtype)
            made[here] = _sample_list(drawn, *at, cv2.INTER_CUBIC)
    return State(flow.reshape(*x.shape, 2), None if made is None else made.reshape(*x.shape, -1))


def render(photo: np.ndarray, layer: Layer) -> np.ndarray:
    """The colour [h, w, 1 or 3] that a layer gives in its box of the original photo, in the photo's type."""
    colour = colour_and_alpha(photo)[0]
    state, full = layer.state, np.float32(np.iinfo(photo.dtype).max)
    out = np.empty((*layer.mask.shape, colour.shape[2]), photo.dtype)
    for strip in strips(layer.box):
        part = within(strip, layer.box)
        x, y = (np.ascontiguousarray(a) for a in np.broadcast_arrays(*_pixels(strip)))
        at = layer.lattice.find(x, y)
        flow = _sample(state.flow, *at)
        x += flow[..., 0]
        y += flow[..., 1]
        near = _around(x, y, photo.shape)  # only this much of a photo with alpha is copied
        x -= near[1].start
        y -= near[0].start
        shown = _sample(colour[near], x, y, cv2.INTER_CUBIC)
        if state.made is not None:
            drawn = _sample(state.made, *at).astype(np.float32)
            if drawn[..., -1].any():
                shown = shown * (1 - drawn[..., -1:] / full) + drawn[..., :-1]
        if state.change is not None:
            shown = shown + _sample(state.change, *at)
        out[part] = shown if shown.dtype == photo.dtype else rounded(shown, photo.dtype)
    return out


def round_state(
    lattice: Lattice, photo: np.ndarray, before: Layers, window: Window, mask: np.ndarray, generated: Generated
) -> State:
    """The state after a round.

    Args:
        lattice: of the mask's box.
        photo: the original.
        before: the state that the round was drawn on.
        mask: bool, of the window.
    """
    x, y = lattice.points()
    fade = _fade_at(lattice, window, mask, seam_width(mask, generated))
    at_made = window.to_generator(np.stack(np.broadcast_arrays(x, y), -1))
    shift = np.zeros((*lattice.shape, 2), np.float32)
    if generated.flow is not None:
        shift = _sample(generated.flow, at_made[..., 0], at_made[..., 1]) * window.scale * fade
    # Like the generator, the round sees no further than its window.
    to_x = np.clip(x + shift[..., 0], window.left, window.left + window.width - 1)
    to_y = np.clip(y + shift[..., 1], window.top, window.top + window.height - 1)
    shift = np.stack([to_x - x, to_y - y], -1)
    there = state_at(before, to_x, to_y)
    flow, made = shift + there.flow, there.made
    left, least = _length(flow), np.minimum(_length(shift), there.length())
    pixel = float(window.scale.mean())
    flow *= 1 - _taken_back(left, np.minimum(least, SNAP * pixel))
    opened = _taken_back(left, least)
    if generated.draws:
        drawn, weight = _drawn(generated, at_made, photo)
        weight = weight * fade
        made = faded(np.zeros_like(drawn, photo.dtype) if made is None else made, drawn, weight)
        opened = np.maximum(opened, weight)
    state = State(flow, made, _added(generated, at_made, photo, fade * rising(_length(flow) / pixel)[..., None]))
    if made is not None and generated.flow is not None and touches(before, window.box):
        lost = _is_lost(before, state, lattice, mask[within(lattice.box, window.box)], STILL * pixel)
        share = _broad(lost & state.is_generated() & (opened[..., 0] > OPENED), pixel / lattice.pitch[0])
        made[:] = faded(made, _own(photo, lattice), share)
        whole = share[..., 0] == 1
        flow[whole] = 0
        made[cv2.erode(whole.astype(np.uint8), NEIGHBOURS) > 0] = 0  # further in than the flow, whose edge stays hidden
    return state


def _broad(where: np.ndarray, pixel: float) -> np.ndarray:
    """1 in the broad parts of a map, bool [h, w], falling to 0 at their edges; float32 [h, w, 1]."""
    reach = max(1, round(BROAD * pixel))
    kernel = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * reach + 1, 2 * reach + 1))
    broad = cv2.morphologyEx(where.astype(np.uint8), cv2.MORPH_OPEN, kernel)
    return edge_fade(broad, reach)[..., None]


def faded(now: np.ndarray, then: np.ndarray, weight: np.ndarray) -> np.ndarray:
    """Pixels [h, w, C] fading into others with a weight [h, w, 1], in the type of `now`; exact where it is 0 or 1."""
    return rounded(now * (1 - weight) + then * weight, now.dtype)


def rounded(values: np.ndarray, dtype: np.dtype) -> np.ndarray:
    return np.clip(np.rint(values), 0, np.iinfo(dtype).max).astype(dtype)


def blended(lattice: Lattice, now: Layers, then: Layers, weight: np.ndarray) -> State:
    """One state fading into another; `weight` [h, w, 1] is of the pixels of the lattice's box."""
    x, y = np.broadcast_arrays(*lattice.points())
    first, second = state_at(now, x, y), state_at(then, x, y)
    share = _at_pixels(weight, lattice)
    flow = first.flow * (1 - share) + second.flow * share
    some = first.made if first.made is not None else second.made
    if some is None:
        return State(flow, None)
    old, new = (np.zeros_like(some) if state.made is None else state.made for state in (first, second))
    return State(flow, faded(old, new, share))


def _drawn(generated: Generated, at: np.ndarray, photo: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """What a generator draws at places [h, w, 2] of its size: as `State.made` has it where nothing else is, its weight.

    float32, the weight [h, w, 1] in 0..1.
    """
    assert generated.result is not None, "a generator that draws"
    x, y = np.ascontiguousarray(at[..., 0]), np.ascontiguousarray(at[..., 1])
    colour = _sample(in_channels(generated.result, colour_and_alpha(photo)[0].shape[2]), x, y)
    whole = np.ones((*colour.shape[:2], 1), np.float32)
    weight = whole if generated.revealed is None else _sample(decided(generated.revealed), x, y)
    return np.concatenate([colour, whole], -1) * np.float32(np.iinfo(photo.dtype).max), weight


def _added(generated: Generated, at: np.ndarray, photo: np.ndarray, weight: np.ndarray) -> np.ndarray | None:
    """`State.change` of a round at places [h, w, 2] of the generator's size, under a weight [h, w, 1]."""
    if generated.change is None:
        return None
    change = in_channels(generated.change, colour_and_alpha(photo)[0].shape[2])
    largest = np.float32(np.iinfo(photo.dtype).max)
    return _sample(change, np.ascontiguousarray(at[..., 0]), np.ascontiguousarray(at[..., 1])) * weight * largest


def _own(photo: np.ndarray, lattice: Lattice) -> np.ndarray:
    """A photo's own colour at a lattice, as `State.made` has it; the photo's type."""
    colour = cv2.resize(colour_and_alpha(photo)[0][lattice.box], lattice.shape[::-1], interpolation=cv2.INTER_AREA)
    whole = np.full((*lattice.shape, 1), np.iinfo(photo.dtype).max, photo.dtype)
    return np.concatenate([colour.reshape(*lattice.shape, -1), whole], -1)


def _is_lost(before: Layers, state: State, lattice: Lattice, mask: np.ndarray, still: float) -> np.ndarray:
    """Where pixels did not show their own content before a round, and nothing else shows it after; bool [h, w].

    Args:
        state: the lattice's, after the round.
        mask: bool, of the lattice's box.
        still: pixels; content that moved by less is not shown elsewhere.
    """
    x, y = np.broadcast_arrays(*lattice.points())
    was = state_at(before, x, y)
    elsewhere = np.zeros(lattice.shape, np.uint8)
    after = (*before, Layer(lattice, mask, lambda _: state))
    for number, layer in enumerate(after):
        shown = (layer.state.length() > still) & ~layer.state.is_generated()
        flow = layer.state.flow[shown]
        from_x, from_y = (a[shown] for a in np.broadcast_arrays(*layer.lattice.points()))
        column, row = (np.rint(a).astype(int) for a in lattice.find(from_x + flow[:, 0], from_y + flow[:, 1]))
        held = (row >= 0) & (row < lattice.shape[0]) & (column >= 0) & (column < lattice.shape[1])
        row, column, from_x, from_y = row[held], column[held], from_x[held], from_y[held]
        seen = layer.covers(from_x, from_y)
        for newer in after[number + 1 :]:
            seen &= ~newer.covers(from_x, from_y)
        elsewhere[row[seen], column[seen]] = 1
    lost = (was.length() > still) | was.is_generated()
    # Content that is shown smaller leaves gaps between its samples.
    return lost & (cv2.morphologyEx(elsewhere, cv2.MORPH_CLOSE, NEIGHBOURS) == 0)


def _taken_back(left: np.ndarray, limit: np.ndarray) -> np.ndarray:
    """1 where a displacement is less than half of a limit, 0 where it reaches it (smoothstep); [h, w, 1].

    In pixels; 0 too where the limit is 0: what never moved was not taken back.
    """
    return rising(2 - 2 * (left + 1e-3) / np.maximum(limit, 1e-6))[..., None]


def _fade_at(lattice: Lattice, window: Window, mask: np.ndarray, seam: float) -> np.ndarray:
    """`seam_fade` of a window's mask at the points of a lattice, [h, w, 1]."""
    inside = within(lattice.box, window.box)
    fade = np.zeros((*_size(lattice.box), 1), np.float16)
    for strip in strips(inside):
        fade[within(strip, inside)] = seam_fade(mask, strip, seam)
    return _at_pixels(fade, lattice).astype(np.float32)


def _at_pixels(plane: np.ndarray, lattice: Lattice) -> np.ndarray:
    """Of a plane of the lattice's box, the pixels nearest to its points."""
    x, y = lattice.points()
    row, column = np.rint(y[:, 0]).astype(int) - lattice.box[0].start, np.rint(x[0]).astype(int) - lattice.box[1].start
    return plane[np.ix_(row, column)]


def _sample(picture: np.ndarray, x: np.ndarray, y: np.ndarray, how: int = cv2.INTER_LINEAR) -> np.ndarray:
    """A picture [H, W, C] at places [h, w], its border repeated; [h, w, C]."""
    return cv2.remap(picture, x, y, how, borderMode=cv2.BORDER_REPLICATE).reshape(*x.shape, -1)


def _sample_list(picture: np.ndarray, x: np.ndarray, y: np.ndarray, how: int = cv2.INTER_LINEAR) -> np.ndarray:
    """The same at places [n]; [n, C]."""
    rows = -(-len(x) // ROW)
    places_x, places_y = (np.resize(a, (rows, ROW)) for a in (x, y))
    return _sample(picture, places_x, places_y, how).reshape(rows * ROW, -1)[: len(x)]


def _length(vectors: np.ndarray) -> np.ndarray:
    return np.hypot(vectors[..., 0], vectors[..., 1])


def _size(box: Box) -> tuple[int, int]:
    return box[0].stop - box[0].start, box[1].stop - box[1].start


def _pixels(box: Box) -> tuple[np.ndarray, np.ndarray]:
    """The photo's coordinates in a box: x [1, w] and y [h, 1]."""
    x, y = grid(_size(box))
    return x + np.float32(box[1].start), y + np.float32(box[0].start)


def _around(x: np.ndarray, y: np.ndarray, shape: tuple[int, ...]) -> Box:
    """The box of a photo of some shape that sampling it at x and y reads."""
    rows, columns = (
        slice(max(int(at.min()) - REACH, 0), min(int(at.max()) + REACH + 1, length))
        for at, length in zip((y, x), shape)
    )
    return rows, columns
