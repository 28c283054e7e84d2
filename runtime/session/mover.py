"""How what drags hold moves, and the ground behind it, which is made once for a resting finger."""

from __future__ import annotations

import hashlib
import threading
from dataclasses import replace

import numpy as np

from edgedrag.runtime.drag.blend import REVEAL_RANGE
from edgedrag.runtime.drag.flow import longest, wider
from edgedrag.runtime.drag.ground import Ground, make_ground
from edgedrag.runtime.drag.held_motion import HeldMotion
from edgedrag.runtime.drag.mask_motion import lift, move_in_mask
from edgedrag.runtime.drag.motion import held_in_mask, move_held
from edgedrag.runtime.drag.motion_names import BEND_REACH, BEND_REACH_IN_MASK
from edgedrag.runtime.drag.outline import is_lifted, moved_whole
from edgedrag.runtime.session.scaled_drag import ScaledDrag, Thing, goes_on, moves, within_reach
from edgedrag.runtime.session.variants import MAX_CANDIDATES, Variant
from edgedrag.runtime.trace import span

SHOWN = REVEAL_RANGE[0]  # of what is revealed; from there on the ground is shown
HOLE_LEVEL = 0.3  # of what is held; from there on it leaves a hole behind
HOLE_MARGIN = 3  # generator pixels around it, where its outline still shows
GROUNDS = MAX_CANDIDATES  # that are remembered


class Mover:
    """Moves what is held; from several threads at once, where candidates are made."""

    def __init__(self) -> None:
        self._grounds: dict[tuple[bytes, ...], Ground] = {}  # the last ones, by the window's pixels and the hole
        self._lock = threading.Lock()

    def move_in_mask(self, drag: ScaledDrag, held: np.ndarray, thing: Thing | None, margin: float) -> HeldMotion:
        """Move what lies in a given mask.

        A thing that is seen to end at its outline, and moves far, is lifted from its ground; all else moves together.

        Args:
            held: float32 [N, H, W], what each drag holds.
            thing: what they hold of a thing.
            margin: generator pixels over which a motion fades in from the mask's edge.
        """
        points, mask = drag.points, drag.mask
        with span("move", "prepare"):
            if thing is None or not is_lifted(points, thing.held, mask, drag.picture):
                return move_in_mask(points, mask, held.max(0), margin)
            hole = wider(thing.held > HOLE_LEVEL, HOLE_MARGIN)
            moved = lift(points, mask, thing.held, hole, thing.goes_on)
        return replace(moved, ground=self.ground(drag.picture, hole, hole))

    def move(self, drag: ScaledDrag, held: np.ndarray, soft: np.ndarray, variant: Variant, margin: float) -> HeldMotion:
        """Move what is held in a window, and fill what that reveals.

        Args:
            held: float32 [N, H, W], what each drag holds.
            soft: the same before its outline moved to where the colours change; the hole that is filled holds both.
            margin: as in `move_in_mask`; 0 where the mask was not given.
        """
        points, mask = drag.points, drag.mask
        hole = wider(np.maximum(soft, held)[moves(points)].max(0, initial=0) > HOLE_LEVEL, HOLE_MARGIN)
        held = held * hole
        with span("move", "prepare"):
            if margin:
                follows = np.stack([held_in_mask(mask, each, at, margin) for each, at in zip(held, points[:, :2])])
                moved = move_held(points, follows, variant.motion, variant.reach or BEND_REACH_IN_MASK)
                if goes_on(held.max(0), mask):  # then the mask cuts it, and what is drawn out there is no ground
                    return HeldMotion(moved.flow, np.zeros_like(moved.revealed))
            else:
                bends = variant.motion == "bend" and variant.reach is None
                whole = moved_whole(points, held[moves(points)].max(0, initial=0), drag.picture) if bends else 0.0
                moved = move_held(points, held, variant.motion, variant.reach or BEND_REACH, whole)
        if not (moved.revealed > SHOWN).any():
            return moved
        wanted = within_reach(hole, longest(points))
        return replace(moved, ground=self.ground(drag.picture, hole, wanted))

    def ground(self, picture: np.ndarray, hole: np.ndarray, wanted: np.ndarray) -> Ground:
        """What fills the part of a hole that is wanted, both bool [H, W], in a window's picture."""
        with span("ground", "prepare"):
            key = digest(picture), digest(hole), digest(wanted)
            with self._lock:
                ground = self._grounds.pop(key, None)
            if ground is None:
                with span("fill", "prepare"):
                    ground = make_ground(picture, hole, None, wanted)
            with self._lock:
                self._grounds = {key: ground, **dict(list(self._grounds.items())[: GROUNDS - 1])}
        return ground


def digest(array: np.ndarray) -> bytes:
    """A hash of an array's values; SHA-256, since processors have instructions for it."""
    with span("digest", "prepare"):
        return hashlib.sha256(np.ascontiguousarray(array).data).digest()
