"""A photo in memory, the drags made on it, and their history."""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import replace

import numpy as np

from edgedrag.runtime.codes import Code
from edgedrag.runtime.drag.checks import Checks, check
from edgedrag.runtime.drag.composite import Box, Generated
from edgedrag.runtime.drag.drags import Drags
from edgedrag.runtime.drag.flow import bidirectional_flow
from edgedrag.runtime.drag.run import DragRun
from edgedrag.runtime.errors import InputError
from edgedrag.runtime.photo.picture import Picture, Source, as_rgb8, describe
from edgedrag.runtime.sampling.sampler import Table, make_table
from edgedrag.runtime.selection.select import Fallback
from edgedrag.runtime.session.edit import TOTAL, Change, Edit, Motion, Progress, stage_timings
from edgedrag.runtime.session.history import Entry, History
from edgedrag.runtime.session.lru_cache import LruCache
from edgedrag.runtime.session.opened import Opened
from edgedrag.runtime.session.request import Request, prepare, shrink, whole_number
from edgedrag.runtime.trace import span, timed

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

    def drag(self, drags: Drags, mask: Source | None = None, *, steps: int | None = None, seed: int = 0) -> Edit:
        """Move what lies at each handle to its target.

        Args:
            drags: [((handle x, handle y), (target x, target y)), ...] in pixels of the photo as displayed; lists,
                tuples or arrays [N, 2, 2] or [N, 4].
            mask: nonzero = may change; a file, bytes or picture as `Runtime.load` takes them, or an array [H, W]
                of the photo's size. Made from the drags where None.
            steps: denoising steps; the bundle's default where None.
            seed: 0 to 2^64 - 1; the same seed gives the same result.

        Raises:
            InputError: drags, mask, steps or seed that cannot be used; says which and why.
        """
        progress = self.drag_steps(drags, mask, steps=steps, seed=seed)
        while True:
            try:
                next(progress)
            except StopIteration as finished:
                return finished.value

    def drag_steps(
        self, drags: Drags, mask: Source | None = None, *, steps: int | None = None, seed: int = 0
    ) -> Generator[Progress, None, Edit]:
        """Like `drag`, as a generator that yields before each step and returns the Edit.

        Closing it cancels the drag; the photo changes only when it has run to its end, and not at all
        where another drag, undo or redo came between (InputError).
        """
        timings: dict[str, float] = {}
        busy = timed(timings, TOTAL, "drag")  # stopped while the caller has its turn
        with busy:
            steps = None if steps is None else whole_number("steps", steps)
            seed = whole_number("seed", seed)
            table = make_table(self._runtime.bundle.sampler, steps)
            if not 0 <= seed < 2**64:
                raise InputError(f"seed: {seed} is not between 0 and 2^64 - 1")
            request = self._request(drags, mask, timings)
            run = request.run
            self._reference(request)
            run.start(table, seed)
            self._masked.put(request.masked, run.reusable())
        for step in range(len(table.steps)):
            yield Progress(step, len(table.steps))
            with busy:
                run.denoise(table, step)
        with busy:
            generated, made_by = self._generate(request, table, seed)
            change, checks = self._finish(request, generated)
        what = (change.picture, change.box, request.mask, checks, stage_timings(timings), len(table.steps), seed)
        return Edit(*what, *made_by, request.window, generated)

    def preview(self, drags: Drags, mask: Source | None = None) -> np.ndarray:
        """The photo with the drag's motion alone, without what a generator would add; changes nothing.

        The bundle's flow, or a bidirectional warp where it gives none. Raises like `drag`.
        """
        with span("photo.preview", "drag"):
            request = self._request(drags, mask)
            entry = self._compose(request, self._motion(request))
            return self._with(entry.box, entry.after)

    def motion(self, drags: Drags, mask: Source | None = None) -> Motion:
        """What `preview` would warp the photo by, without the warp; changes nothing. Raises like `drag`."""
        with span("photo.motion", "drag"):
            request = self._request(drags, mask)
            flow = self._motion(request).flow
            assert flow is not None, "a motion has a flow"
            return Motion(flow * request.window.scale, request.run.mask, request.window, request.mask)

    def move(self, drags: Drags, mask: Source | None = None) -> Edit:
        """Like `drag`, with the motion alone: what `preview` shows becomes the photo, after 0 steps."""
        timings: dict[str, float] = {}
        with timed(timings, TOTAL, "drag"):
            request = self._request(drags, mask, timings)
            motion = self._motion(request)
            change, checks = self._finish(request, motion)
        what = (change.picture, change.box, request.mask, checks, stage_timings(timings), 0, 0)
        made_by = (self._runtime.backend.name, self._runtime.precision, self._runtime.fallback)
        return Edit(*what, *made_by, request.window, motion)

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
        edited = self._history.is_edited
        self._picture = replace(self._picture, pixels=self._with(box, pixels), edited=edited)
        return Change(self._picture, box)

    def _with(self, box: Box, pixels: np.ndarray) -> np.ndarray:
        """The photo with a part replaced; arrays handed out earlier stay as they are."""
        with span("copy photo", "copy"):
            whole = self.image.copy()
            whole[box] = pixels
            return whole

    def _request(self, drags: Drags, mask: Source | None, timings: dict[str, float] | None = None) -> Request:
        """Check a drag on the photo as it is now; `timings` are the run's."""
        return prepare(self._runtime.bundle, self._runtime.stages, self.image, drags, mask, timings)

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
        """The bundle's flow, or a bidirectional one where it gives none."""
        run = request.run
        if not self._runtime.bundle.gives_flow:
            return Generated(None, bidirectional_flow(run.points, run.mask)[0], None)
        self._reference(request)
        return run.motion()

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
            again = DragRun(self._runtime.bundle, stages, run.picture, run.mask, run.points, run.timings)
            generated = again.run(table, seed)
        return generated, (stages.backend.name, stages.precision, fallback)

    def _compose(self, request: Request, generated: Generated) -> Entry:
        with span("composite", "composite"):
            return self._history.compose(request.photo, request.window, request.mask, request.points, generated)

    def _finish(self, request: Request, generated: Generated) -> tuple[Change, Checks]:
        """Composite, add the edit to the history, and check it."""
        if self.image is not request.photo:
            raise InputError("the photo was changed while this drag ran; drag again")
        window, run = request.window, request.run
        entry = self._compose(request, generated)
        self._history.add(entry)
        change = self._put(entry.box, entry.after)
        with span("checks", "check"):
            pixel, edited = float(window.scale.mean()), shrink(as_rgb8(change.image[window.box]), window.size)
            return change, check(run.picture, edited, run.mask, run.points, pixel, generated)
