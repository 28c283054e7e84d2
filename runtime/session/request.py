"""A drag request: its arguments checked, photo, mask and points at the generator's size."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any
from weakref import ref

import numpy as np

from edgedrag.runtime.bundle.manifest import Bundle
from edgedrag.runtime.drag.composite import Generated
from edgedrag.runtime.drag.drags import Drags, check_drags, check_handles_in_mask
from edgedrag.runtime.drag.flow import longest, wider
from edgedrag.runtime.drag.held_motion import HeldMotion
from edgedrag.runtime.drag.motion import MotionName, check_motion
from edgedrag.runtime.drag.run import DragRun
from edgedrag.runtime.drag.stages import Stages
from edgedrag.runtime.hold.finder import HoldFinder
from edgedrag.runtime.hold.hold import Hold, check_answer
from edgedrag.runtime.hold.matte import matted
from edgedrag.runtime.photo.picture import Source, as_rgb8
from edgedrag.runtime.photo.window import Window, window_around
from edgedrag.runtime.session.arguments import checked_mask
from edgedrag.runtime.session.generator_size import to_generator_size
from edgedrag.runtime.session.held import Held, Way, flow_from, held_after
from edgedrag.runtime.session.history import Entry, Start
from edgedrag.runtime.session.mover import HOLE_MARGIN, Mover, digest
from edgedrag.runtime.session.region import Region
from edgedrag.runtime.session.scaled_drag import ScaledDrag, thing_of, within_reach
from edgedrag.runtime.session.start import answers_at, find_start, is_apart
from edgedrag.runtime.session.variants import ANSWER, Variant, usual_variant
from edgedrag.runtime.trace import span

MATTES = 8  # that are remembered while a finger moves
PICTURES = 2  # the same, of the photo that a pull starts from and of the photo as it is
MARGIN = 0.065  # of the photo's shorter side: how far from a given mask's edge a motion fades in


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
    """A checked drag: its window of the photo, and its run through the stages."""

    way: Way
    photo: np.ndarray  # as it was when the drag began
    window: Window
    native: np.ndarray  # the window's pixels
    region: Region  # that may change
    points: np.ndarray  # [N, 4], in its pixels
    run: DragRun
    holds: tuple[Hold, ...]  # of each drag
    start: Start  # what the drag is made on: the photo, or as it was before an earlier drag that this one goes on with

    @property
    def mask(self) -> np.ndarray:
        """The region, bool [H, W] of the photo."""
        return self.region.mask

    def held_after(self, generated: Generated) -> Held | None:
        """What the drags held, and where an edit moved it."""
        start = self.start.photo, self.start.points
        with span("hold moved along", "hold"):
            return held_after(self.way, start, self.holds, self.window, generated)

    def moves_like(self, other: Request) -> bool:
        """Whether both drags make the same motion of the same pixels."""
        if self.window != other.window or not np.array_equal(self.mask, other.mask):
            return False
        one, two = self.run.held, other.run.held
        return np.array_equal(one.flow, two.flow) and np.array_equal(one.revealed, two.revealed)

    @cached_property
    def pixels(self) -> tuple[Window, bytes]:
        """Cache key: the window and what the generator sees of it."""
        return self.window, digest(self.run.picture)

    @cached_property
    def masked(self) -> tuple[tuple[Window, bytes], bytes]:
        """Cache key: the same, and the mask at the generator's size."""
        return self.pixels, digest(self.run.mask)


@dataclass(frozen=True)
class DragHolds:
    """What a drag starts from, what each of its points holds there, and the region that may change."""

    start: Start
    holds: tuple[Hold, ...]
    region: Region


