"""Running one edit on a photo: its request, the stages, the composite, the checks."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial

from edgedrag.runtime.backends.lru_cache import LruCache
from edgedrag.runtime.codes import Code
from edgedrag.runtime.drag.checks import Checks, check
from edgedrag.runtime.drag.composite import Generated
from edgedrag.runtime.errors import InputError
from edgedrag.runtime.photo.picture import as_rgb8
from edgedrag.runtime.sampling.sampler import Table, make_table
from edgedrag.runtime.selection.select import Fallback
from edgedrag.runtime.session.arguments import whole_number
from edgedrag.runtime.session.candidates import run_to_end, side_by_side
from edgedrag.runtime.session.draft import Draft, OnDraft
from edgedrag.runtime.session.edit import TOTAL, Change, Edit, Progress, stage_timings
from edgedrag.runtime.session.generator_size import to_generator_size
from edgedrag.runtime.session.history import Entry
from edgedrag.runtime.session.opened import Opened
from edgedrag.runtime.session.request import Asked, Preparer, Request
from edgedrag.runtime.session.state import PhotoState
from edgedrag.runtime.trace import span, timed

CHANGED = "the photo was changed while this drag ran; drag again"


@dataclass(frozen=True)
class MadeBy:
    """What made an edit, and what was tried before; see `Edit`."""

    backend: str
    precision: str
    fallback: tuple[Fallback, ...]


class EditMaker:
    """Makes edits of a photo; none of them changes it."""

    def __init__(self, runtime: Opened, state: PhotoState):
        self.preparer = Preparer(runtime.bundle, runtime.stages)
        self._runtime, self._state = runtime, state
        self._references = LruCache()  # tensors of the `reference` stage, by window and pixels
        self._masked = LruCache()  # tensors of the `drag` stage that depend on the mask alone, by these and the mask

    def request(self, asked: Asked, timings: dict[str, float] | None = None) -> Request:
        """Check a drag on the photo as it is now; `timings` are the run's."""
        asked = replace(asked, protected=self._state.protected)
        return self.preparer.prepare(self._state.image, asked, timings, self._state.history.done)

    def motion(self, request: Request) -> Generated:
        """The bundle's flow where its graphs make one, else how what is held moves."""
        if self._runtime.bundle.makes_flow:
            self._reference(request)
        return request.run.motion()

    def compose(self, request: Request, generated: Generated) -> Entry:
        """What an edit puts in the photo."""
        with span("composite", "composite"):
            what = request.window, request.mask, request.points, generated
            return self._state.history.compose(request.photo, *what, request.start)

    def moved(self, asked: Asked) -> Edit:
        """An edit of the motion alone, after 0 steps."""
        return self._moved(self._begun(asked))

    def _begun(self, asked: Asked) -> Request:
        """A drag's request, with the time that it took."""
        timings: dict[str, float] = {}
        with timed(timings, TOTAL, "drag"):
            return self.request(asked, timings)

    def _moved(self, request: Request) -> Edit:
        """An edit of a request's motion alone."""
        with timed(request.run.timings, TOTAL, "drag"):
            finished = self._finished(request, self.motion(request))
        made_by = MadeBy(self._runtime.backend.name, self._runtime.precision, self._runtime.fallback)
        return finished.edit(request.run.timings, 0, 0, made_by)

    def generated(
        self, asked: Asked, steps: int | None, seed: int, on_draft: OnDraft | None = None
    ) -> Generator[Progress, None, Edit]:
        """An edit of all stages; yields before each step, and calls `on_draft` before all pixels are made."""
        finish = yield from self._run(partial(self.request, asked), steps, seed, on_draft)
        return finish()

    def candidates(self, ways: Sequence[Asked], count: int, steps: int | None, seed: int) -> list[Edit]:
        """Up to `count` edits: of the first way, and of the motion alone in the next ones that move otherwise.

        These are made beside the first one's graphs, and each is finished beside the next one's motion.
        """
        from concurrent.futures import Future, ThreadPoolExecutor  # here: see candidates.py

        with ThreadPoolExecutor(2) as beside:
            others: list[Future[list[Future[Edit]]]] = []

            def prepare(timings: dict[str, float]) -> Request:
                request = self.request(ways[0], timings)
                others.append(beside.submit(moved_otherwise, request))
                return request

            def moved_otherwise(first: Request) -> list[Future[Edit]]:
                return [beside.submit(self._moved, other) for other in self._otherwise(first, ways[1:], count - 1)]

            first = run_to_end(self._run(prepare, steps, seed))()
            return [first, *(edit.result() for edit in others[0].result())]

    def _otherwise(self, first: Request, ways: Sequence[Asked], count: int) -> Iterator[Request]:
        """Up to `count` requests of ways that move otherwise than a first one and than each other."""
        requests = [first]
        for way in ways:
            if len(requests) > count:
                return
            try:
                other = self._begun(way)
            except InputError:  # all that this answer could change is protected; all else was checked with the first
                continue
            if not any(map(other.moves_like, requests)):
                requests.append(other)
                yield other

    def seeds(self, asked: Asked, count: int, steps: int | None, seeds: Iterable[int]) -> Iterator[Edit]:
        """An edit of each seed in turn."""
        request = partial(self.request, asked)
        return side_by_side((run_to_end(self._run(request, steps, seed)) for seed in seeds), count)

    def _run(
        self,
        prepare: Callable[[dict[str, float]], Request],
        steps: int | None,
        seed: int,
        on_draft: OnDraft | None = None,
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

        if on_draft is not None and generated.is_finite() and not self._restores(request):
            on_draft(Draft(request, generated))

        def finish() -> Edit:
            with busy:
                finished = self._finished(request, generated)
            return finished.edit(timings, last + 1, seed, made_by)

        return finish

    def _restores(self, request: Request) -> bool:
        """Whether a drag may put back what was there before an earlier one."""
        return self._state.history.may_restore(request.window, request.points, request.start)

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
            generated = run.on(stages).run(table, seed)
        return generated, MadeBy(stages.backend.name, stages.precision, fallback)

    def _finished(self, request: Request, generated: Generated) -> Finished:
        """Composite and check an edit of the photo as it is."""
        if self._state.image is not request.photo:
            raise InputError(CHANGED)
        window, run = request.window, request.run
        entry = self.compose(request, generated)
        if not entry.restores:
            entry = replace(entry, held=request.held_after(generated))
        change = self._state.changed(entry.box, entry.after, edited=True)
        with span("checks", "check"):
            pixel = float(window.scale.mean())
            edited = to_generator_size(as_rgb8(change.image[window.box]), window.size)
            found = check(run.picture, edited, run.mask, run.points, pixel, generated)
            return Finished(request, generated, entry, change, found.on_photo(window))


@dataclass(frozen=True)
class Finished:
    """An edit composited and checked."""

    request: Request
    generated: Generated
    entry: Entry
    change: Change
    checks: Checks

    def edit(self, timings: dict[str, float], steps: int, seed: int, made_by: MadeBy) -> Edit:
        return Edit(
            self.change.picture,
            self.change.box,
            mask=self.request.mask,
            checks=self.checks,
            timings=stage_timings(timings),
            steps=steps,
            seed=seed,
            backend=made_by.backend,
            precision=made_by.precision,
            fallback=made_by.fallback,
            motion=self.request.way[0],
            _window=self.request.window,
            _generated=self.generated,
            _before=self.request.photo,
            _entry=self.entry,
        )
