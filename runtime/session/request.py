"""A drag request: its arguments checked, photo, mask and points at the generator's size."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, replace
from functools import cached_property

import cv2
import numpy as np

from edgedrag.runtime.bundle.manifest import Bundle
from edgedrag.runtime.drag.blend import REVEAL_RANGE
from edgedrag.runtime.drag.composite import Generated
from edgedrag.runtime.drag.drags import Drags, check_drags, check_handles_in_mask
from edgedrag.runtime.drag.ground import Ground, make_ground
from edgedrag.runtime.drag.mask_motion import lift, move_in_mask, moves_whole
from edgedrag.runtime.drag.motion import (
    BEND_REACH,
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
from edgedrag.runtime.photo.picture import Source, as_rgb8
from edgedrag.runtime.photo.sparse import resize_sparse
from edgedrag.runtime.photo.window import Window, choose_window
from edgedrag.runtime.session.arguments import checked_mask
from edgedrag.runtime.session.held import Held, Way, flow_from, held_after
from edgedrag.runtime.session.history import Entry, Start
from edgedrag.runtime.session.place import Place, goes_on, lifted, longest, moves, wider, within_reach
from edgedrag.runtime.session.start import answers_at, find_start, is_apart, region_of
from edgedrag.runtime.session.variants import ANSWER, Variant, usual_variant
from edgedrag.runtime.trace import span

MARGIN = 0.065  # of the photo's shorter side: how far from a given mask's edge a motion fades in
SHOWN = REVEAL_RANGE[0]  # of what is revealed; from there on the ground is shown
LIFTED_LEAST = 0.25  # of a given mask: what is held less is not what it was painted around
HOLE_LEVEL = 0.1  # of what is held; from there on it leaves a hole behind
GROUNDS = 2  # that are remembered
HOLE_MARGIN = 3  # generator pixels around it, where its outline still shows


@dataclass(frozen=True)
class Asked:
    """What a caller asks for: see `Photo.drag`; `answer` is the name of what the drags hold, of hold.NAMES.

    `protected`, bool [H, W] of the photo, must not change. `variant` is how it is answered, where that is decided.
    """

    drags: Drags
    mask: Source | None
    motion: MotionName = "auto"
    answer: str = ANSWER
    protected: np.ndarray | None = None
    variant: Variant | None = None


@dataclass(frozen=True)
class Request:
    """A checked drag: its place in the photo, and its run through the stages."""

    way: Way
    photo: np.ndarray  # as it was when the drag began
    window: Window
    native: np.ndarray  # the window's pixels
    mask: np.ndarray  # bool [H, W], of the photo
    points: np.ndarray  # [N, 4], in its pixels
    run: DragRun
    holds: tuple[Hold, ...]  # of each drag
    start: Start  # what the drag is made on: the photo, or as it was before an earlier drag that this one goes on with

    def held_after(self, generated: Generated) -> Held | None:
        """What the drags held, and where an edit moved it."""
        start = self.start.photo, self.start.points
        return held_after(self.way, start, self.holds, self.window, generated)

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
        self._pictures = _Pictures()
        self._grounds: dict[tuple[bytes, ...], Ground] = {}  # the last ones, by the window's pixels and the hole

    def hold(self, start: Start, point: np.ndarray, mask: np.ndarray | None) -> Hold:
        """The hold at a checked point (x, y), bounded by a mask, bool [H, W]; an earlier drag's on what that moved."""
        return self._holds.find(start.photo, point, mask, answers_at(start, point))

    def prepare(
        self, photo: np.ndarray, asked: Asked, timings: dict[str, float] | None = None, done: tuple[Entry, ...] = ()
    ) -> Request:
        """Check a drag, and bring photo, mask and points to the generator's size; `timings` are the run's.

        `done` are the edits of the photo so far.

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
        variant = variant_of(asked)
        way = variant.motion, variant.answer, given is not None, variant.reach
        here = Start(photo, done, points)
        free = self._bundle.moves_held and asked.protected is None
        start = find_start(here, way, given) if free else here
        holds, region = self._held(start, given, variant.answer)
        if not is_apart(start, region):
            start = here
            holds, region = self._held(start, given, variant.answer)
        points = start.points
        region = _without(region, asked.protected)
        with span("window", "prepare"):
            window = choose_window(region, points, self._bundle.manifest["window"]["margin"], self._stages.sizes)
            native = start.photo[window.box]
            mask = mask_to_generator_size(region[window.box], window.size)
            small_points = window.to_generator(points.reshape(-1, 2)).reshape(-1, 4)
            picture = self._pictures.of(start.photo, window)
        with span("motion", "prepare"):
            names = _names(points, variant.answer)
            # A given mask says what may move: all that is held there does.
            moving = [hold.moving(n) if given is None else hold.answer(n) for hold, n in zip(holds, names)]
            held = np.stack([hold.in_window(window, picture) for hold in moving])
            margin = 0.0 if given is None else MARGIN * min(height, width) / float(window.scale.mean())
            place = Place(picture, mask, small_points)
            if given is not None and variant.motion == "bend" and variant.reach is None:
                motion = self._in_mask(place, held, lifted(holds, small_points, window, picture), margin)
            else:
                motion = self._motion(place, held, variant, margin)
        run = DragRun(self._bundle, self._stages, picture, mask, small_points, timings, motion)
        return Request(way, photo, window, native, region, here.points, run, holds, start)

    def _held(self, start: Start, given: np.ndarray | None, answer: str) -> tuple[tuple[Hold, ...], np.ndarray]:
        """What each drag holds, and the region that may change, bool [H, W]: the mask, where one was `given`."""
        with span("hold", "prepare"):
            holds = tuple(self.hold(start, at, given) for at in start.points[:, :2].astype(np.float64))
        with span("mask", "prepare"):
            if given is not None:
                return holds, given
            named = [hold.answer(name) for hold, name in zip(holds, _names(start.points, answer))]
            return holds, moved_region(named, start.points) | region_of(start)

    def _in_mask(self, place: Place, held: np.ndarray, thing: np.ndarray | None, margin: float) -> HeldMotion:
        """Move what lies in a given mask.

        A thing with all of its outline in the mask that moves as a whole, further than the ground around it could give
        way, is lifted from its ground; all else moves together.

        Args:
            held: float32 [N, H, W], what each drag holds.
            thing: float32 [H, W], what they hold of a thing that does not go on beyond the mask; None: it does.
            margin: generator pixels over which a motion fades in from the mask's edge.
        """
        points, mask = place.points, place.mask
        far = longest(points) > margin and moves_whole(points)
        if not far or thing is None or (thing > 0.5).sum() < LIFTED_LEAST * mask.sum():
            return move_in_mask(points, mask, held.max(0), margin)
        hole = wider(thing > HOLE_LEVEL, HOLE_MARGIN)
        moved = lift(points, mask, thing, hole)
        return replace(moved, ground=self._ground(place.picture, hole, hole))

    def _motion(self, place: Place, held: np.ndarray, variant: Variant, margin: float) -> HeldMotion:
        """Move what is held in a window, and fill what that reveals; `margin` is 0 where the mask was not given."""
        points, mask = place.points, place.mask
        if margin:
            follows = np.stack([held_in_mask(mask, each, at, margin) for each, at in zip(held, points[:, :2])])
            moved = move_held(points, follows, variant.motion, variant.reach or BEND_REACH_IN_MASK)
            if goes_on(held.max(0), mask):  # then the mask cuts it, and what is drawn out there is no ground
                return HeldMotion(moved.flow, np.zeros_like(moved.revealed))
        else:
            moved = move_held(points, held, variant.motion, variant.reach or BEND_REACH)
        if not (moved.revealed > 0.5).any():
            return moved
        hole = held[moves(points)].max(0) > HOLE_LEVEL
        hole, revealed = wider(hole, HOLE_MARGIN), wider(moved.revealed[..., 0] > SHOWN, 1)
        hole |= revealed
        return replace(moved, ground=self._ground(place.picture, hole, within_reach(hole, longest(points)) | revealed))

    def _ground(self, picture: np.ndarray, hole: np.ndarray, wanted: np.ndarray) -> Ground:
        """What fills the part of a hole that is wanted, both bool [H, W], in a window's picture."""
        with span("ground", "prepare"):
            key = digest(picture), digest(hole), digest(wanted)
            ground = self._grounds.pop(key, None) or make_ground(picture, hole, None, wanted)
            self._grounds = {key: ground, **dict(list(self._grounds.items())[: GROUNDS - 1])}
        return ground

    def from_now(self, request: Request, flow: np.ndarray) -> np.ndarray:
        """A request's motion of the photo as it is now, where it goes on with an earlier one.

        Args:
            flow: float32 [H, W, 2], backward, in generator pixels, of the photo that the request starts from.

        Returns:
            float32 [H, W, 2], backward, in photo pixels.
        """
        window, start = request.window, request.start
        if start.continues is None or start.continues.held is None:
            return flow * window.scale
        held = start.continues.held
        moved, found = flow_from(held, flow, window)
        hole = wider(held.region(window, request.photo.shape), HOLE_MARGIN)
        if (hole & ~found).any():  # hidden by what is held: until the drag ends, the ground of the photo as it is
            picture = to_generator_size(as_rgb8(request.photo[window.box]), window.size)
            reach = longest(held.points) / held.pixel
            offsets = self._ground(picture, hole, within_reach(hole, reach)).offsets * window.scale
            moved[hole & ~found] = offsets[hole & ~found]
        return moved


