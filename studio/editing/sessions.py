"""Visitors' sessions: a photo in memory, its edits, and nothing on disk.

Whatever touches a photo is a generator that the worker's thread runs, so a session needs no lock.
"""

from __future__ import annotations

import secrets
import time
from collections.abc import Generator, Iterator
from dataclasses import dataclass, field
from typing import Literal

import cv2
import numpy as np

from edgedrag.runtime.drag.brush import BrushName
from edgedrag.runtime.drag.drags import Drag
from edgedrag.runtime.drag.motion import MotionName
from edgedrag.runtime.errors import InputError
from edgedrag.runtime.photo.encode import cannot_hold
from edgedrag.runtime.photo.picture import Picture
from edgedrag.runtime.photo.window import Window
from edgedrag.runtime.session.draft import OnDraft
from edgedrag.runtime.session.edit import Change, Edit, Motion, Progress
from edgedrag.runtime.session.photo import Photo
from edgedrag.runtime.session.runtime import Runtime
from edgedrag.runtime.session.variants import ANSWER, Variant
from edgedrag.studio.editing.answers import Answer, Question, find_answers
from edgedrag.studio.editing.frames import view_size
from edgedrag.studio.editing.outlines import Polygons, outline
from edgedrag.studio.editing.worker import Busy

UNDO_LIMIT = 24  # edits; the next one drops the oldest
MASK_SIDE = 1024  # pixels, of the mask that the page paints, at most
MAX_SESSIONS = 64  # each holds some 20 MB beside its photo; sessions without a photo are ended for new ones
MAX_STEPS = 1000
MASK_THRESHOLD = 128  # grey level from which on a painted mask's pixel may change


MaskUse = Literal["area", "protect", "restore"]
Outlines = dict[str, Polygons]  # by the name of the answer


@dataclass(frozen=True)
class EditParameters:
    """What a visitor asks of an edit; `motion_only` leaves out what a generator would add. The rest as `Photo.drag`."""

    drags: list[Drag]
    motion_only: bool = False
    steps: int | None = None
    seed: int = 0
    motion: MotionName = "auto"
    answer: str = ANSWER


@dataclass(frozen=True)
class StrokeParameters:
    """What a visitor asks of a brush; see `Photo.brush`."""

    brush: BrushName
    path: list[list[float]]
    radius: float
    strength: float = 1.0


@dataclass(frozen=True, eq=False)
class FinishedEdit(Change):
    """An edit, the pixels before it, and whether its mask was painted."""

    before: np.ndarray
    edit: Edit
    painted: bool


