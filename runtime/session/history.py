"""The edit history of a photo: what can be undone and redone, and the pixels that a further drag makes.

A drag whose window holds nothing that an earlier one touched is composited by itself (`compose`). Elsewhere
its pixels are rendered from the original photo through the edit stack, so that repeated drags do not blur it.

A drag that reverses an earlier one restores, inside its mask, the state from before that drag:
- It is compared with the newest entry whose mask shares a pixel with its own. An entry that was reversed over
  its whole mask is skipped, and so is its reversal; a reversal can itself be reversed.
- It reverses an entry when it has as many drags, each from where one of the entry's ended to where that one
  began, within one generator pixel and half the drag's length.
So any nesting of drags and their reversals ends in the pixels it began with. A drag that goes on with an earlier one
is made on the state from before that (start.py); there ends are one place within half a generator pixel.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial

import numpy as np

from edgedrag.runtime.drag.composite import Box, Generated, box_of, compose_box, seam_fade, seam_width
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
from edgedrag.runtime.session.held import Held
from edgedrag.runtime.session.lattice import Lattice, common, within
from edgedrag.runtime.session.round_state import round_state

SAME = 1.0  # generator pixels; ends of two drags nearer than this count as one place
RETURNED = 0.5  # the same, where drags that end further apart are one motion, see start.py


@dataclass(frozen=True, eq=False)
class Entry:
    """One drag, restoring or stroke of a brush, and the state before and after it.

    Attributes:
        original: the photo that the edit stack renders from.
        box: of the photo, holding the mask.
        mask: bool [h, w], the box's.
        points: float32 [N, 4], handle and target in photo pixels; none but of a drag.
        before, after: the box's pixels.
        layers_before, layers_after: the edit stack.
        reversed: the earlier entry whose whole mask this one restored, if any.
        restores: whether it shows again, in all of its mask or a part, what was there before an earlier one.
        continues: the earlier entry whose motion this one's goes on with and holds, if any (start.py).
        held: what the drags held and where it is now, if they did.
    """

    original: np.ndarray
    box: Box
    mask: np.ndarray
    points: np.ndarray
    before: np.ndarray
    layers_before: Layers
    after: np.ndarray
    layers_after: Layers
    reversed: Entry | None = None
    restores: bool = False
    continues: Entry | None = None
    held: Held | None = None


@dataclass(frozen=True, eq=False)
class Start:
    """What a drag starts from, see start.py.

    Attributes:
        photo: its pixels.
        done: the entries that made it.
        points: float32 [N, 4], handle in that photo and target.
        layers: its edit stack.
        continues: the entry that the drag goes on with, if any; `photo` is without it and without those that it went on
            with itself.
        newer: the entries since, which are in `photo`; none may share a pixel with the drag.
    """

    photo: np.ndarray
    done: tuple[Entry, ...]
    points: np.ndarray
    layers: Layers = ()
    continues: Entry | None = None
    newer: tuple[Entry, ...] = ()


def chain(entry: Entry | None) -> Iterator[Entry]:
    """An entry, the one that it went on with, and so on."""
    while entry is not None:
        yield entry
        entry = entry.continues


class History:
    """The entries of one photo.

    Args:
        original: the photo's pixels as it was opened.
        limit: entries that can be undone; further ones drop the oldest. No limit where None. An edit stack does not
            grow beyond it either: then the photo as it is becomes the original of what follows.
    """

    def __init__(self, original: np.ndarray, limit: int | None = None):
        self._base: tuple[np.ndarray, Layers] = (original, ())  # original and edit stack below the oldest entry
        self.limit = limit
        self._done: list[Entry] = []
        self._undone: list[Entry] = []
        self._dropped = False

    @property
    def is_edited(self) -> bool:
        """Whether the photo is not as it was opened."""
        return self._dropped or bool(self._done)

    @property
    def undo_count(self) -> int:
        """Entries that can be undone."""
        return len(self._done)

    @property
    def redo_count(self) -> int:
        """Entries that can be redone."""
        return len(self._undone)

    @property
    def done(self) -> tuple[Entry, ...]:
        """The entries that a further drag can go on with, the newest last."""
        return () if self._is_full() else tuple(self._of_original())

    def state(self) -> tuple[np.ndarray, Layers]:
        """The original that the photo is rendered from, and its edit stack."""
        return (self._done[-1].original, self._done[-1].layers_after) if self._done else self._base

    def _of_original(self) -> list[Entry]:
        """The entries with the newest one's original."""
        original, _ = self.state()
        return [entry for entry in self._done if entry.original is original]

    def _is_full(self) -> bool:
        """Whether the edit stack is as high as it may grow."""
        original, _ = self.state()
        below = len(self._base[1]) if self._base[0] is original else 0
        return self.limit is not None and below + len(self._of_original()) >= self.limit

    def compose(
        self,
        picture: np.ndarray,
        window: Window,
        mask: np.ndarray,
        points: np.ndarray,
        generated: Generated,
        start: Start | None = None,
    ) -> Entry:
        """What a drag makes of the photo; the history is unchanged until `add`.

        Args:
            picture: the photo as the last entry left it.
            mask: bool, of the photo.
            points: [N, 4] in its pixels.
            start: what the drag was generated on, where it goes on with an earlier one.
        """
        if self._is_full():
            return History(picture).compose(picture, window, mask, points, generated)
        original, layers = self.state()
        box, region = box_of(mask), mask[window.box].copy()  # copies: views would keep the whole photo's
        inside = within(box, window.box)
        last_box = self._done[-1].box if self._done else None
        before = self._done[-1].after if last_box == box else picture[box].copy()  # rounds in one place share pixels
        masked = mask[box].copy()
        entry = partial(Entry, original, box, masked, points, before, layers)
        if not generated.is_finite():
            return entry(before, layers)
        lattice = Lattice.of(window, box)
        last = self._reversed_by(points, box, masked, _near(window, start))
        if last is not None:
            weight = _weight_on(last, window, region, seam_width(region, generated))[inside]
            after = _restored(before, last, box, weight)
            if mask[last.box][last.mask].all():
                newer = (layer for layer in layers if layer not in last.layers_after)
                return entry(after, (*last.layers_before, *newer), last, True)
            make = partial(crossfade_states, now=layers, then=last.layers_before, weight=weight)
            return entry(after, on_top(layers, Layer(lattice, masked, make)), restores=True)
        on, below, continues = picture, layers, None
        if start is not None and start.continues is not None:
            on, below, continues = start.photo, start.layers, start.continues
        make = partial(round_state, photo=original, before=below, window=window, mask=region, generated=generated)
        layer = Layer(lattice, masked, make)
        if touches(below, window.box):
            after = on[box].copy()
            np.copyto(colour_and_alpha(after)[0], render(original, layer), where=masked[..., None])
        else:
            after = compose_box(on[window.box], region, generated, inside)
        return entry(after, on_top(below, layer), continues=continues)

    def may_restore(self, window: Window, points: np.ndarray, start: Start) -> bool:
        """Whether a drag may reverse an earlier one; see `compose`."""
        return any(_reverses(points, done.points, _near(window, start)) for done in self._of_original())

    def add(self, entry: Entry) -> None:
        """Make an entry the last one; undone entries are dropped."""
        self._done.append(entry)
        self._undone.clear()
        if self.limit is not None and len(self._done) > self.limit:
            oldest = self._done.pop(0)
            self._base, self._dropped = (oldest.original, oldest.layers_after), True

    def restore(self, picture: np.ndarray, mask: np.ndarray, opened: np.ndarray) -> Entry:
        """What putting back a mask, bool [H, W] of the photo, makes of it; `opened` is the photo as it was opened."""
        original, layers = self.state()
        box = box_of(mask)
        before, masked = picture[box].copy(), mask[box].copy()
        after = before.copy()
        after[masked] = opened[box][masked]
        points = np.empty((0, 4), np.float32)
        if original is not opened or self._is_full():
            original = picture.copy()
            original[box] = after
            return Entry(original, box, masked, points, before, layers, after, (), restores=True)
        height, width = masked.shape
        lattice = Lattice.of(Window(box[0].start, box[1].start, height, width, (height, width)), box)
        make = partial(crossfade_states, now=layers, then=(), weight=masked[..., None].astype(np.float32))
        above = on_top(layers, Layer(lattice, masked, make))
        return Entry(original, box, masked, points, before, layers, after, above, restores=True)

    def undo(self) -> Entry:
        """Take the last entry back and return it. Raises InputError where there is none."""
        if not self._done:
            raise InputError("nothing to undo")
        self._undone.append(self._done.pop())
        return self._undone[-1]

    def redo(self) -> Entry:
        """Make the last undone entry again and return it. Raises InputError where there is none."""
        if not self._undone:
            raise InputError("nothing to redo")
        self._done.append(self._undone.pop())
        return self._done[-1]

    def _reversed_by(self, points: np.ndarray, box: Box, mask: np.ndarray, near: float) -> Entry | None:
        """The entry that drags [N, 4] with a mask (bool, of the photo's `box`) reverse, if any."""
        cancelled: list[Entry] = []
        for done in reversed(self._of_original()):
            shared = common(done.box, box)
            if shared is None or done in cancelled:
                continue
            if not (mask[within(shared, box)] & done.mask[within(shared, done.box)]).any():
                continue
            if _reverses(points, done.points, near):
                return done
            if done.reversed is None:
                return None
            cancelled.append(done.reversed)
        return None


