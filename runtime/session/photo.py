"""A photo in memory, the drags made on it, and their history."""

from __future__ import annotations

from collections.abc import Callable, Generator, Sequence
from dataclasses import replace
from functools import partial

import numpy as np

from edgedrag.runtime.backends.lru_cache import LruCache
from edgedrag.runtime.codes import Code
from edgedrag.runtime.drag.checks import Checks, check
from edgedrag.runtime.drag.composite import Box, Generated
from edgedrag.runtime.drag.drags import Drags, check_in_mask, check_point
from edgedrag.runtime.drag.motion import MotionName
from edgedrag.runtime.errors import InputError
from edgedrag.runtime.hold.hold import Hold
from edgedrag.runtime.photo.picture import Picture, Source, as_rgb8, describe
from edgedrag.runtime.sampling.sampler import Table, make_table
from edgedrag.runtime.selection.select import Fallback
from edgedrag.runtime.session.arguments import checked_mask, whole_number
from edgedrag.runtime.session.candidates import check_count, distinct, run_to_end, side_by_side
from edgedrag.runtime.session.edit import TOTAL, Change, Edit, Motion, Progress, stage_timings
from edgedrag.runtime.session.history import Entry, History, Start
from edgedrag.runtime.session.opened import Opened
from edgedrag.runtime.session.request import Asked, Preparer, Request, to_generator_size
from edgedrag.runtime.session.variants import ANSWER, MAX_CANDIDATES, variants
from edgedrag.runtime.trace import span, timed

CHANGED = "the photo was changed while this drag ran; drag again"
MadeBy = tuple[str, str, tuple[Fallback, ...]]  # backend, precision, what was tried before them


