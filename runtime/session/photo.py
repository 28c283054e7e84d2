"""A photo in memory, the drags made on it, and their history."""

from __future__ import annotations

from collections.abc import Generator, Sequence
from dataclasses import replace

import numpy as np

from edgedrag.runtime.drag.brush import BrushName, StrokePath, check_stroke
from edgedrag.runtime.drag.drags import Drags, check_in_mask, check_point
from edgedrag.runtime.drag.motion_names import MotionName
from edgedrag.runtime.errors import InputError
from edgedrag.runtime.hold.hold import Hold
from edgedrag.runtime.photo.picture import Picture, Source, describe
from edgedrag.runtime.photo.window import Window
from edgedrag.runtime.session.arguments import checked_mask
from edgedrag.runtime.session.brush import brushed, flow_of
from edgedrag.runtime.session.candidates import check_count, distinct, run_to_end
from edgedrag.runtime.session.draft import OnDraft
from edgedrag.runtime.session.edit import Change, Edit, Motion, Progress
from edgedrag.runtime.session.edit_maker import CHANGED, EditMaker
from edgedrag.runtime.session.history import History, Start
from edgedrag.runtime.session.opened import Opened
from edgedrag.runtime.session.request import Asked
from edgedrag.runtime.session.state import PhotoState
from edgedrag.runtime.session.variants import ANSWER, MAX_CANDIDATES, variants
from edgedrag.runtime.trace import span