@dataclass(eq=False)
class Session:
    """One visitor. `mask`, bool [H, W], is the one the visitor painted; `last_mask` the one that was last used.

    `protected` is what no edit may change, `restoring` what is to be put back, both bool [H, W].
    """

    id: str
    touched: float = field(default_factory=time.monotonic)
    photo: Photo | None = None
    runtime: Runtime | None = None  # that the photo was opened with
    original: Picture | None = None
    jpeg_loses: tuple[str, ...] = ()  # what JPEG cannot hold of it
    protected: np.ndarray | None = None
    restoring: np.ndarray | None = None
    mask: np.ndarray | None = None
    last_mask: np.ndarray | None = None
    ended: bool = False
    question: Question | None = None  # what the last edit answered, until its other answers are found

    def touch(self) -> None:
        """Restart the idle timeout."""
        self.touched = time.monotonic()

    def opened(self) -> Photo:
        """The photo. Raises InputError where there is none yet."""
        if self.photo is None:
            raise InputError("no photo yet: send one first")
        return self.photo

    @property
    def left_out(self) -> tuple[str, ...]:
        """What of the photo's file could not be used, a sentence each."""
        return () if self.original is None else self.original.warnings

    @property
    def size(self) -> tuple[int, int] | None:
        """Height and width of the photo."""
        return None if self.photo is None else self.photo.image.shape[:2]

    @property
    def undo_count(self) -> int:
        """Edits that can be undone."""
        return 0 if self.photo is None else self.photo.undo_count

    @property
    def redo_count(self) -> int:
        """Undone edits that can be made again."""
        return 0 if self.photo is None else self.photo.redo_count

    def open(self, runtime: Runtime, picture: Picture) -> Generator[Progress, None, None]:
        """Open another photo, with an empty history."""
        yield from ()
        self.photo, self.original, self.runtime = Photo(runtime, picture, UNDO_LIMIT), picture, runtime
        self.jpeg_loses = cannot_hold(".jpg", picture)
        self.mask = self.last_mask = self.question = self.protected = self.restoring = None

    def edit(
        self, parameters: EditParameters, on_draft: OnDraft | None = None
    ) -> Generator[Progress, None, FinishedEdit]:
        """One edit, step by step; closing the generator leaves the photo as it was.

        `on_draft` as of `Photo.drag_steps`.
        """
        photo = self.opened()
        if parameters.steps is not None and not 1 <= parameters.steps <= MAX_STEPS:
            raise InputError(f"steps: {parameters.steps} is not between 1 and {MAX_STEPS}")
        before, mask = photo.picture, self.mask
        self.question = None
        if parameters.motion_only:
            yield from ()
            edit = photo.move(parameters.drags, self.mask, parameters.motion, parameters.answer)
        else:
            edit = yield from photo.drag_steps(
                parameters.drags, self.mask, steps=parameters.steps, seed=parameters.seed,
                motion=parameters.motion, answer=parameters.answer, on_draft=on_draft,
            )  # fmt: skip
        self.last_mask, self.mask = edit.mask, None
        if not parameters.motion_only:
            variant = Variant(parameters.motion, parameters.answer)
            self.question = Question(before, parameters.drags, mask, self.protected, variant, edit)
        return FinishedEdit(edit.picture, edit.box, before.pixels, edit, mask is not None)

    def stroke(self, stroke: StrokeParameters) -> Generator[Progress, None, Change]:
        """One stroke of a brush."""
        yield from ()
        self.question = None
        return self.opened().brush(stroke.brush, stroke.path, stroke.radius, stroke.strength)

    def flow(self, box: list[int], grid: list[int]) -> Generator[Progress, None, tuple[Window, np.ndarray]]:
        """Where a part of the photo comes from, at a grid; see `Photo.flow`.

        Args:
            box: left, top, width and height in photo pixels. grid: cells, w and h.
        """
        yield from ()
        photo = self.opened()
        (left, top, width, height), (rows, columns) = box, photo.image.shape[:2]
        if min(width, height) < 1 or left + width > columns or top + height > rows:
            raise InputError(f"box: {box} is not inside the photo of {columns} x {rows} pixels")
        window = Window(top, left, height, width, (grid[1], grid[0]))
        return window, photo.flow(window)

    def answers(self, runtime: Runtime) -> Generator[Progress, None, list[Answer]]:
        """The last edit's answer and others; empty where there is no edit, or they were found before."""
        question, self.question = self.question, None
        yield from self.look_ahead()  # a touch is more likely than a choice
        return [] if question is None else (yield from find_answers(runtime, question))

    def undo(self) -> Generator[Progress, None, Change]:
        yield from ()
        self.question = None
        return self.opened().undo()

    def redo(self) -> Generator[Progress, None, Change]:
        yield from ()
        self.question = None
        return self.opened().redo()

    def motion(self, drags: list[Drag], motion: MotionName, answer: str) -> Generator[Progress, None, Motion]:
        """What a preview shows: the motion that an edit with these drags has."""
        yield from ()
        return self.opened().motion(drags, self.mask, motion, answer)

    def hold(self, point: list[float], answer: str | None = None) -> Generator[Progress, None, Outlines]:
        """The outlines of what moves with a point: of one answer, or of all; a painted mask bounds it."""
        yield from ()
        hold = self.opened().hold(point, self.mask)
        shown = hold.alternatives if answer is None else [hold.answer(answer)]
        return {held.name: outline(held) for held in shown}

    def look_ahead(self) -> Generator[Progress, None, None]:
        """Do now what the first touch of a photo would wait for."""
        yield from ()
        self.opened().look_ahead()

    def paint(self, mask: np.ndarray | None, use: MaskUse = "area") -> Generator[Progress, None, None]:
        """Use a painted mask, [h, w] of the photo's or the page's size, 128 or more = in it, or none.

        Args:
            use: "area", what the next edit may change; "protect", what none may; "restore", what is to be put back.

        Raises:
            InputError: another size, or empty.
        """
        yield from ()
        photo = self.opened()
        height, width = photo.image.shape[:2]
        whole = None if mask is None else self._whole(mask, height, width)
        if use == "area":
            self.mask = whole
        elif use == "restore":
            self.restoring = whole
        else:
            self.protected = whole
            photo.protect(whole)

    def _whole(self, mask: np.ndarray, height: int, width: int) -> np.ndarray:
        """A painted mask as bool [height, width]."""
        if mask.shape not in ((height, width), mask_size(height, width)):
            raise InputError(
                f"mask: {mask.shape[1]} x {mask.shape[0]} pixels; give {width} x {height} as the photo has, "
                "or the mask_width x mask_height of the session"
            )
        if not (mask >= MASK_THRESHOLD).any():
            raise InputError("mask: empty; pixels of 128 or more are the ones that may change")
        return cv2.resize(mask, (width, height), interpolation=cv2.INTER_LINEAR) >= MASK_THRESHOLD

    def restore(self) -> Generator[Progress, None, Change]:
        """Put what was painted to be restored back as it was opened; everything where nothing was painted."""
        yield from ()
        mask, self.restoring, self.question = self.restoring, None, None
        return self.opened().restore(mask)

    def painted(self, use: MaskUse = "area") -> np.ndarray | None:
        """The visitor's mask, for the area the last one used too, at the page's size: uint8 [h, w], 0 or 255."""
        mask = {"area": self.last_mask if self.mask is None else self.mask, "protect": self.protected}.get(use)
        if mask is None:
            return None
        size = mask_size(*mask.shape)[::-1]
        return cv2.resize(mask.astype(np.uint8) * 255, size, interpolation=cv2.INTER_NEAREST)

    def wipe(self) -> None:
        """Drop everything the visitor brought."""
        self.ended = True
        self.photo = self.original = self.runtime = self.mask = self.last_mask = self.question = None
        self.protected = self.restoring = None