class Photo:
    """A photo and the edits made on it.

    Each drag builds on the last result, and still samples the pixels of the photo as it was opened.
    """

    def __init__(self, runtime: Opened, picture: Picture, undo_limit: int | None = None):
        """`undo_limit` is the `limit` of the `History`: how many edits can be undone."""
        self._runtime = runtime
        self._picture = picture
        self._references = LruCache()  # tensors of the `reference` stage, by window and pixels
        self._masked = LruCache()  # tensors of the `drag` stage that depend on the mask alone, by these and the mask
        self._history = History(picture.pixels, undo_limit)
        self._opened = picture.pixels
        self._protected: np.ndarray | None = None
        self._preparer = Preparer(runtime.bundle, runtime.stages)

    def __repr__(self) -> str:
        edits = f"{self.undo_count} edit{'' if self.undo_count == 1 else 's'}"
        return f"<Photo {describe(self.image)}, {edits} to undo, {self.redo_count} to redo>"

    @property
    def image(self) -> np.ndarray:
        """The photo as it is now."""
        return self._picture.pixels

    @property
    def picture(self) -> Picture:
        """The photo as it is now with its metadata, to be saved."""
        return self._picture

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
            return self._preparer.hold(start, at, region)

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
    ) -> Generator[Progress, None, Edit]:
        """Like `drag`, as a generator that yields before each step and returns the Edit.

        Closing it cancels the drag; the photo changes only when it has run to its end, and not at all
        where another drag, undo or redo came between (InputError).
        """
        finish = yield from self._made(partial(self._request, Asked(drags, mask, motion, answer)), steps, seed)
        edit = finish()
        self.choose(edit)
        return edit

    def candidates(
        self, drags: Drags, mask: Source | None = None, *, count: int = 3, steps: int | None = None, seed: int = 0
    ) -> list[Edit]:
        """Several answers to one drag, the one most likely worth keeping first; changes nothing.

        Where the runtime moves what is held they differ in what that is and how it moves, elsewhere in their seed.
        Their motions are made side by side before, which is in no edit's `timings`.
        `count` is 1 to MAX_CANDIDATES; fewer come where answers are alike. The rest as in `drag`.
        """
        check_count(count)
        asked = Asked(drags, mask, protected=self._protected)
        if not self._runtime.bundle.moves_held:
            seeds = (self._made(partial(self._request, asked), steps, seed + n) for n in range(MAX_CANDIDATES))
            return distinct(side_by_side(map(run_to_end, seeds), count), count)
        ways = [replace(asked, variant=variant) for variant in variants(mask is not None)]
        requests = self._preparer.prepare_each(self.image, ways, count, self._history.done)
        made = (run_to_end(self._made(one.timed_in, steps, seed)) for one in requests)
        return distinct(side_by_side(made, count), count)

    def choose(self, edit: Edit) -> Change:
        """Make an edit of `candidates` the photo's. Raises InputError where the photo was changed since."""
        if self.image is not edit._before:
            raise InputError(CHANGED)
        self._history.add(edit._entry)
        self._picture = edit.picture
        return Change(edit.picture, edit.box)

    def preview(self, drags: Drags, mask: Source | None = None, motion: MotionName = "auto") -> np.ndarray:
        """The photo with the drag's motion alone, without what a generator would add; changes nothing.

        The motion that `drag` has, but for bundles that make no flow. Raises like `drag`.
        """
        with span("photo.preview", "drag"):
            request = self._request(Asked(drags, mask, motion))
            entry = self._compose(request, self._motion(request))
            return self._with(entry.box, entry.after)

    def motion(
        self, drags: Drags, mask: Source | None = None, motion: MotionName = "auto", answer: str = ANSWER
    ) -> Motion:
        """What `preview` would warp the photo by, without the warp; changes nothing. Raises like `drag`."""
        with span("photo.motion", "drag"):
            request = self._request(Asked(drags, mask, motion, answer))
            flow = self._motion(request).flow if self._runtime.bundle.makes_flow else request.run.held.shown()
            assert flow is not None, "a motion has a flow"
            return Motion(self._preparer.from_now(request, flow), request.run.mask, request.window, request.mask)

    def move(self, drags: Drags, mask: Source | None = None, motion: MotionName = "auto", answer: str = ANSWER) -> Edit:
        """Like `drag`, with the motion alone: what `preview` shows becomes the photo, after 0 steps."""
        timings: dict[str, float] = {}
        with timed(timings, TOTAL, "drag"):
            request = self._request(Asked(drags, mask, motion, answer), timings)
            moved = self._motion(request)
            finished = self._finished(request, moved)
        made_by = (self._runtime.backend.name, self._runtime.precision, self._runtime.fallback)
        edit = self._as_edit(request, moved, finished, (stage_timings(timings), 0, 0), made_by)
        self.choose(edit)
        return edit

    def protect(self, mask: Source | None) -> None:
        """Keep drags from changing what a mask covers (nonzero, as in `drag`) until the next call; None ends it."""
        height, width = self.image.shape[:2]
        self._protected = None if mask is None else checked_mask(mask, height, width)

    def restore(self, mask: Source | None = None) -> Change:
        """Put back as opened what a mask covers (nonzero, as in `drag`), or all; `undo` takes that back."""
        height, width = self.image.shape[:2]
        where = np.ones((height, width), bool) if mask is None else checked_mask(mask, height, width)
        entry = self._history.restore(self.image, where, self._opened)
        self._history.add(entry)
        return self._put(entry.box, entry.after)

    def undo(self) -> Change:
        """Take the last edit back. Raises InputError where there is none."""
        entry = self._history.undo()
        return self._put(entry.box, entry.before)

    def redo(self) -> Change:
        """Make the last undone edit again. Raises InputError where there is none."""
        entry = self._history.redo()
        return self._put(entry.box, entry.after)

    def _put(self, box: Box, pixels: np.ndarray) -> Change:
        """Replace part of the photo."""
        change = self._changed(box, pixels, self._history.is_edited)
        self._picture = change.picture
        return change

    def _changed(self, box: Box, pixels: np.ndarray, edited: bool) -> Change:
        """The photo with a part replaced; it stays as it is."""
        return Change(replace(self._picture, pixels=self._with(box, pixels), edited=edited), box)

    def _with(self, box: Box, pixels: np.ndarray) -> np.ndarray:
        """The photo with a part replaced; arrays handed out earlier stay as they are."""
        with span("copy photo", "copy"):
            whole = self.image.copy()
            whole[box] = pixels
            return whole

    def _request(self, asked: Asked, timings: dict[str, float] | None = None) -> Request:
        """Check a drag on the photo as it is now; `timings` are the run's."""
        asked = replace(asked, protected=self._protected)
        return self._preparer.prepare(self.image, asked, timings, self._history.done)

    def _reference(self, request: Request) -> None:
        """Run the `reference` stage, or take its tensors and those of the mask from the caches."""
        run = request.run
        reference = self._references.find(request.pixels)
        if reference is None:
            run.reference()
            self._references.put(request.pixels, run.tensors)
        else:
            run.tensors.update(reference)
        run.reuse(self._masked.find(request.masked) or {})

    def _motion(self, request: Request) -> Generated:
        """The bundle's flow where its graphs make one, else how what is held moves."""
        if self._runtime.bundle.makes_flow:
            self._reference(request)
        return request.run.motion()

    def _generate(self, request: Request, table: Table, seed: int) -> tuple[Generated, MadeBy]:
        """The generator's result after its last step; made again in a higher precision where it is no picture."""
        run = request.run
        generated = run.with_fixed_change(run.decode(), table, seed)
        stages, fallback = self._runtime.stages, self._runtime.fallback
        with span("fault", "check"):
            fault = generated.fault(run.picture)
        precise = None if fault is None else self._runtime.more_precise()
        if precise is not None:
            fallback = (*fallback, Fallback(stages.backend.name, Code.BAD_OUTPUT, f"{fault} in {stages.precision}"))
            stages = precise
            again = run.on(stages)
            generated = again.run(table, seed)
        return generated, (stages.backend.name, stages.precision, fallback)

    def _compose(self, request: Request, generated: Generated) -> Entry:
        with span("composite", "composite"):
            what = request.window, request.mask, request.points, generated
            return self._history.compose(request.photo, *what, request.start)

    def _made(
        self, prepare: Callable[[dict[str, float]], Request], steps: int | None, seed: int
    ) -> Generator[Progress, None, Callable[[], Edit]]:
        """Run the stages of an edit; yields before each step, and returns what makes the edit of it without an engine.

        `prepare` makes its request, for a run that adds to given timings.
        """
        timings: dict[str, float] = {}
        busy = timed(timings, TOTAL, "drag")  # stopped while the caller has its turn
        with busy:
            steps = None if steps is None else whole_number("steps", steps)
            seed = whole_number("seed", seed)
            table = make_table(self._runtime.bundle.sampler, steps)
            if not 0 <= seed < 2**64:
                raise InputError(f"seed: {seed} is not between 0 and 2^64 - 1")
            request = prepare(timings)
            run = request.run
            self._reference(request)
            run.start(table, seed)
            self._masked.put(request.masked, run.reusable())
        last = len(table.steps) - 1
        for step in range(last + 1):
            yield Progress(step, last + 1)
            with busy:
                run.denoise(table, step)
                if step == last:
                    generated, made_by = self._generate(request, table, seed)

        def finish() -> Edit:
            with busy:
                finished = self._finished(request, generated)
            return self._as_edit(request, generated, finished, (stage_timings(timings), last + 1, seed), made_by)

        return finish

    def _finished(self, request: Request, generated: Generated) -> tuple[Entry, Change, Checks]:
        """Composite and check an edit of the photo as it is."""
        if self.image is not request.photo:
            raise InputError(CHANGED)
        window, run = request.window, request.run
        entry = self._compose(request, generated)
        if not entry.restores:
            entry = replace(entry, held=request.held_after(generated))
        change = self._changed(entry.box, entry.after, edited=True)
        with span("checks", "check"):
            pixel = float(window.scale.mean())
            edited = to_generator_size(as_rgb8(change.image[window.box]), window.size)
            found = check(run.picture, edited, run.mask, run.points, pixel, generated)
            return entry, change, found.on_photo(window)

    def _as_edit(
        self,
        request: Request,
        generated: Generated,
        finished: tuple[Entry, Change, Checks],
        ran: tuple[dict[str, float], int, int],
        made_by: MadeBy,
    ) -> Edit:
        entry, change, checks = finished
        what = (change.picture, change.box, request.mask, checks, *ran, *made_by, request.way[0])
        return Edit(*what, request.window, generated, request.photo, entry)
