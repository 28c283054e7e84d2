"""The state that a round of drags adds to the edit stack, from the states below it.

A round with native flow f and weight r of its generated pixels, over a state of flow F and of generated pixels G with
weight R, makes

    F'(p) = f(p) + F(p + f(p))        R'(p) = R(p + f(p))        G'(p) = G(p + f(p))

and draws its own generated pixels over G' with weight r. f and r fall to 0 at the edge of the round's mask, so the
state has no seams.

Where f reverses an earlier motion, what little remains of F' is set to 0, so that the original's values return exactly.
Where a round reveals a pixel or reverses a motion there, and that pixel's own content was not shown before and is shown
nowhere now, the content returns in place of generated pixels, unless the area is too thin (BROAD).
"""

from __future__ import annotations

import cv2
import numpy as np

from edgedrag.runtime.drag.blend import reveal_weight, smoothstep
from edgedrag.runtime.drag.composite import (
    SEAM,
    Box,
    Generated,
    each_on_a_thread,
    in_channels,
    seam_fade,
    seam_width,
    strips,
)
from edgedrag.runtime.drag.flow import edge_fade, sample
from edgedrag.runtime.photo.picture import colour_and_alpha
from edgedrag.runtime.photo.window import Window
from edgedrag.runtime.session.edit_stack import Layer, Layers, State, crossfade, lengths, state_at, touches
from edgedrag.runtime.session.lattice import Lattice, box_size, within

SNAP = 1.0  # generator pixels; less than half of it left of a reversed motion is set to 0
STILL = 1.0  # generator pixels; content moved by less counts as shown in its own place
OPENED = 0.1  # weight of a pixel's being revealed or reversed, above which its own content may return
BROAD = 2.0  # generator pixels; in strips thinner than twice this no content returns
NEIGHBOURS = np.ones((3, 3), np.uint8)


def round_state(
    lattice: Lattice, photo: np.ndarray, before: Layers, window: Window, mask: np.ndarray, generated: Generated
) -> State:
    """The state after a round.

    Args:
        lattice: of the mask's box.
        photo: the original.
        before: the stack that the round was drawn on.
        mask: bool, of the window.
    """
    x, y = lattice.points()
    fade = _fade_at(lattice, window, mask, seam_width(mask, generated))
    at = window.to_generator(np.stack(np.broadcast_arrays(x, y), -1))
    shift = np.zeros((*lattice.shape, 2), np.float32)
    if generated.flow is not None:
        shift = sample(generated.flow, at[..., 0], at[..., 1]) * window.scale * fade
    # Like the generator, the round sees no further than its window.
    to_x = np.clip(x + shift[..., 0], window.left, window.left + window.width - 1)
    to_y = np.clip(y + shift[..., 1], window.top, window.top + window.height - 1)
    shift = np.stack([to_x - x, to_y - y], -1)
    there = state_at(before, to_x, to_y)
    flow, drawn = shift + there.flow, there.drawn
    left, least = lengths(flow), np.minimum(lengths(shift), there.length())
    pixel = float(window.scale.mean())
    flow *= 1 - _reversal(left, np.minimum(least, SNAP * pixel))
    opened = _reversal(left, least)
    if generated.draws:
        colour, weight = _generated_at(generated, at, photo)
        weight = weight * fade
        drawn = crossfade(np.zeros_like(colour, photo.dtype) if drawn is None else drawn, colour, weight)
        opened = np.maximum(opened, weight)
    state = State(flow, drawn, _change_at(generated, at, photo, fade * smoothstep(lengths(flow) / pixel)[..., None]))
    if drawn is not None and generated.flow is not None and touches(before, window.box):
        lost = _is_lost(before, state, lattice, mask[within(lattice.box, window.box)], STILL * pixel)
        share = _broad_parts(lost & state.is_generated() & (opened[..., 0] > OPENED), pixel / lattice.pitch[0])
        drawn[:] = crossfade(drawn, _own_colour(photo, lattice), share)
        whole = share[..., 0] == 1
        flow[whole] = 0
        drawn[cv2.erode(whole.astype(np.uint8), NEIGHBOURS) > 0] = 0  # a point further in, to hide the edge of the flow
    return state


