"""The colour that makes copied pieces of a ground meet each other and the picture around them.

Copies keep their gradients, and where two pieces meet, the gradient is what either piece shows there (Perez, Gangnet
and Blake, SIGGRAPH 2003). With C what is copied and c the colour added to it, over all neighbours p, q

    sum w (c_q - c_p - s)^2 is least       s = (gradient of either piece) - (C_q - C_p)       w = prod 1 / (1 + (s/S)^2)

where c is 0 outside the hole and s is 0 inside a piece. The weight leaves a difference that is too large for a seam:
the edge of something. The minimum is found by conjugate gradients (Hestenes and Stiefel, 1952).
"""

from __future__ import annotations

import cv2
import numpy as np

from edgedrag.runtime.drag.composite import Box, box_of
from edgedrag.runtime.drag.flow import nonzero

SEAM_DIFFERENCE = 32.0  # grey levels; larger differences are no seam
LARGEST = 64.0  # grey levels, of the colour
ROUNDS = 30  # of conjugate gradients; what reaches further into a large hole stays as it was copied
UNKNOWN = 0.01  # the weight where neither piece shows what lies beside it


def seam_colour(picture: np.ndarray, hole: np.ndarray, offsets: np.ndarray) -> np.ndarray:
    """The colour added to what offsets copy into a hole, float32 [H, W, 3] in -1..1.

    Args:
        picture: uint8 RGB [H, W, 3].
        hole: bool [H, W].
        offsets: float32 [H, W, 2], whole pixels; 0 where the hole is not filled.
    """
    colour = np.zeros((*hole.shape, 3), np.float32)
    filled = nonzero(offsets)
    if filled.any():
        rows, columns = box_of(filled)
        box = slice(max(rows.start - 1, 0), rows.stop + 1), slice(max(columns.start - 1, 0), columns.stop + 1)
        copies = _Copies(picture, hole, offsets, box)
        found = _least_squares(*copies.beside(1), *copies.beside(0), copies.filled)
        colour[box] = np.clip(found.transpose(1, 2, 0), -LARGEST, LARGEST) * np.float32(1 / 255)
    return colour


class _Copies:
    """What is copied into a part of a picture, and what lies beside it there and where it comes from."""

    def __init__(self, picture: np.ndarray, hole: np.ndarray, offsets: np.ndarray, box: Box):
        self._width = hole.shape[1] + 2
        padded = cv2.copyMakeBorder(picture, 1, 1, 1, 1, cv2.BORDER_REPLICATE)
        self._picture = padded.reshape(-1, 3).astype(np.float32)
        known = cv2.copyMakeBorder((~hole).view(np.uint8), 1, 1, 1, 1, cv2.BORDER_CONSTANT, value=0)
        self._known = known.reshape(-1).view(bool)
        rows, columns = (np.arange(n)[part] + 1 for n, part in zip(hole.shape, box))
        at = rows[:, None] * self._width + columns
        x, y = cv2.split(offsets[box])
        self.filled = (x != 0) | (y != 0)
        self._from = at + y.astype(int) * self._width + x.astype(int)
        self._shows = self.filled | self._known[at]

    def beside(self, axis: int) -> tuple[np.ndarray, np.ndarray]:
        """Weights w [h, w] and differences s [3, h, w] from each pixel to the next along an axis, one less there."""
        step = (self._width, 1)[axis]
        one, next_one = (np.s_[:-1], np.s_[1:]) if axis == 0 else (np.s_[:, :-1], np.s_[:, 1:])
        counts = self._shows[one] & self._shows[next_one] & (self.filled[one] | self.filled[next_one])
        weight = counts.astype(np.float32)
        difference = np.zeros((3, *weight.shape), np.float32)
        seam = np.nonzero(counts & (self._from[next_one] != self._from[one] + step))
        here, there = self._from[one][seam], self._from[next_one][seam]
        after_here = self._known[here + step] & self.filled[one][seam]
        before_there = self._known[there - step] & self.filled[next_one][seam]
        copied = self._picture[there] - self._picture[here]
        shown = after_here[:, None] * (self._picture[here + step] - self._picture[here])
        shown += before_there[:, None] * (self._picture[there] - self._picture[there - step])
        pieces = np.add(after_here, before_there, dtype=np.float32)[:, None]  # that show it: none, one or both
        missed = (shown / np.maximum(pieces, 1) - copied) * (pieces > 0)
        weight[seam] = np.where(pieces[:, 0] > 0, 1 / (1 + (missed / SEAM_DIFFERENCE) ** 2).prod(1), UNKNOWN)
        difference[:, seam[0], seam[1]] = missed.T
        return weight, difference


def _least_squares(
    weight_x: np.ndarray, along_x: np.ndarray, weight_y: np.ndarray, along_y: np.ndarray, free: np.ndarray
) -> np.ndarray:
    """c, float32 [3, h, w], 0 where not `free`, from weights and differences along x and y; planes are fastest."""
    inside = free.astype(np.float32)
    flow_x, flow_y = np.multiply(weight_x, along_x), np.multiply(weight_y, along_y)

    def gathered(total: np.ndarray) -> np.ndarray:
        """What flows into each free pixel less what flows out of it."""
        total[:] = 0
        total[..., 1:] = flow_x
        total[..., :-1] -= flow_x
        total[..., 1:, :] += flow_y
        total[..., :-1, :] -= flow_y
        total *= inside
        return total

    def dot(one: np.ndarray, other: np.ndarray) -> np.ndarray:
        return np.array([np.vdot(a, b) for a, b in zip(one, other)], np.float32)[:, None, None]

    diagonal = np.zeros(free.shape, np.float32)
    diagonal[:, 1:] += weight_x
    diagonal[:, :-1] += weight_x
    diagonal[1:] += weight_y
    diagonal[:-1] += weight_y
    scale = inside / np.maximum(diagonal, UNKNOWN)
    left = gathered(np.empty((3, *free.shape), np.float32))
    found = np.zeros_like(left)
    scaled = scale * left
    ahead, moved, step = scaled.copy(), np.empty_like(left), np.empty_like(left)
    size = dot(left, scaled)
    for _ in range(ROUNDS):  # in place: the arrays stay in the processor's cache
        np.subtract(ahead[..., 1:], ahead[..., :-1], out=flow_x)
        np.subtract(ahead[:, 1:], ahead[:, :-1], out=flow_y)
        np.multiply(flow_x, weight_x, out=flow_x)
        np.multiply(flow_y, weight_y, out=flow_y)
        length = size / np.maximum(dot(ahead, gathered(moved)), 1e-12)
        found += np.multiply(ahead, length, out=step)
        left -= np.multiply(moved, length, out=step)
        np.multiply(left, scale, out=scaled)
        before, size = size, dot(left, scaled)
        ahead *= size / np.maximum(before, 1e-12)
        ahead += scaled
    return found