def _names(points: np.ndarray, answer: str) -> list[str]:
    """The answer of each drag [N, 4]: of a pin, which ends where it begins, the part, as the rest may move."""
    return ["part" if (point[:2] == point[2:]).all() else answer for point in points]


def _without(region: np.ndarray, protected: np.ndarray | None) -> np.ndarray:
    """A region without what is protected, both bool [H, W]. Raises InputError where nothing remains."""
    if protected is None:
        return region
    left = region & ~protected
    if not left.any():
        raise InputError("all that these drags could change is protected; take some of the protection away")
    return left


def variant_of(asked: Asked) -> Variant:
    """How a drag is answered: as was decided, else in the usual way, with the motion and answer that were asked for."""
    if asked.variant is not None:
        return asked.variant
    usual = usual_variant(asked.mask is not None, asked.motion)
    return usual if asked.mask is not None else replace(usual, answer=asked.answer)


def digest(array: np.ndarray) -> bytes:
    """A hash of an array's values; SHA-256, since processors have instructions for it."""
    with span("digest", "prepare"):
        return hashlib.sha256(np.ascontiguousarray(array).data).digest()


class _Pictures:
    """What a window shows of a photo, at the generator's size; the last one is cached for the previews of a pull."""

    def __init__(self) -> None:
        self._last: tuple[np.ndarray, Window, np.ndarray] | None = None

    def of(self, photo: np.ndarray, window: Window) -> np.ndarray:
        """uint8 RGB [H, W, 3]; nobody writes into it."""
        if self._last is None or self._last[0] is not photo or self._last[1] != window:
            self._last = photo, window, to_generator_size(as_rgb8(photo[window.box]), window.size)
        return self._last[2]


def to_generator_size(pixels: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """A window's pixels at the generator's size (H, W)."""
    return cv2.resize(pixels, size[::-1], interpolation=_interpolation(pixels.shape, size))


def mask_to_generator_size(mask: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """A window's mask, bool, at the generator's size: where any of it is."""
    if _interpolation(mask.shape, size) == cv2.INTER_AREA:
        return resize_sparse(mask, size, cv2.INTER_AREA, np.uint8(255)) > 0
    return to_generator_size(mask * np.uint8(255), size) > 0


def _interpolation(shape: tuple[int, ...], size: tuple[int, int]) -> int:
    """INTER_AREA from a 2x reduction on, else bilinear; INTER_AREA is slow at fractional ratios."""
    return cv2.INTER_AREA if max(shape[0] / size[0], shape[1] / size[1]) >= 2 else cv2.INTER_LINEAR