class Preparer:
    """Makes requests on one photo; what is held and the ground behind it are made once for a resting finger."""

    def __init__(self, bundle: Bundle, stages: Stages) -> None:
        self._bundle, self._stages = bundle, stages
        self._holds = HoldFinder(bundle, stages)
        self._mover = Mover()
        self._pictures = _Last(PICTURES)
        self._softs, self._mattes = _Last(MATTES), _Last(MATTES)

    def look_ahead(self, photo: np.ndarray) -> None:
        """Make now what holds on a photo need of it."""
        self._holds.prepare(photo)

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
        points, given = checked(asked, photo)
        variant = variant_of(asked)
        way = variant.motion, variant.answer, given is not None, variant.reach
        held = self._find(Start(photo, done, points), way, given, asked.protected)
        with span("window", "prepare"):
            margin = self._bundle.manifest["window"]["margin"]
            where = held.region.box, photo.shape
            window = window_around(*where, held.start.points, margin, self._stages.sizes)
            native = held.start.photo[window.box]
            drag = _scaled(self._picture(held.start.photo, window), held, window)
        fade = 0.0 if given is None else MARGIN * min(photo.shape[:2]) / float(window.scale.mean())
        motion = self._motion(held, drag, window, variant, fade)
        run = DragRun(self._bundle, self._stages, drag.picture, drag.mask, drag.points, timings, motion)
        return Request(way, photo, window, native, held.region, points, run, held.holds, held.start)

    def _picture(self, photo: np.ndarray, window: Window) -> np.ndarray:
        """What a window shows of a photo, at the generator's size, uint8 RGB [H, W, 3]."""
        return self._pictures.of(photo, window, lambda: to_generator_size(as_rgb8(photo[window.box]), window.size))

    def _motion(self, held: DragHolds, drag: ScaledDrag, window: Window, variant: Variant, fade: float) -> HeldMotion:
        """How what a drag holds moves.

        `fade`: generator pixels over which a motion fades in from the edge of a given mask; 0 without one.
        """
        with span("motion", "prepare"):
            names = _names(held.start.points, variant.answer)
            # A given mask says what may move: all that is held there does.
            moving = [hold.answer(n) if fade else hold.sure_answer(n) for hold, n in zip(held.holds, names)]

            def soft(hold: Hold) -> np.ndarray:
                return self._softs.of(hold, window, lambda: hold.in_window(window, drag.picture))

            def matte(hold: Hold) -> np.ndarray:
                return self._mattes.of(hold, window, lambda: matted(drag.picture, soft(hold)))

            with span("hold in window", "hold"):
                follows = np.stack([soft(hold) for hold in moving])
                # All that is near follows in a mask: there the outline matters for what is lifted alone.
                mattes = follows if fade else np.stack([matte(hold) for hold in moving])
            if fade and variant.motion == "bend" and variant.reach is None:
                thing = thing_of(held.holds, drag.points, drag.mask, matte)
                return self._mover.move_in_mask(drag, follows, thing, fade)
            return self._mover.move(drag, mattes, follows, variant, fade)

    def _find(self, here: Start, way: Way, given: np.ndarray | None, protected: np.ndarray | None) -> DragHolds:
        """What a drag goes on with, or the photo as it is; without what is protected."""
        start = find_start(here, way, given) if self._bundle.moves_held and protected is None else here
        held = self._held(start, given, way[1])
        if start.newer and not is_apart(start, held.region.mask):
            held = self._held(here, given, way[1])
        return replace(held, region=held.region.without(protected))

    def _held(self, start: Start, given: np.ndarray | None, answer: str) -> DragHolds:
        """What each drag holds, and the region that may change: the mask, where one was `given`."""
        with span("hold", "prepare"):
            holds = tuple(self.hold(start, at, given) for at in start.points[:, :2].astype(np.float64))
        with span("mask", "prepare"):
            if given is not None:
                return DragHolds(start, holds, Region.given(given))
            named = [hold.answer(name) for hold, name in zip(holds, _names(start.points, answer))]
            return DragHolds(start, holds, Region.moved(named, start))

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
            picture = self._picture(request.photo, window)
            reach = longest(held.points) / held.pixel
            offsets = self._mover.ground(picture, hole, within_reach(hole, reach)).offsets * window.scale
            moved[hole & ~found] = offsets[hole & ~found]
        return moved


def checked(asked: Asked, photo: np.ndarray) -> tuple[np.ndarray, np.ndarray | None]:
    """The drags' points [N, 4] and the mask, bool [H, W] or None. Raises InputError where they cannot be used."""
    height, width = photo.shape[:2]
    points = check_drags(asked.drags, height, width)
    check_motion(asked.motion)
    check_answer(asked.answer)
    given = None if asked.mask is None else checked_mask(asked.mask, height, width)
    if given is not None:
        check_handles_in_mask(points, given)
    return points, given


def _scaled(picture: np.ndarray, held: DragHolds, window: Window) -> ScaledDrag:
    """A drag at the generator's size, where a window's picture is."""
    points = window.to_generator(held.start.points.reshape(-1, 2)).reshape(-1, 4)
    return ScaledDrag(picture, held.region.in_window(window), points)


def _names(points: np.ndarray, answer: str) -> list[str]:
    """The answer of each drag [N, 4]: of a pin, which ends where it begins, the part, as the rest may move."""
    return ["part" if (point[:2] == point[2:]).all() else answer for point in points]


def variant_of(asked: Asked) -> Variant:
    """How a drag is answered: as was decided, else in the usual way, with the motion and answer that were asked for."""
    if asked.variant is not None:
        return asked.variant
    usual = usual_variant(asked.mask is not None, asked.motion)
    return usual if asked.mask is not None else replace(usual, answer=asked.answer)


class _Last:
    """What was made last of something in a window, cached while that is in memory: it stays while a finger moves."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._made: list[tuple[ref[Any], Window, np.ndarray]] = []

    def of(self, owner: Hold | np.ndarray, window: Window, make: Callable[[], np.ndarray]) -> np.ndarray:
        """What `make` gives for an owner and a window; nobody writes into it."""
        known = [made for made in self._made if made[0]() is owner and made[1] == window]
        if not known:
            known = [(ref(owner), window, make())]
        self._made = [*known, *(made for made in self._made if made is not known[0])][: self._most]
        return known[0][2]
