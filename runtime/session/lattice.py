"""Points of a photo at even distances, at which the edit stack keeps its state, and sampling at them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from edgedrag.runtime.drag.composite import Box
from edgedrag.runtime.drag.flow import grid
from edgedrag.runtime.photo.window import Window

POINTS = 2.0  # of a lattice for each generator pixel
BICUBIC_REACH = 2  # pixels around a sampled one that bicubic sampling reads


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

    def to_lattice(self, x: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Photo pixels as places in the lattice, float32."""
        along_x, along_y = (x - self.box[1].start) / self.pitch[0], (y - self.box[0].start) / self.pitch[1]
        return along_x.astype(np.float32), along_y.astype(np.float32)

    def at_points(self, plane: np.ndarray) -> np.ndarray:
        """The pixels nearest to the points, of a plane [H, W, ...] of the box."""
        x, y = self.points()
        row, column = np.rint(y[:, 0]).astype(int) - self.box[0].start, np.rint(x[0]).astype(int) - self.box[1].start
        return plane[np.ix_(row, column)]


def common(a: Box, b: Box) -> Box | None:
    """Where two boxes overlap."""
    rows, columns = (slice(max(p.start, q.start), min(p.stop, q.stop)) for p, q in zip(a, b))
    return (rows, columns) if rows.start < rows.stop and columns.start < columns.stop else None


def within(box: Box, outer: Box) -> Box:
    """A box relative to the corner of another."""
    rows, columns = (slice(p.start - q.start, p.stop - q.start) for p, q in zip(box, outer))
    return rows, columns


def box_size(box: Box) -> tuple[int, int]:
    return box[0].stop - box[0].start, box[1].stop - box[1].start


def pixels_of(box: Box) -> tuple[np.ndarray, np.ndarray]:
    """The photo's coordinates in a box: x [1, w] and y [h, 1]."""
    x, y = grid(box_size(box))
    return x + np.float32(box[1].start), y + np.float32(box[0].start)


def box_around(x: np.ndarray, y: np.ndarray, shape: tuple[int, ...]) -> Box:
    """The box of a photo of a shape [H, W, ...] that bicubic sampling at x and y reads."""
    rows, columns = (
        slice(max(int(at.min()) - BICUBIC_REACH, 0), min(int(at.max()) + BICUBIC_REACH + 1, length))
        for at, length in zip((y, x), shape)
    )
    return rows, columns
