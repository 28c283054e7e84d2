"""A drag request: its arguments checked, photo, mask and points at the generator's size."""

from __future__ import annotations

import hashlib
import operator
from dataclasses import dataclass, replace
from functools import cached_property

import cv2
import numpy as np

from edgedrag.runtime.bundle.manifest import Bundle
from edgedrag.runtime.drag.drags import Drags, check_drags, check_handles_in_mask
from edgedrag.runtime.drag.ground import Ground, make_ground
from edgedrag.runtime.drag.mask import check_mask
from edgedrag.runtime.drag.motion import (
    BEND_REACH_IN_MASK,
    HeldMotion,
    MotionName,
    check_motion,
    held_in_mask,
    move_held,
)
from edgedrag.runtime.drag.run import DragRun
from edgedrag.runtime.drag.stages import Stages
from edgedrag.runtime.errors import InputError
from edgedrag.runtime.hold.finder import HoldFinder
from edgedrag.runtime.hold.hold import Hold, check_answer
from edgedrag.runtime.hold.region import moved_region
from edgedrag.runtime.photo.picture import MAX_MEGAPIXELS, Picture, Source, as_rgb8, load_picture
from edgedrag.runtime.photo.window import Window, choose_window
from edgedrag.runtime.trace import span

ANSWER, ANSWER_IN_MASK = "thing", "group"  # of a hold, which one moves; chosen on pulls and pairs, docs/quality.md
MARGIN = 0.065  # of the photo's shorter side: how far from a given mask's edge a motion fades in
CUT = 0.02  # of a given mask's edge; what holds more of it goes on beyond the mask
HOLE_LEVEL = 0.1  # of what is held; from there on it leaves a hole behind
HOLE_MARGIN = 3  # generator pixels around it, where its outline still shows


@dataclass(frozen=True)
class Asked:
    """What a caller asks for: see `Photo.drag`; `answer` is the name of what the drags hold, of hold.NAMES."""

    drags: Drags
    mask: Source | None
    motion: MotionName = "auto"
    answer: str = ANSWER


@dataclass(frozen=True)
class Request:
    """A checked drag: its place in the photo, and its run through the stages."""

    asked: Asked
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


class Preparer:
    """Makes requests on one photo; what is held and the ground behind it are made once for a resting finger."""

    def __init__(self, bundle: Bundle, stages: Stages) -> None:
        self._bundle, self._stages = bundle, stages
        self._holds = HoldFinder(bundle, stages)
        self._ground: tuple[tuple[bytes, bytes], Ground] | None = None  # the last, by the window's pixels and the hole

    def hold(self, photo: np.ndarray, point: np.ndarray, mask: np.ndarray | None) -> Hold:
        """The hold at a checked point (x, y), bounded by a mask, bool [H, W]."""
        return self._holds.find(photo, point, mask)

    def prepare(self, photo: np.ndarray, asked: Asked, timings: dict[str, float] | None = None) -> Request:
        """Check a drag, and bring photo, mask and points to the generator's size; `timings` are the run's.

        Raises:
            InputError: drags, mask or motion that cannot be used; says which and why.
        """
        height, width = photo.shape[:2]
        points = check_drags(asked.drags, height, width)
        check_motion(asked.motion)
        check_answer(asked.answer)
        given = None if asked.mask is None else checked_mask(asked.mask, height, width)
        if given is not None:
            check_handles_in_mask(points, given)
        with span("hold", "prepare"):
            answer = asked.answer if given is None else ANSWER_IN_MASK
            holds = [self.hold(photo, at, given).answer(answer) for at in points[:, :2].astype(np.float64)]
        with span("mask", "prepare"):
            region = moved_region(holds, points) if given is None else given
        with span("window", "prepare"):
            window = choose_window(region, points, self._bundle.manifest["window"]["margin"], self._stages.sizes)
            native = photo[window.box]
            mask = shrink(region[window.box].astype(np.uint8) * 255, window.size) > 0
            small_points = window.to_generator(points.reshape(-1, 2)).reshape(-1, 4)
            picture = shrink(as_rgb8(native), window.size)
        with span("motion", "prepare"):
            held = np.stack([hold.in_window(window, picture) for hold in holds])
            margin = 0.0 if given is None else MARGIN * min(height, width) / float(window.scale.mean())
            motion = self._motion(picture, small_points, held, mask, asked.motion, margin)
        run = DragRun(self._bundle, self._stages, picture, mask, small_points, timings, motion)
        return Request(asked, photo, window, native, region, points, run)

    def _motion(
        self,
        picture: np.ndarray,
        points: np.ndarray,
        held: np.ndarray,
        mask: np.ndarray,
        motion: MotionName,
        margin: float,
    ) -> HeldMotion:
        """Move what is held in a window, and fill what that reveals; `margin` is 0 where the mask was not given."""
        if margin:
            follows = np.stack([held_in_mask(mask, each, at, margin) for each, at in zip(held, points[:, :2])])
            moved = move_held(points, follows, motion, BEND_REACH_IN_MASK)
            if _goes_on(held.max(0), mask):  # then the mask cuts it, and what is drawn out there is no ground
                return HeldMotion(moved.flow, np.zeros_like(moved.revealed))
        else:
            moved = move_held(points, held, motion)
        if not (moved.revealed > 0.5).any():
            return moved
        hole = held[(points[:, :2] != points[:, 2:]).any(1)].max(0) > HOLE_LEVEL
        hole = cv2.dilate(hole.astype(np.uint8), np.ones((2 * HOLE_MARGIN + 1,) * 2, np.uint8)).view(bool)
        hole |= moved.revealed[..., 0] > 0
        with span("ground", "prepare"):
            key = digest(picture), digest(hole)
            if self._ground is None or self._ground[0] != key:
                self._ground = key, make_ground(picture, hole)
        return replace(moved, ground=self._ground[1])


def _goes_on(held: np.ndarray, mask: np.ndarray) -> bool:
    """Whether what is held, float32 [H, W], goes on beyond a mask, bool [H, W]: it holds some of the mask's edge."""
    edge = mask & ~cv2.erode(mask.astype(np.uint8), np.ones((3, 3), np.uint8), borderValue=1).view(bool)
    return bool(edge.any()) and float((held[edge] > 0.5).mean()) > CUT


def checked_mask(mask: Source, height: int, width: int) -> np.ndarray:
    """A given mask as bool [H, W]; raises InputError where it cannot be used."""
    return check_mask(_mask_values(mask, height * width / 1e6), height, width)


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
