"""How held things move, as a backward flow, and the ground behind them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from edgedrag.runtime.drag.blend import REVEAL_RANGE, reveal_weight
from edgedrag.runtime.drag.composite import Generated
from edgedrag.runtime.drag.flow import warp
from edgedrag.runtime.drag.ground import Ground

COVERS = (0.45, 0.8)  # of a pixel's hold, from which on what moved covers none of it; all of it
BESIDE = 3  # pixels around an outline over which the flow of what moved goes on, so that no other is mixed with it
BAND = 2  # pixels around these in which the ground covers where the flow begins


@dataclass(frozen=True)
class HeldMotion:
    """A motion of what is held.

    Attributes:
        flow: float32 [H, W, 2], backward: the result at p shows the source at p + flow(p).
        revealed: float32 [H, W, 1] in 0..1; 1 = the flow shows nothing real there, but the ground behind what moved:
            what fills its place, and the photo as it is around that.
        ground: what is revealed; None where nothing is.
    """

    flow: np.ndarray
    revealed: np.ndarray
    ground: Ground | None = None

    def generated(self, picture: np.ndarray) -> Generated:
        """The motion as an edit of the window (uint8 RGB [H, W, 3]), without anything that a generator would add."""
        if self.ground is None:
            return Generated(None, self.flow, None)
        result = warp(picture.astype(np.float32) * np.float32(1 / 255), self.shown())
        return Generated(result, self.flow, self.revealed, None, self.ground)

    def shown(self) -> np.ndarray:
        """Where each pixel comes from, the ground's too: a backward flow like `flow`."""
        if self.ground is None:
            return self.flow
        return np.where(reveal_weight(self.revealed) > 0.5, self.ground.offsets, self.flow)


def revealed_beside(covers: np.ndarray) -> np.ndarray:
    """What is revealed where something that moved covers a share of pixels, as `HeldMotion.revealed`; any shape.

    The weight of the ground (blend.py) is then 1 less a smooth step of that share over COVERS.
    """
    low, high = COVERS
    least, most = REVEAL_RANGE
    return least + (most - least) * (1 - np.clip((covers - low) / (high - low), 0, 1))
