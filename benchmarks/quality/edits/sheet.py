"""A sheet of edits to judge: a row for each drag, with what a plain warp, the edit and its candidates make of it."""

from __future__ import annotations

import cv2
import numpy as np

from edgedrag.benchmarks.quality.baselines import inverse_distance_warp
from edgedrag.benchmarks.quality.edits.scores import as_task
from edgedrag.benchmarks.quality.edits.subject import Answer
from edgedrag.benchmarks.quality.edits.tasks import EditTask
from edgedrag.benchmarks.quality.page import GAP, caption, fit, on_paper, part_to_show
from edgedrag.runtime.session.sheet import draw_drag


class Sheet:
    """Rows of tiles, each with a caption."""

    def __init__(self, blind: bool = False) -> None:
        """An empty sheet; a `blind` one shows no verdicts."""
        self._blind = blind
        self._rows: list[list[np.ndarray]] = []

    def add(self, task: EditTask, answer: Answer, name: str | None = None, plain_warp: bool = True) -> None:
        """Add a row: the drag, the plain warp, the edit and its candidates; `name` instead of the task's.

        Without the `plain_warp` these are two results to compare, A and B.
        """
        drawn = as_task(task, answer)
        box = part_to_show(np.logical_or.reduce(answer.masks))
        mask = fit(drawn.mask[box].astype(np.uint8), cv2.INTER_NEAREST)
        scale = mask.shape[0] / (box[0].stop - box[0].start)
        corner = np.array([box[1].start, box[0].start] * 2)
        tiles = [draw_drag(fit(task.photo[box]), mask, (task.points - corner) * scale)]
        if plain_warp:
            tiles.append(fit(inverse_distance_warp(task.photo, task.points, drawn.mask)[box]))
        tiles += [fit(image[box]) for image in answer.images]
        names = [str(n) for n in range(len(answer.images))] if plain_warp else ["A", "B"]
        if not self._blind:
            verdicts = [answer.checked["verdict"], *answer.checked["verdicts_of_candidates"]]
            names = [f"{n}: {verdict}" for n, verdict in enumerate(verdicts)]
        names = [name or task.name, *(["plain warp"] if plain_warp else []), *names]
        self._rows.append([np.vstack([tile, caption(name, tile.shape[1])]) for name, tile in zip(names, tiles)])

    def draw(self) -> np.ndarray | None:
        """The sheet as uint8 RGB; None without rows."""
        if not self._rows:
            return None
        width = max(tile.shape[1] for row in self._rows for tile in row) + GAP
        columns = max(len(row) for row in self._rows)
        lines = []
        for row in self._rows:
            height = max(tile.shape[0] for tile in row) + GAP
            line = np.hstack([on_paper(tile, height, width) for tile in row])
            lines.append(on_paper(line, height, columns * width))
        return np.vstack(lines)
