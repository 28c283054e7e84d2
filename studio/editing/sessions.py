"""Visitors' sessions: a photo in memory, its edits, and nothing on disk.

What touches a photo is a generator, run by the engine's thread; so a session needs no lock.
"""

from __future__ import annotations

import math
import secrets
import time
from collections.abc import Generator, Iterator
from dataclasses import dataclass, field

import cv2
import numpy as np

from edgedrag.runtime.drag.composite import box_of
from edgedrag.runtime.drag.drags import Drag
from edgedrag.runtime.errors import InputError
from edgedrag.runtime.photo.picture import Picture
from edgedrag.runtime.session.edit import Edit, Motion, Progress
from edgedrag.runtime.session.photo import Photo
from edgedrag.runtime.session.runtime import Runtime
from edgedrag.studio.editing.frames import Box, view_size
from edgedrag.studio.editing.worker import Busy

LONGEST_HISTORY = 24  # edits that can be undone; a further one makes the picture as it is the new original
MASK_SIDE = 1024  # pixels, of the mask that the page paints, at most
MOST_SESSIONS = 64  # each holds some 20 MB beside its photo; those without a photo make room
MAX_STEPS = 1000
NEAR = 0.015  # of the photo's longer side: so far a pull may go on before a preview's automatic mask is found anew
HALF = 128  # from this grey on, a painted mask's pixel may change


@dataclass(frozen=True)
class Wish:
    """An edit as a visitor asks for it; `motion_only` leaves out what a generator would add."""

    drags: list[Drag]
    motion_only: bool = False
    steps: int | None = None
    seed: int = 0


@dataclass(frozen=True)
class Change:
    """What an edit, undo or redo did to the picture: what it is now, and the part of it that differs."""

    picture: Picture
    box: Box


@dataclass(frozen=True)
class Edited(Change):
    """A finished edit: the pixels before it, and whether its mask was painted."""

    before: np.ndarray
    edit: Edit
    painted: bool


@dataclass(eq=False)
class Session:
    """One visitor. `mask`, bool [H, W], is what the visitor painted; `last_mask` what was last used."""

    id: str
    touched: float = field(default_factory=time.monotonic)
    photo: Photo | None = None
    original: Picture | None = None
    mask: np.ndarray | None = None
    last_mask: np.ndarray | None = None
    found: tuple[np.ndarray, list[Drag], np.ndarray] | None = None  # picture, drags and mask of the last such preview
    done: list[Box] = field(default_factory=list)
    undone: list[Box] = field(default_factory=list)
    ended: bool = False

    def touch(self) -> None:
        """Put off the idle wipe."""
        self.touched = time.monotonic()

    def opened(self) -> Photo:
        """The photo. Raises InputError where there is none yet."""
        if self.photo is None:
            raise InputError("no photo yet: send one first")
        return self.photo

    @property
    def size(self) -> tuple[int, int] | None:
        """Height and width of the photo."""
        return None if self.photo is None else self.photo.image.shape[:2]

    def open(self, runtime: Runtime, picture: Picture) -> Generator[Progress, None, None]:
        """Put another photo in; its edits begin anew."""
        yield from ()
        self.photo, self.original = Photo(runtime, picture), picture
        self.mask = self.last_mask = self.found = None
        self.done, self.undone = [], []

    def edit(self, runtime: Runtime, wish: Wish) -> Generator[Progress, None, Edited]:
        """One edit, step by step; closing the generator leaves the photo as it was."""
        photo = self.opened()
        if wish.steps is not None and not 1 <= wish.steps <= MAX_STEPS:
            raise InputError(f"steps: {wish.steps} is not between 1 and {MAX_STEPS}")
        if len(self.done) >= LONGEST_HISTORY:
            photo = self.photo = Photo(runtime, photo.picture)
            self.done, self.undone = [], []
        before, painted = photo.image, self.mask is not None
        if wish.motion_only:
            yield from ()
            edit = photo.move(wish.drags, self.mask)
        else:
            edit = yield from photo.drag_steps(wish.drags, self.mask, steps=wish.steps, seed=wish.seed)
        self.last_mask, self.mask = edit.mask, None
        self.done.append(box_of(edit.mask))
        self.undone.clear()
        return Edited(photo.picture, self.done[-1], before, edit, painted)

    def undo(self) -> Generator[Progress, None, Change]:
        yield from ()
        photo = self.opened()
        photo.undo()
        self.undone.append(self.done.pop())
        return Change(photo.picture, self.undone[-1])

    def redo(self) -> Generator[Progress, None, Change]:
        yield from ()
        photo = self.opened()
        photo.redo()
        self.done.append(self.undone.pop())
        return Change(photo.picture, self.done[-1])

    def motion(self, drags: list[Drag]) -> Generator[Progress, None, Motion]:
        """What a preview shows. An automatic mask serves further previews until the finger has gone some way on."""
        yield from ()
        photo = self.opened()
        if self.mask is not None:
            return photo.motion(drags, self.mask)
        image, known, region = self.found or (None, [], None)
        near = image is photo.image and _near(drags, known, NEAR * max(photo.image.shape[:2]))
        motion = photo.motion(drags, region if near else None)
        if not near:
            self.found = (photo.image, drags, motion.region)
        return motion

    def paint(self, mask: np.ndarray | None) -> Generator[Progress, None, None]:
        """Use a mask from now on, or none: [h, w] of the photo's size or the page's, 128 or more = may change.

        Raises:
            InputError: another size, or empty.
        """
        yield from ()
        height, width = self.opened().image.shape[:2]
        if mask is None:
            self.mask = None
            return
        if mask.shape not in ((height, width), mask_size(height, width)):
            raise InputError(
                f"mask: {mask.shape[1]} x {mask.shape[0]} pixels; give {width} x {height} as the photo has, "
                "or the mask_width x mask_height of the session"
            )
        if not (mask >= HALF).any():
            raise InputError("mask: empty; pixels of 128 or more are the ones that may change")
        self.mask = cv2.resize(mask, (width, height), interpolation=cv2.INTER_LINEAR) >= HALF

    def painted(self) -> np.ndarray | None:
        """The visitor's mask, or the last one used, at the page's size: uint8 [h, w], 0 or 255."""
        mask = self.last_mask if self.mask is None else self.mask
        if mask is None:
            return None
        size = mask_size(*mask.shape)[::-1]
        return cv2.resize(mask.astype(np.uint8) * 255, size, interpolation=cv2.INTER_NEAREST)

    def forget(self) -> None:
        """Let go of everything the visitor brought."""
        self.ended = True
        self.photo = self.original = self.mask = self.last_mask = self.found = None
        self.done, self.undone = [], []


