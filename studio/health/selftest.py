"""The self-test: a drag on a synthetic picture whose right result is known."""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import dataclass, field
from typing import Any

import cv2
import numpy as np

from edgedrag.runtime.drag.reasons import Reason
from edgedrag.runtime.session.edit import Progress
from edgedrag.runtime.session.runtime import Runtime

SIDE = 320
HANDLE, TARGET = (150.0, 160.0), (166.0, 160.0)
MAX_LANDING_ERROR = 8.0  # pixels


SENTENCES = {
    "outside_changed": "pixels outside the mask changed",
    "unchanged": "the drag changed nothing",
    "off_target": "the handle's content is {pixels} px from its target",
    "no_undo": "undo did not give the photo back",
}


@dataclass(frozen=True)
class Problem:
    """What failed: a code of `SENTENCES`, with its values."""

    code: str
    values: dict[str, float | None] = field(default_factory=dict)

    def __str__(self) -> str:
        return SENTENCES[self.code].format(**self.values)


@dataclass(frozen=True)
class Report:
    """What failed, also reasons of the drag's verdict, and what was measured."""

    problems: tuple[Problem | Reason, ...]
    figures: dict[str, Any]

    @property
    def passed(self) -> bool:
        return not self.problems


def self_test(runtime: Runtime) -> Generator[Progress, None, Report]:
    """Drag, undo and compare, as a job for the worker."""
    picture = synthetic_picture()
    y, x = np.mgrid[:SIDE, :SIDE]
    mask = np.hypot(x - 158, y - 160) < 70
    photo = runtime.load(picture)
    edit = yield from photo.drag_steps([(HANDLE, TARGET)], mask)
    off, problems = edit.checks.landing_error_px, list[Problem | Reason]()
    if not np.array_equal(edit.image[~mask], picture[~mask]):
        problems.append(Problem("outside_changed"))
    if np.array_equal(edit.image, picture):
        problems.append(Problem("unchanged"))
    if off is None or off > MAX_LANDING_ERROR:
        problems.append(Problem("off_target", {"pixels": off}))
    if edit.checks.verdict == "bad":
        problems += edit.checks.reasons
    if not np.array_equal(photo.undo().image, picture):
        problems.append(Problem("no_undo"))
    figures = {"verdict": edit.checks.verdict, "landing_error_px": off, "total_ms": edit.timings["total"]}
    return Report(tuple(problems), figures)


def synthetic_picture() -> np.ndarray:
    """A disc of coarse texture on a ground of another, the same every time; uint8 RGB [SIDE, SIDE, 3]."""
    rng = np.random.default_rng(7)
    ground, disc = (
        cv2.GaussianBlur(rng.integers(low, high, (SIDE, SIDE, 3), np.uint8), (0, 0), 4).astype(np.float32)
        for low, high in ((60, 140), (120, 255))
    )
    y, x = np.mgrid[:SIDE, :SIDE]
    inside = np.clip(46 - np.hypot(x - 150, y - 160), 0, 1)[..., None]
    picture = (ground - 100) * 3 + 100
    picture += inside * ((disc - 187) * 4 + 187 - picture)
    return np.clip(picture, 0, 255).astype(np.uint8)
