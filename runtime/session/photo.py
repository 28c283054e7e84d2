"""A photo in memory, the drags made on it, and their history."""

from __future__ import annotations

from collections.abc import Generator, Sequence

import numpy as np

from edgedrag.runtime.codes import Code
from edgedrag.runtime.drag.checks import Checks, check
from edgedrag.runtime.drag.composite import Generated
from edgedrag.runtime.drag.drags import Drag
from edgedrag.runtime.drag.flow import bidirectional_flow
from edgedrag.runtime.drag.run import DragRun
from edgedrag.runtime.errors import InputError
from edgedrag.runtime.photo.picture import Picture, as_rgb8
from edgedrag.runtime.sampling.sampler import Table, make_table
from edgedrag.runtime.selection.select import Fallback
from edgedrag.runtime.session.edit import TOTAL, Edit, Motion, Progress, stage_timings
from edgedrag.runtime.session.history import Round, Rounds
from edgedrag.runtime.session.lru_cache import Kept
from edgedrag.runtime.session.opened import Opened
from edgedrag.runtime.session.request import Mask, Request, prepare, shrink
from edgedrag.runtime.trace import span, timed

MadeBy = tuple[str, str, tuple[Fallback, ...]]  # backend, precision, the better ones that do not serve


class Photo:
    """A photo and the edits made on it; each drag builds on the last result, and samples the original's pixels."""

    def __init__(self, runtime: Opened, picture: Picture):
        self._runtime = runtime
        self._picture = picture
        self._references = Kept()  # what `reference` made, by window and pixels
        self._masked = Kept()  # what `drag` made of the mask alone, by the same and the mask
        self._rounds = Rounds(picture.pixels)

    @property
    def image(self) -> np.ndarray:
        """The photo as it is now."""
        return self._picture.pixels

    @property
    def picture(self) -> Picture:
        """The photo as it is now with its ICC profile and EXIF, to be saved."""
        return self._picture

    def drag(self, drags: Sequence[Drag], mask: Mask = None, *, steps: int | None = None, seed: int = 0) -> Edit:
        """Move what lies at each handle to its target.

        Args:
            drags: [((handle x, handle y), (target x, target y)), ...] in pixels of the photo as displayed.
            mask: file or array [H, W], nonzero = may change; made from the drags where None.
            steps: denoising steps; the bundle's default where None.
            seed: 0 to 2^64 - 1; the same seed gives the same result.

        Raises:
            InputError: drags, mask, steps or seed that make no sense; says which and why.
        """
        progress = self.drag_steps(drags, mask, steps=steps, seed=seed)
        while True:
            try:
                next(progress)
            except StopIteration as finished:
                return finished.value

    def drag_steps(
        self, drags: Sequence[Drag], mask: Mask = None, *, steps: int | None = None, seed: int = 0
    ) -> Generator[Progress, None, Edit]:
        """Like `drag`, as a generator that yields before each step and returns the Edit.

        Closing it cancels the drag; the photo changes only when it has run to its end, and not at all
        where another drag, undo or redo came between (InputError).
        """
        timings: dict[str, float] = {}
        busy = timed(timings, TOTAL, "drag")  # not while the caller has its turn
        with busy:
            table = make_table(self._runtime.bundle.sampler, steps)
            if not 0 <= seed < 2**64:
                raise InputError(f"seed: {seed} is not between 0 and 2^64 - 1")
            request = self._request(drags, mask, timings)
            run = request.run
            self._reference(request)
            run.start(table, seed)
            self._masked.put(request.masked, run.masked())
        for step in range(len(table.steps)):
            yield Progress(step, len(table.steps))
            with busy:
                run.denoise(table, step)
        with busy:
            generated, made_by = self._picture_of(request, table, seed)
            image, checks = self._finish(request, generated)
        what = (image, request.mask, checks, stage_timings(timings), len(table.steps), seed)
        return Edit(*what, *made_by, request.window, generated)

    def _picture_of(self, request: Request, table: Table, seed: int) -> tuple[Generated, MadeBy]:
        """What the generator made, after its last step; in a higher precision where that is no picture."""
        run = request.run
        generated = run.settled(run.decode(), table, seed)
        stages, fallback = self._runtime.stages, self._runtime.fallback
        with span("fault", "check"):
            fault = generated.fault(run.picture)
        precise = None if fault is None else self._runtime.more_precise()
        if precise is not None:
            fallback = (*fallback, Fallback(stages.backend.name, Code.BAD_OUTPUT, f"{fault} in {stages.precision}"))
            stages = precise
            again = DragRun(self._runtime.bundle, stages, run.picture, run.mask, run.points, run.timings)
            generated = again.whole(table, seed)
        return generated, (stages.backend.name, stages.precision, fallback)

    def preview(self, drags: Sequence[Drag], mask: Mask = None) -> np.ndarray:
        """The photo with the drag's motion alone, without what a generator would add; changes nothing.

        The bundle's flow, or a bidirectional warp where it gives none. Raises like `drag`.
        """
        with span("photo.preview", "drag"):
            request = self._request(drags, mask)
            motion = self._motion(request)
            made = self._compose(request, motion)
            return self._with(made.box, made.after)

    def motion(self, drags: Sequence[Drag], mask: Mask = None) -> Motion:
        """What `preview` would warp the photo by, without the warp; changes nothing. Raises like `drag`."""
        with span("photo.motion", "drag"):
            request = self._request(drags, mask)
            flow = self._motion(request).flow
            assert flow is not None, "a motion has a flow"
            return Motion(flow * request.window.scale, request.run.mask, request.window, request.mask)

    def move(self, drags: Sequence[Drag], mask: Mask = None) -> Edit:
        """Like `drag`, with the motion alone: what `preview` shows becomes the photo, after 0 steps."""
        timings: dict[str, float] = {}
        with timed(timings, TOTAL, "drag"):
            request = self._request(drags, mask, timings)
            motion = self._motion(request)
            image, checks = self._finish(request, motion)
        made_by = (self._runtime.backend.name, self._runtime.precision, self._runtime.fallback)
        return Edit(image, request.mask, checks, stage_timings(timings), 0, 0, *made_by, request.window, motion)

    def undo(self) -> np.ndarray:
        """Take the last drag back; returns the photo as it is then. Raises InputError where there is none."""
        last = self._rounds.undo()
        return self._put(last.box, last.before)

    def redo(self) -> np.ndarray:
        """Make an undone drag again; returns the photo as it is then. Raises InputError where there is none."""
        again = self._rounds.redo()
        return self._put(again.box, again.after)

    def _put(self, box: tuple[slice, slice], pixels: np.ndarray) -> np.ndarray:
        """Replace part of the photo."""
        whole = self._with(box, pixels)
        self._picture = Picture(whole, self._picture.icc, self._picture.exif)
        return whole

    def _with(self, box: tuple[slice, slice], pixels: np.ndarray) -> np.ndarray:
        """The photo with a part replaced; arrays handed out earlier stay as they are."""
        with span("copy photo", "copy"):
            whole = self.image.copy()
            whole[box] = pixels
            return whole

    def _request(self, drags: Sequence[Drag], mask: Mask, timings: dict[str, float] | None = None) -> Request:
        """Check a drag on the photo as it is now; `timings` are the run's."""
        return prepare(self._runtime.bundle, self._runtime.stages, self.image, drags, mask, timings)

    def _reference(self, request: Request) -> None:
        """Give the run its `reference` stage and what depends on its mask alone, where these were seen before."""
        run = request.run
        reference = self._references.find(request.pixels)
        if reference is None:
            run.reference()
            self._references.put(request.pixels, run.tensors)
        else:
            run.tensors.update(reference)
        run.keep(self._masked.find(request.masked) or {})

    def _motion(self, request: Request) -> Generated:
        """The bundle's flow, or a bidirectional one where it gives none."""
        run = request.run
        if not self._runtime.bundle.gives_flow:
            return Generated(None, bidirectional_flow(run.points, run.mask)[0], None)
        self._reference(request)
        return run.motion()

    def _compose(self, request: Request, generated: Generated) -> Round:
        with span("composite", "composite"):
            return self._rounds.compose(request.photo, request.window, request.mask, request.points, generated)

    def _finish(self, request: Request, generated: Generated) -> tuple[np.ndarray, Checks]:
        """Composite, check, and enter the edit into the history; returns the edited photo and its checks."""
        if self.image is not request.photo:
            raise InputError("the photo was changed while this drag ran; drag again")
        window, run = request.window, request.run
        made = self._compose(request, generated)
        self._rounds.enter(made)
        image = self._put(made.box, made.after)
        with span("checks", "check"):
            pixel, edited = float(window.scale.mean()), shrink(as_rgb8(image[window.box]), window.size)
            return image, check(run.picture, edited, run.mask, run.points, pixel, generated)
