"""A picture of results: a row for each photo, a column for each method."""

from __future__ import annotations

import cv2
import numpy as np

from edgedrag.benchmarks.quality.methods import OWN, RELATIVES, WARP, LineUp, Made, Method
from edgedrag.metrics.drag_sets import Task
from edgedrag.runtime.session.sheet import draw_drag

COLUMNS = (WARP, "bidirectional_warp", *RELATIVES, OWN)  # those that were run are shown
TILE = 384  # largest side of a tile, pixels
AROUND = 0.15  # margin shown around the mask's box, as a share of its size, if the photo is larger than a tile
GAP = 4
CAPTION = 28  # height, pixels
PAPER, INK = 255, 0


class Page:
    """Rows of tiles."""

    def __init__(self, rows: LineUp):
        """Create an empty page for the methods of a line-up."""
        self._methods = {name: rows.methods[name] for name in COLUMNS if name in rows.methods}
        self._rows: list[list[np.ndarray]] = []

    def add(self, task: Task, by_method: dict[Method, Made], truth: np.ndarray | None = None, motion: str = "") -> None:
        """Add a row for a task, with the verdict under each result that has one.

        Args:
            truth: uint8 RGB [H, W, 3].
            motion: name of the kind of motion, written under the drag.
        """
        results = [by_method[m] for m in self._methods.values()]
        pictures = [task.photo, *(result.image for result in results)]
        pictures += [] if truth is None else [truth]
        box = part_to_show(task.mask)
        tiles = [fit(p[box]) for p in pictures]
        mask = fit(task.mask[box].astype(np.uint8), cv2.INTER_NEAREST)
        scale = mask.shape[0] / (box[0].stop - box[0].start)
        corner = np.array([box[1].start, box[0].start] * 2)
        tiles[0] = draw_drag(tiles[0], mask, (task.points - corner) * scale)
        if motion:
            tiles[0] = np.vstack([tiles[0], caption(motion, tiles[0].shape[1])])
        for column, result in enumerate(results, 1):
            if result.checks is not None:
                verdict = caption(result.checks.verdict, tiles[column].shape[1])
                tiles[column] = np.vstack([tiles[column], verdict])
        self._rows.append(tiles)

    def draw(self) -> np.ndarray:
        """The page as uint8 RGB, with column headings."""
        tiles = [tile for row in self._rows for tile in row]
        width = max(t.shape[1] for t in tiles) + GAP
        names = ["the drag", *self._methods, "truth"][: len(self._rows[0])]
        lines = [np.hstack([caption(name, width) for name in names])]
        for row in self._rows:
            height = max(t.shape[0] for t in row) + GAP
            lines.append(np.hstack([on_paper(t, height, width) for t in row]))
        return np.vstack(lines)


def part_to_show(mask: np.ndarray) -> tuple[slice, slice]:
    """The mask's box with a margin, at least a tile in size, clipped to the photo."""
    box = []
    for along, length in zip((mask.any(1), mask.any(0)), mask.shape):
        inside = np.flatnonzero(along)
        low, high = int(inside[0]), int(inside[-1]) + 1
        side = min(max(round((1 + 2 * AROUND) * (high - low)), TILE), length)
        start = min(max((low + high - side) // 2, 0), length - side)
        box.append(slice(start, start + side))
    return box[0], box[1]


def fit(picture: np.ndarray, how: int = cv2.INTER_AREA) -> np.ndarray:
    """Shrink a picture to a tile if it is larger."""
    scale = min(1.0, TILE / max(picture.shape[:2]))
    size = [max(1, round(n * scale)) for n in picture.shape[1::-1]]
    return cv2.resize(picture, size, interpolation=how)


def on_paper(tile: np.ndarray, height: int, width: int) -> np.ndarray:
    below, right = height - tile.shape[0], width - tile.shape[1]
    return cv2.copyMakeBorder(tile, 0, below, 0, right, cv2.BORDER_CONSTANT, value=(PAPER, PAPER, PAPER))


def caption(name: str, width: int) -> np.ndarray:
    """A column's name or a verdict as text on white, in the largest size that fits."""
    strip = np.full((CAPTION, width, 3), PAPER, np.uint8)
    text = name.replace("_", " ")
    needed = cv2.getTextSize(text, cv2.FONT_HERSHEY_SIMPLEX, 1.0, 1)[0][0]
    scale = min(0.6, (width - 2 * GAP) / needed)
    cv2.putText(strip, text, (GAP, CAPTION - 9), cv2.FONT_HERSHEY_SIMPLEX, scale, (INK, INK, INK), 1, cv2.LINE_AA)
    return strip