def _near(window: Window, start: Start | None) -> float:
    """Photo pixels within which two places are one."""
    near = RETURNED if start is not None and start.continues is not None else SAME
    return near * float(window.scale.mean())


def _reverses(points: np.ndarray, earlier: np.ndarray, near: float) -> bool:
    """Whether drags [N, 4] lead from where earlier ones ended to where those began, in any order."""
    if not len(points) or len(points) != len(earlier):
        return False
    ends = (points[:, None] - earlier[None, :, [2, 3, 0, 1]]).reshape(len(points), len(earlier), 2, 2)
    lengths = np.linalg.norm(earlier[:, 2:] - earlier[:, :2], axis=-1)
    same = np.linalg.norm(ends, axis=-1).max(-1) <= np.minimum(near, lengths / 2)
    return bool(same.any(0).all() and same.any(1).all())


def _weight_on(last: Entry, window: Window, mask: np.ndarray, seam: float) -> np.ndarray:
    """1 in the window's mask, float32 [h, w, 1], fading out only where its edge cuts through an entry's mask."""
    changed, shared = np.zeros_like(mask), common(last.box, window.box)
    assert shared is not None, "the masks share a pixel"
    changed[within(shared, window.box)] = last.mask[within(shared, last.box)]
    every = (slice(0, mask.shape[0]), slice(0, mask.shape[1]))
    return seam_fade(mask | ~changed, every, seam) * mask[..., None]


def _restored(pixels: np.ndarray, last: Entry, box: Box, weight: np.ndarray) -> np.ndarray:
    """A box's pixels blended, by weight, with those from before an entry."""
    out = pixels.copy()
    shared = common(last.box, box)
    assert shared is not None, "the masks share a pixel"
    here, there = within(shared, box), within(shared, last.box)
    colour, then = colour_and_alpha(out)[0], colour_and_alpha(last.before)[0]
    colour[here] = crossfade(colour[here], then[there], weight[here])
    return out
