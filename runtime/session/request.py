"""A drag as it was asked for: checked, and brought to the generator's size."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import cv2
import numpy as np

from edgedrag.runtime.bundle.manifest import Bundle
from edgedrag.runtime.drag.drags import Drag, check_drags, check_handles_in_mask
from edgedrag.runtime.drag.mask import automatic_mask, check_mask
from edgedrag.runtime.drag.run import DragRun
from edgedrag.runtime.drag.stages import Stages
from edgedrag.runtime.photo.picture import as_rgb8, load_picture
from edgedrag.runtime.photo.window import Window, choose_window
from edgedrag.runtime.trace import span

Mask = str | Path | np.ndarray | None


@dataclass(frozen=True)
class Request:
    """A checked drag: where it is in the photo, and its run through the stages."""

    photo: np.ndarray  # as it was when the drag began
    window: Window
    native: np.ndarray  # the window's pixels
    mask: np.ndarray  # of the photo
    points: np.ndarray  # [N, 4], in its pixels
    run: DragRun

    @cached_property
    def pixels(self) -> tuple[Window, bytes]:
        """The window and its content."""
        return self.window, digest(self.native)

    @cached_property
    def masked(self) -> tuple[tuple[Window, bytes], bytes]:
        """The same, and the mask at the generator's size."""
        return self.pixels, digest(self.run.mask)


def prepare(
    bundle: Bundle,
    stages: Stages,
    photo: np.ndarray,
    drags: Sequence[Drag],
    mask: Mask,
    timings: dict[str, float] | None = None,
) -> Request:
    """Check a drag, and bring photo, mask and points to the generator's size; `timings` are the run's.

    Raises:
        InputError: drags or mask that make no sense; says which and why.
    """
    height, width = photo.shape[:2]
    points = check_drags(drags, height, width)
    with span("mask", "prepare"):
        if mask is None:
            region = automatic_mask(as_rgb8(photo), points)
        else:
            given = mask if isinstance(mask, np.ndarray) else load_picture(mask).pixels
            region = check_mask(given, height, width)
        check_handles_in_mask(points, region)
    with span("window", "prepare"):
        window = choose_window(region, points, bundle.manifest["window"]["margin"], stages.sizes)
        native = photo[window.box]
        small_mask = shrink(region[window.box].astype(np.uint8) * 255, window.size) > 0
        small_points = window.to_generator(points.reshape(-1, 2)).reshape(-1, 4)
        small = shrink(as_rgb8(native), window.size)
        run = DragRun(bundle, stages, small, small_mask, small_points, timings)
    return Request(photo, window, native, region, points, run)


def digest(array: np.ndarray) -> bytes:
    """A hash of an array's values; SHA-256, since processors have instructions for it."""
    with span("digest", "prepare"):
        return hashlib.sha256(np.ascontiguousarray(array).data).digest()


def shrink(pixels: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """A window's pixels at the generator's size (H, W).

    By areas, or bilinear where there is less than half to lose: OpenCV's areas of broken sizes are slow.
    """
    broad = max(pixels.shape[0] / size[0], pixels.shape[1] / size[1]) >= 2
    return cv2.resize(pixels, size[::-1], interpolation=cv2.INTER_AREA if broad else cv2.INTER_LINEAR)