class Photo:
    """A photo and the edits made on it.

    Each drag builds on the last result, and still samples the pixels of the photo as it was opened.
    """

    def __init__(self, runtime: Opened, picture: Picture, undo_limit: int | None = None):
        """`undo_limit` is the `limit` of the `History`: how many edits can be undone."""
        self._bundle = runtime.bundle
        self._opened = picture.pixels
        self._history = History(picture.pixels, undo_limit)
        self._state = PhotoState(picture, self._history)
        self._maker = EditMaker(runtime, self._state)

    def __repr__(self) -> str:
        edits = f"{self.undo_count} edit{'' if self.undo_count == 1 else 's'}"
        return f"<Photo {describe(self.image)}, {edits} to undo, {self.redo_count} to redo>"

    @property
    def image(self) -> np.ndarray:
        """The photo as it is now."""
        return self._state.image

    @property
    def picture(self) -> Picture:
        """The photo as it is now with its metadata, to be saved."""
        return self._state.picture

    @property
    def undo_count(self) -> int:
        """How many edits can be undone."""
        return self._history.undo_count

    @property
    def redo_count(self) -> int:
        """How many undone edits can be made again."""
        return self._history.redo_count

    def hold(self, point: Sequence[float] | np.ndarray, mask: Source | None = None) -> Hold:
        """What moves with a point, wherever it is pulled to; changes nothing.

        Args:
            point: x and y in pixels of the photo as displayed.
            mask: bounds what is held; nonzero = may move, otherwise as in `drag`.

        Raises:
            InputError: a point or mask that cannot be used, or a point outside the mask; says which and why.
        """
        with span("photo.hold", "drag"):
            height, width = self.image.shape[:2]
            at = check_point(point, height, width)
            region = None
            if mask is not None:
                region = checked_mask(mask, height, width)
                check_in_mask(at, region, "point")
            start = Start(self.image, self._history.done, at[None])
            return self._maker.preparer.hold(start, at, region)

    def look_ahead(self) -> None:
        """Do now what the first hold on the photo as it is now would wait for, wherever its point is."""
        with span("photo.look_ahead", "drag"):
            self._maker.preparer.look_ahead(self.image)

    def drag(
        self,
        drags: Drags,
        mask: Source | None = None,
        *,
        steps: int | None = None,
        seed: int = 0,
        motion: MotionName = "auto",
        answer: str = ANSWER,
    ) -> Edit:
        """Move what lies at each handle to its target.

        Args:
            drags: [((handle x, handle y), (target x, target y)), ...] in pixels of the photo as displayed; lists,
                tuples or arrays [N, 2, 2] or [N, 4]. One that ends where it begins is a pin: what it holds stays.
            mask: nonzero = may change; a file, bytes or picture as `Runtime.load` takes them, or an array [H, W]
                of the photo's size. What the drags hold and where it goes, where None.
            steps: denoising steps; the bundle's default where None.
            seed: 0 to 2^64 - 1; the same seed gives the same result.
            motion: of what is held, one of `MOTIONS`; not for bundles whose graphs move by themselves.
            answer: what each drag holds where there is no mask, a name of `Hold.alternatives`.

        Raises:
            InputError: drags, mask, steps, seed, motion or answer that cannot be used; says which and why.
        """
        return run_to_end(self.drag_steps(drags, mask, steps=steps, seed=seed, motion=motion, answer=answer))

    def drag_steps(
        self,
        drags: Drags,
        mask: Source | None = None,
        *,
        steps: int | None = None,
        seed: int = 0,
        motion: MotionName = "auto",
        answer: str = ANSWER,
        on_draft: OnDraft | None = None,
    ) -> Generator[Progress, None, Edit]:
        """Like `drag`, as a generator that yields before each step and returns the Edit.

        Closing it cancels the drag; the photo changes only when it has run to its end, and not at all
        where another drag, undo or redo came between (InputError). `on_draft` is called with a `Draft` of it
        once the generator is done, before the photo's own pixels are made.
        """
        edit = yield from self._maker.generated(Asked(drags, mask, motion, answer), steps, seed, on_draft)
        self.choose(edit)
        return edit

    def candidates(
        self, drags: Drags, mask: Source | None = None, *, count: int = 3, steps: int | None = None, seed: int = 0
    ) -> list[Edit]:
        """Several answers to one drag, the one most likely worth keeping first; changes nothing.

        Where the runtime moves what is held, the first is what `drag` gives, and the others differ in what is held and
        how it moves. They are the motion alone, as `move` makes it, after 0 steps, and are made beside the first.
        Elsewhere answers differ in their seed.
        `count` is 1 to MAX_CANDIDATES; fewer come where answers are alike. The rest as in `drag`.
        """
        check_count(count)
        asked = Asked(drags, mask)
        if not self._bundle.moves_held:
            seeds = (seed + number for number in range(MAX_CANDIDATES))
            return distinct(self._maker.seeds(asked, count, steps, seeds), count)
        ways = [replace(asked, variant=variant) for variant in variants(mask is not None)]
        return distinct(self._maker.candidates(ways, count, steps, seed), count)

    def choose(self, edit: Edit) -> Change:
        """Make an edit of `candidates` the photo's. Raises InputError where the photo was changed since."""
        if self.image is not edit._before:
            raise InputError(CHANGED)
        self._history.add(edit._entry)
        self._state.picture = edit.picture
        return Change(edit.picture, edit.box)

    def preview(self, drags: Drags, mask: Source | None = None, motion: MotionName = "auto") -> np.ndarray:
        """The photo with the drag's motion alone, without what a generator would add; changes nothing.

        The motion that `drag` has, but for bundles that make no flow. Raises like `drag`.
        """
        with span("photo.preview", "drag"):
            request = self._maker.request(Asked(drags, mask, motion))
            entry = self._maker.compose(request, self._maker.motion(request))
            return self._state.with_part(entry.box, entry.after)

    def motion(
        self, drags: Drags, mask: Source | None = None, motion: MotionName = "auto", answer: str = ANSWER
    ) -> Motion:
        """What `preview` would warp the photo by, without the warp; changes nothing. Raises like `drag`."""
        with span("photo.motion", "drag"):
            request = self._maker.request(Asked(drags, mask, motion, answer))
            flow = self._maker.motion(request).flow if self._bundle.makes_flow else request.run.held.shown()
            assert flow is not None, "a motion has a flow"
            return Motion(
                self._maker.preparer.from_now(request, flow), request.run.mask, request.window, request.region
            )

    def move(self, drags: Drags, mask: Source | None = None, motion: MotionName = "auto", answer: str = ANSWER) -> Edit:
        """Like `drag`, with the motion alone: what `preview` shows becomes the photo, after 0 steps."""
        edit = self._maker.moved(Asked(drags, mask, motion, answer))
        self.choose(edit)
        return edit

    def protect(self, mask: Source | None) -> None:
        """Keep drags from changing what a mask covers (nonzero, as in `drag`) until the next call; None ends it."""
        height, width = self.image.shape[:2]
        self._state.protected = None if mask is None else checked_mask(mask, height, width)

    def restore(self, mask: Source | None = None) -> Change:
        """Put back as opened what a mask covers (nonzero, as in `drag`), or all; `undo` takes that back."""
        height, width = self.image.shape[:2]
        where = np.ones((height, width), bool) if mask is None else checked_mask(mask, height, width)
        entry = self._history.restore(self.image, where, self._opened)
        self._history.add(entry)
        return self._state.put(entry.box, entry.after)

    def brush(self, brush: BrushName, path: StrokePath, radius: float, strength: float = 1.0) -> Change:
        """Make one stroke of a brush; `undo` takes it back, and further edits build on it.

        Args:
            brush: "push": what lies under the brush goes along. "grow", "shrink": it gets larger or smaller around the
                path. "smooth": what earlier edits moved there is evened out.
            path: [(x, y), ...] in pixels of the photo as displayed, 1 to MAX_POINTS of them, or an array [N, 2];
                points may lie beside the photo. For all but "push", one point is a dab, and a point that is repeated
                is a dab more.
            radius: of the brush, in pixels of the photo, from 1 to its longer side; nothing beyond it changes.
            strength: above 0, up to 1.

        Raises:
            InputError: a value that cannot be used, a stroke that moves nothing or where all is protected.
        """
        with span("photo.brush", "drag"):
            stroke = check_stroke(brush, path, radius, strength, *self.image.shape[:2])
            entry = brushed(self._history, self.image, self._state.protected, stroke)
            self._history.add(entry)
            return self._state.put(entry.box, entry.after)

    def flow(self, window: Window) -> np.ndarray:
        """Where what the photo shows comes from in the photo as it was opened, at the grid of a window (its `size`):
        a backward flow, float32 [H, W, 2] in photo pixels. Edits that the history dropped do not count."""
        return flow_of(self._history, window)

    def undo(self) -> Change:
        """Take the last edit back. Raises InputError where there is none."""
        entry = self._history.undo()
        return self._state.put(entry.box, entry.before)

    def redo(self) -> Change:
        """Make the last undone edit again. Raises InputError where there is none."""
        entry = self._history.redo()
        return self._state.put(entry.box, entry.after)
