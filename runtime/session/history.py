"""What was done to a photo: its rounds, to be undone and redone, and the picture that a further one makes.

A round whose window holds nothing that an earlier one touched is composed by itself (`compose`). On
touched ground the picture is made anew from the original photo (`layers`), so rounds do not wear it out.

A drag that reverses the last round there takes it back: inside the drag's mask, the state from before
that round returns. The last round there is the newest whose mask shares a pixel with the drag's; a round
that was taken back as a whole does not count any more, nor does the one that did it, but for being taken
back itself. To reverse is to have as many drags, each from where one ended to where it began, within a
generator pixel and half its length. So any nesting of drags and their inverses ends where it began.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial

import numpy as np

from edgedrag.runtime.drag.composite import Box, Generated, box_of, compose, seam_fade, seam_width
from edgedrag.runtime.errors import InputError
from edgedrag.runtime.photo.picture import colour_and_alpha
from edgedrag.runtime.photo.window import Window
from edgedrag.runtime.session.edit_stack import (
    Layer,
    Layers,
    crossfade,
    crossfade_states,
    on_top,
    render,
    touches,
)
from edgedrag.runtime.session.lattice import Lattice, common, within
from edgedrag.runtime.session.round_state import round_state

SAME = 1.0  # generator pixels; ends of two drags nearer than this are one place


@dataclass(frozen=True, eq=False)
class Round:
    """One drag, and the state before and after it.

    Attributes:
        box: of the photo, holding the mask.
        mask: bool [h, w], the box's.
        points: float32 [N, 4], handle and target in photo pixels.
        before, after: the box's pixels.
        layers_before, layers_after: where the photo's pixels come from.
        took_back: the earlier round that this one took back as a whole.
    """

    box: Box
    mask: np.ndarray
    points: np.ndarray
    before: np.ndarray
    layers_before: Layers
    after: np.ndarray
    layers_after: Layers
    took_back: Round | None = None


class Rounds:
    """A photo's history."""

    def __init__(self, photo: np.ndarray):
        self._photo = photo  # the original
        self._done: list[Round] = []
        self._undone: list[Round] = []

    def compose(
        self, picture: np.ndarray, window: Window, mask: np.ndarray, points: np.ndarray, generated: Generated
    ) -> Round:
        """What a drag makes of the picture; nothing is entered yet.

        Args:
            picture: as the last round left it.
            mask: bool, of the photo.
            points: [N, 4] in its pixels.
        """
        layers = self._done[-1].layers_after if self._done else ()
        box, region = box_of(mask), mask[window.box].copy()  # copies: views would keep the whole photo's
        inside = within(box, window.box)
        before, masked = picture[box].copy(), mask[box].copy()
        drawn = partial(Round, box, masked, points, before, layers)
        if not generated.is_finite():
            return drawn(before, layers)
        lattice = Lattice.of(window, box)
        last = self._reversed_by(points, box, masked, SAME * float(window.scale.mean()))
        if last is not None:
            weight = _weight_on(last, window, region, seam_width(region, generated))[inside]
            after = _returned(before, last, box, weight)
            if mask[last.box][last.mask].all():
                newer = (layer for layer in layers if layer not in last.layers_after)
                return drawn(after, (*last.layers_before, *newer), last)
            make = partial(crossfade_states, now=layers, then=last.layers_before, weight=weight)
            return drawn(after, on_top(layers, Layer(lattice, masked, make)))
        make = partial(round_state, photo=self._photo, before=layers, window=window, mask=region, generated=generated)
        layer = Layer(lattice, masked, make)
        if touches(layers, window.box):
            after = before.copy()
            np.copyto(colour_and_alpha(after)[0], render(self._photo, layer), where=masked[..., None])
        else:
            after = compose(picture[window.box], region, generated)[inside].copy()
        return drawn(after, on_top(layers, layer))

    def enter(self, made: Round) -> None:
        """Make a round the last one; what was undone is gone."""
        self._done.append(made)
        self._undone.clear()

    def undo(self) -> Round:
        """Take the last round out and return it. Raises InputError where there is none."""
        if not self._done:
            raise InputError("nothing to undo")
        self._undone.append(self._done.pop())
        return self._undone[-1]

    def redo(self) -> Round:
        """Put an undone round back and return it. Raises InputError where there is none."""
        if not self._undone:
            raise InputError("nothing to redo")
        self._done.append(self._undone.pop())
        return self._done[-1]

    def _reversed_by(self, points: np.ndarray, box: Box, mask: np.ndarray, near: float) -> Round | None:
        """The round that drags with a mask, bool, of the photo's box take back, if they do."""
        settled: list[Round] = []
        for done in reversed(self._done):
            shared = common(done.box, box)
            if shared is None or done in settled:
                continue
            if not (mask[within(shared, box)] & done.mask[within(shared, done.box)]).any():
                continue
            if _reverses(points, done.points, near):
                return done
            if done.took_back is None:
                return None
            settled.append(done.took_back)
        return None


def _reverses(points: np.ndarray, earlier: np.ndarray, near: float) -> bool:
    """Whether drags [N, 4] lead from where others ended to where those began, whatever their order."""
    if len(points) != len(earlier):
        return False
    ends = (points[:, None] - earlier[None, :, [2, 3, 0, 1]]).reshape(len(points), len(earlier), 2, 2)
    lengths = np.linalg.norm(earlier[:, 2:] - earlier[:, :2], axis=-1)
    same = np.linalg.norm(ends, axis=-1).max(-1) <= np.minimum(near, lengths / 2)
    return bool(same.any(0).all() and same.any(1).all())


def _weight_on(last: Round, window: Window, mask: np.ndarray, seam: float) -> np.ndarray:
    """1 in the window's mask, float32 [h, w, 1], fading out only where its edge cuts through a round's mask."""
    changed, shared = np.zeros_like(mask), common(last.box, window.box)
    assert shared is not None, "the masks share a pixel"
    changed[within(shared, window.box)] = last.mask[within(shared, last.box)]
    every = (slice(0, mask.shape[0]), slice(0, mask.shape[1]))
    return seam_fade(mask | ~changed, every, seam) * mask[..., None]


def _returned(pixels: np.ndarray, last: Round, box: Box, weight: np.ndarray) -> np.ndarray:
    """A box's pixels with those from before a round in them, by weight."""
    out = pixels.copy()
    shared = common(last.box, box)
    assert shared is not None, "the masks share a pixel"
    here, there = within(shared, box), within(shared, last.box)
    colour, then = colour_and_alpha(out)[0], colour_and_alpha(last.before)[0]
    colour[here] = crossfade(colour[here], then[there], weight[here])
    return out
