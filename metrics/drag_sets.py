"""Drags for measuring and calibrating: a drag on a photo, and folders of samples in DragBench's format.

A sample is a folder of original_image.png, mask.png (255 = may change) and drag_instruction.json with
`points`: handle, target, handle, target, ... as x, y pixels.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from edgedrag.runtime.drag.drags import Drag, check_drags, check_handles_in_mask
from edgedrag.runtime.drag.mask import check_mask
from edgedrag.runtime.errors import InputError
from edgedrag.runtime.photo.picture import as_rgb8, load_picture

PHOTO, MASK, INSTRUCTION = "original_image.png", "mask.png", "drag_instruction.json"


@dataclass(frozen=True)
class Task:
    """A drag on a photo: uint8 RGB [H, W, 3], float32 [N, 4] in its pixels, bool [H, W]."""

    photo: np.ndarray
    points: np.ndarray
    mask: np.ndarray

    @property
    def drags(self) -> list[Drag]:
        """The points as `Photo.drag` takes them."""
        return [((hx, hy), (tx, ty)) for hx, hy, tx, ty in self.points.tolist()]


def find_samples(folder: Path) -> dict[str, Path]:
    """The folders with files of a sample, one or two levels deep, by their path in `folder`."""
    samples = {
        f.parent
        for depth in ("*", "*/*")
        for name in (PHOTO, MASK, INSTRUCTION)
        for f in folder.glob(f"{depth}/{name}")
    }
    if not samples:
        raise InputError(f"{folder}: no samples; a sample is a folder with {PHOTO}, {MASK} and {INSTRUCTION}")
    return {place.relative_to(folder).as_posix(): place for place in sorted(samples)}


def read_sample(folder: Path, max_megapixels: float) -> Task:
    """Read a sample. Raises InputError if a file is missing or damaged, or the drag is invalid."""
    photo = as_rgb8(load_picture(folder / PHOTO, max_megapixels).pixels)
    height, width = photo.shape[:2]
    mask = check_mask(load_picture(folder / MASK, max_megapixels), height, width)
    try:
        ends = json.loads((folder / INSTRUCTION).read_text())["points"]
        drags = list(zip(ends[::2], ends[1::2], strict=True))
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise InputError(f"{INSTRUCTION}: `points` is not a list of handles and targets ({error})") from None
    points = check_drags(drags, height, width)
    check_handles_in_mask(points, mask)
    return Task(photo, points, mask)
