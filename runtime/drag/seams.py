"""Where the pieces of a ground meet: each pixel takes a neighbour's offset where that hides the seam better.

The cost of a seam is that of Kwatra et al. (SIGGRAPH 2003): how much the two pieces differ on both sides of it. It is
lowered by iterated conditional modes, on the two fields of a checkerboard in turn, so that no two neighbours change at
once.
"""

from __future__ import annotations

import cv2
import numpy as np

from edgedrag.runtime.drag.patches import pad, squares

UNKNOWN = np.float32(3 * 64.0**2)  # the cost, squared grey levels, of showing what is not in the picture
BORDER = 2


class Seams:
    """A picture, float32 [h, w, 3] in grey levels, with a hole and the offsets that fill some of it; see `settle`."""

    def __init__(
        self, picture: np.ndarray, hole: np.ndarray, source: np.ndarray, filled: np.ndarray, offsets: np.ndarray
    ):
        self._shape, self._width = hole.shape, hole.shape[1] + 2 * BORDER
        self._picture = pad(picture, BORDER)
        self._filled = pad(filled.view(np.uint8), BORDER).view(bool)
        self._source = pad(source.view(np.uint8), BORDER).view(bool)
        self._known = pad((~hole).view(np.uint8), BORDER).view(bool)
        x, y = cv2.split(pad(offsets, BORDER).reshape(-1, self._width, 2))
        self._offset = (y.astype(int) * self._width + x.astype(int)).reshape(-1)
        targets = np.flatnonzero(self._filled)
        row, column = np.divmod(targets, self._width)
        self._fields = [targets[(row + column) % 2 == parity] for parity in (0, 1)]
        self._directions = np.array([-1, 1, -self._width, self._width])[:, None]
        self._changed = np.full(len(self._offset), -1)  # the last pass in which a pixel took another offset

    def settle(self, sweeps: int) -> np.ndarray:
        """The offsets after some sweeps over all pixels and neighbours, float32 [h, w, 2]."""
        for number in range(2 * sweeps):
            self._pass(self._fields[number % 2], number)
        end = np.arange(len(self._offset)) + self._offset
        offsets = np.stack([end % self._width, end // self._width], 1).astype(np.float32)
        offsets[:, 0] -= np.arange(len(end)) % self._width
        offsets[:, 1] -= np.arange(len(end)) // self._width
        return offsets.reshape(-1, self._width, 2)[BORDER:-BORDER, BORDER:-BORDER]

    def _pass(self, field: np.ndarray, number: int) -> None:
        """Let a field's pixels take the offset of a neighbour where it costs less, one direction after the other.

        A pixel around which nothing changed since its last pass, two before, would decide as it did then.
        """
        beside = field + self._directions
        if number > 1:
            around = np.maximum(self._changed.take(field), self._changed.take(beside).max(0))
            field, beside = _where(around >= number - 2, field, beside)
        differs = self._offset.take(beside) != self._offset.take(field)
        field, beside = _where((self._filled.take(beside) & differs).any(0), field, beside)
        cost = self._cost(field, self._offset.take(field))
        for there in beside:
            offered = self._offset.take(there)
            some = self._filled.take(there) & (offered != self._offset.take(field))
            some &= self._source.take(np.where(some, field + offered, 0))
            at, offered = field[some], offered[some]
            found = self._cost(at, offered)
            better = found < cost[some]
            self._offset[at[better]], self._changed[at[better]] = offered[better], number
            cost[np.flatnonzero(some)[better]] = found[better]

    def _cost(self, at: np.ndarray, offset: np.ndarray) -> np.ndarray:
        """The seams around pixels with an offset."""
        beside = at + self._directions
        of_beside = self._offset.take(beside)
        cost = self._difference(beside + offset, beside + of_beside)
        cost += self._difference(at + offset, at + of_beside) * self._filled.take(beside)
        return cost.sum(0)

    def _difference(self, one: np.ndarray, other: np.ndarray) -> np.ndarray:
        # Neighbours of pixels inside the picture: within its border of zeros.
        apart = squares(self._picture.take(one, axis=0) - self._picture.take(other, axis=0))
        return np.where(self._known.take(one) & self._known.take(other), apart, UNKNOWN)


def _where(some: np.ndarray, field: np.ndarray, beside: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Some of a field's pixels [n] and the pixels beside them [4, n]."""
    return field[some], beside.compress(some, axis=1)
