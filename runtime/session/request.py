"""A drag request: its arguments checked, photo, mask and points at the generator's size."""

from __future__ import annotations

import hashlib
import operator
from dataclasses import dataclass
from functools import cached_property

import cv2
import numpy as np

from edgedrag.runtime.bundle.manifest import Bundle
from edgedrag.runtime.drag.drags import Drags, check_drags, check_handles_in_mask
from edgedrag.runtime.drag.mask import automatic_mask, check_mask
from edgedrag.runtime.drag.run import DragRun
from edgedrag.runtime.drag.stages import Stages
from edgedrag.runtime.errors import InputError
from edgedrag.runtime.photo.picture import MAX_MEGAPIXELS, Picture, Source, as_rgb8, load_picture
from edgedrag.runtime.photo.window import Window, choose_window
from edgedrag.runtime.trace import span


@dataclass(frozen=True)
class Request:
    """A checked drag: its place in the photo, and its run through the stages."""

    photo: np.ndarray  # as it was when the drag began
    window: Window
    native: np.ndarray  # the window's pixels
    mask: np.ndarray  # bool [H, W], of the photo
    points: np.ndarray  # [N, 4], in its pixels
    run: DragRun

    @cached_property
    def pixels(self) -> tuple[Window, bytes]:
        """Cache key: the window and its content."""
        return self.window, digest(self.native)

    @cached_property
    def masked(self) -> tuple[tuple[Window, bytes], bytes]:
        """Cache key: the same, and the mask at the generator's size."""
        return self.pixels, digest(self.run.mask)


def prepare(
    bundle: Bundle,
    stages: Stages,
    photo: np.ndarray,
    drags: Drags,
    mask: Source | None,
    timings: dict[str, float] | None = None,
) -> Request:
    """Check a drag, and bring photo, mask and points to the generator's size; `timings` are the run's.

    Raises:
        InputError: drags or mask that cannot be used; says which and why.
    """
    height, width = photo.shape[:2]
    points = check_drags(drags, height, width)
    with span("mask", "prepare"):
        if mask is None:
            region = automatic_mask(as_rgb8(photo), points)
        else:
            region = check_mask(_mask_values(mask, height * width / 1e6), height, width)
        check_handles_in_mask(points, region)
    with span("window", "prepare"):
        window = choose_window(region, points, bundle.manifest["window"]["margin"], stages.sizes)
        native = photo[window.box]
        small_mask = shrink(region[window.box].astype(np.uint8) * 255, window.size) > 0
        small_points = window.to_generator(points.reshape(-1, 2)).reshape(-1, 4)
        small = shrink(as_rgb8(native), window.size)
        run = DragRun(bundle, stages, small, small_mask, small_points, timings)
    return Request(photo, window, native, region, points, run)


def _mask_values(mask: Source, photo_megapixels: float) -> np.ndarray | Picture:
    """A mask as an array, or read where it is a file or picture; raises InputError where it holds no numbers."""
    if not isinstance(mask, np.ndarray):
        return load_picture(mask, max(photo_megapixels, MAX_MEGAPIXELS), "mask")
    if mask.dtype.kind not in "biuf":
        raise InputError(f"mask: an array of {mask.dtype}; give booleans or numbers, nonzero = may change")
    return mask


def whole_number(argument: str, value: object) -> int:
    """An integer of any kind, NumPy's included; raises InputError for all else, booleans too."""
    try:
        if not isinstance(value, (bool, np.bool_)):
            return operator.index(value)  # type: ignore[arg-type]
    except TypeError:
        pass
    raise InputError(f"{argument}: {value!r:.80} is not a whole number")


def digest(array: np.ndarray) -> bytes:
    """A hash of an array's values; SHA-256, since processors have instructions for it."""
    with span("digest", "prepare"):
        return hashlib.sha256(np.ascontiguousarray(array).data).digest()


def shrink(pixels: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """A window's pixels at the generator's size (H, W).

    INTER_AREA from a 2x reduction on, else bilinear; INTER_AREA is slow at fractional ratios.
    """
    broad = max(pixels.shape[0] / size[0], pixels.shape[1] / size[1]) >= 2
    return cv2.resize(pixels, size[::-1], interpolation=cv2.INTER_AREA if broad else cv2.INTER_LINEAR)