def _near(drags: list[Drag], known: list[Drag], reach: float) -> bool:
    """Whether drags have the same handles, and targets no farther than `reach` from those of others."""
    return len(drags) == len(known) and all(
        handle == old_handle and math.dist(target, old_target) <= reach
        for (handle, target), (old_handle, old_target) in zip(drags, known)
    )


def mask_size(height: int, width: int) -> tuple[int, int]:
    """Height and width of the mask that the page paints."""
    rows, columns = view_size(height, width)
    scale = min(MASK_SIDE / max(rows, columns), 1.0)
    return max(round(rows * scale), 1), max(round(columns * scale), 1)


class Sessions:
    """All sessions, by names nobody can guess; only the event loop's thread uses it."""

    def __init__(self, idle_seconds: float, photo_megapixels: float):
        self._all: dict[str, Session] = {}
        self._idle_seconds = idle_seconds
        self._photo_megapixels = photo_megapixels

    def __len__(self) -> int:
        return len(self._all)

    def __iter__(self) -> Iterator[Session]:
        return iter(tuple(self._all.values()))

    def begin(self) -> Session:
        """A new session; where there are too many, one without a photo makes room, or Busy is raised."""
        if len(self._all) >= MOST_SESSIONS:
            empty = [session for session in self._all.values() if session.photo is None]
            if not empty:
                raise Busy("all places are taken", 10)
            self.end(min(empty, key=lambda session: session.touched))
        session = Session(secrets.token_urlsafe(32))
        self._all[session.id] = session
        return session

    def find(self, name: str) -> Session | None:
        """A session by its name, which counts as a touch."""
        session = self._all.get(name)
        if session is not None:
            session.touch()
        return session

    def check_room(self, session: Session, megapixels: float) -> None:
        """Raises Busy where a photo of that size would be more than all sessions may hold together."""
        held = sum(s.size[0] * s.size[1] for s in self._all.values() if s is not session and s.size) / 1e6
        if held + megapixels > self._photo_megapixels:
            raise Busy("the station holds as many photos as it can", 10)

    def end(self, session: Session) -> None:
        """Wipe a session."""
        self._all.pop(session.id, None)
        session.forget()

    def idle(self) -> list[Session]:
        """Those that nobody touched for too long."""
        limit = time.monotonic() - self._idle_seconds
        return [session for session in self if session.touched < limit]