def mask_size(height: int, width: int) -> tuple[int, int]:
    """Height and width of the mask that the page paints."""
    rows, columns = view_size(height, width)
    scale = min(MASK_SIDE / max(rows, columns), 1.0)
    return max(round(rows * scale), 1), max(round(columns * scale), 1)


class Sessions:
    """All sessions, by unguessable names; used by the event loop's thread alone."""

    def __init__(self, idle_seconds: float, photo_megapixels: float):
        self._all: dict[str, Session] = {}
        self._idle_seconds = idle_seconds
        self._photo_megapixels = photo_megapixels

    def __len__(self) -> int:
        return len(self._all)

    def __iter__(self) -> Iterator[Session]:
        return iter(tuple(self._all.values()))

    def begin(self) -> Session:
        """A new session. Where there are too many, the oldest without a photo is ended; raises Busy if all have one."""
        if len(self._all) >= MAX_SESSIONS:
            empty = [session for session in self._all.values() if session.photo is None]
            if not empty:
                raise Busy("all places are taken", 10)
            self.end(min(empty, key=lambda session: session.touched))
        session = Session(secrets.token_urlsafe(32))
        self._all[session.id] = session
        return session

    def find(self, name: str) -> Session | None:
        """A session by its name; restarts its idle timeout."""
        session = self._all.get(name)
        if session is not None:
            session.touch()
        return session

    def check_capacity(self, session: Session, megapixels: float) -> None:
        """Raise Busy where a photo of that size would exceed what all sessions together may hold."""
        held = sum(s.size[0] * s.size[1] for s in self._all.values() if s is not session and s.size) / 1e6
        if held + megapixels > self._photo_megapixels:
            raise Busy("the station holds as many photos as it can", 10)

    def end(self, session: Session) -> None:
        """Wipe a session."""
        self._all.pop(session.id, None)
        session.wipe()

    def idle(self) -> list[Session]:
        """Sessions whose idle timeout has passed."""
        limit = time.monotonic() - self._idle_seconds
        return [session for session in self if session.touched < limit]