def bent_state(lattice: Lattice, before: Layers, window: Window, mask: np.ndarray, change: np.ndarray) -> State:
    """The state after a change, float32 [H, W, 2], of the flow below, faded in from a mask's edge like a round.

    Args:
        mask: bool, of the window. change: in photo pixels, at the window's grid.
    """
    x, y = np.broadcast_arrays(*lattice.points())
    at = window.to_generator(np.stack([x, y], -1))
    fade = _fade_at(lattice, window, mask, max(1.0, SEAM * float(window.scale.mean())))
    there = state_at(before, x, y)
    return State(there.flow + sample(change, at[..., 0], at[..., 1]) * fade, there.drawn)


def _reversal(left: np.ndarray, limit: np.ndarray) -> np.ndarray:
    """1 where a displacement is less than half of a limit, 0 where it reaches it (smoothstep); [h, w, 1].

    In pixels; 0 where the limit is 0, because what never moved is not reversed.
    """
    return smoothstep(2 - 2 * (left + 1e-3) / np.maximum(limit, 1e-6))[..., None]


def _fade_at(lattice: Lattice, window: Window, mask: np.ndarray, seam: float) -> np.ndarray:
    """`seam_fade` of a window's mask at the points of a lattice, [h, w, 1]."""
    inside = within(lattice.box, window.box)
    fade = np.zeros((*box_size(lattice.box), 1), np.float16)

    def fade_strip(strip: Box) -> None:
        fade[within(strip, inside)] = seam_fade(mask, strip, seam)

    each_on_a_thread(fade_strip, strips(inside))
    return lattice.at_points(fade).astype(np.float32)


def _generated_at(generated: Generated, at: np.ndarray, photo: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """A generator's colour at places [h, w, 2] of its size, and its weight.

    Returns:
        float32 [h, w, C + 1], colour and 1 in the photo's range as in `State.drawn`; the weight [h, w, 1] in 0..1.
    """
    assert generated.result is not None, "a generator that draws"
    x, y = np.ascontiguousarray(at[..., 0]), np.ascontiguousarray(at[..., 1])
    colour = sample(in_channels(generated.result, colour_and_alpha(photo)[0].shape[2]), x, y)
    whole = np.ones((*colour.shape[:2], 1), np.float32)
    weight = whole if generated.revealed is None else sample(reveal_weight(generated.revealed), x, y)
    return np.concatenate([colour, whole], -1) * np.float32(np.iinfo(photo.dtype).max), weight


def _change_at(generated: Generated, at: np.ndarray, photo: np.ndarray, weight: np.ndarray) -> np.ndarray | None:
    """`State.change` of a round at places [h, w, 2] of the generator's size, under a weight [h, w, 1]."""
    if generated.change is None:
        return None
    change = in_channels(generated.change, colour_and_alpha(photo)[0].shape[2])
    largest = np.float32(np.iinfo(photo.dtype).max)
    return sample(change, np.ascontiguousarray(at[..., 0]), np.ascontiguousarray(at[..., 1])) * weight * largest


def _own_colour(photo: np.ndarray, lattice: Lattice) -> np.ndarray:
    """A photo's own colour at a lattice, as in `State.drawn` with full weight."""
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
        column, row = (np.rint(a).astype(int) for a in lattice.to_lattice(from_x + flow[:, 0], from_y + flow[:, 1]))
        inside = (row >= 0) & (row < lattice.shape[0]) & (column >= 0) & (column < lattice.shape[1])
        row, column, from_x, from_y = row[inside], column[inside], from_x[inside], from_y[inside]
        seen = layer.covers(from_x, from_y)
        for newer in after[number + 1 :]:
            seen &= ~newer.covers(from_x, from_y)
        elsewhere[row[seen], column[seen]] = 1
    lost = (was.length() > still) | was.is_generated()
    # Content that is shown smaller leaves gaps between its samples.
    return lost & (cv2.morphologyEx(elsewhere, cv2.MORPH_CLOSE, NEIGHBOURS) == 0)


def _broad_parts(where: np.ndarray, pixel: float) -> np.ndarray:
    """1 in the broad parts of a map, bool [h, w], falling to 0 at their edges; float32 [h, w, 1].

    `pixel` is a generator pixel in lattice points.
    """
    reach = max(1, round(BROAD * pixel))
    kernel = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * reach + 1, 2 * reach + 1))
    broad = cv2.morphologyEx(where.astype(np.uint8), cv2.MORPH_OPEN, kernel)
    return edge_fade(broad, reach)[..., None]
