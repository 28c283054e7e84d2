"""Runtime, Photo and Edit: one drag from the photo to the edited photo."""

from __future__ import annotations

import hashlib
from collections.abc import Generator, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import cv2
import numpy as np

from edgedrag.runtime.backends.cpus import checked_threads
from edgedrag.runtime.bundle.manifest import STAGES, Bundle, open_bundle
from edgedrag.runtime.drag.checks import Checks, check
from edgedrag.runtime.drag.composite import Generated, enlarge
from edgedrag.runtime.drag.drags import Drag, check_drags, check_handles_in_mask
from edgedrag.runtime.drag.flow import bidirectional_flow
from edgedrag.runtime.drag.mask import automatic_mask, check_mask
from edgedrag.runtime.drag.run import DragRun
from edgedrag.runtime.drag.stages import Stages
from edgedrag.runtime.errors import InputError
from edgedrag.runtime.photo.picture import MAX_MEGAPIXELS, Picture, as_rgb8, load_picture
from edgedrag.runtime.photo.window import Window, choose_window
from edgedrag.runtime.sampling.sampler import Table, make_table
from edgedrag.runtime.selection.select import Fallback, Served, climb, more_precise
from edgedrag.runtime.selection.self_test import Golden
from edgedrag.runtime.session.history import Round, Rounds
from edgedrag.runtime.session.lru_cache import Kept
from edgedrag.runtime.trace import span, timed

Mask = str | Path | bytes | np.ndarray | None
MadeBy = tuple[str, str, tuple[Fallback, ...]]  # backend, precision, the steps down to them
TOTAL = "photo.drag"  # the span that holds all of a drag


@dataclass(frozen=True)
class Progress:
    """Yielded before each step of a drag."""

    step: int
    steps: int


@dataclass(frozen=True)
class Edit:
    """A finished drag.

    Attributes:
        image: the whole photo, edited: size, channels (RGB order) and depth of the input.
        mask: bool [H, W], the region that could change, as given or as made from the drags.
        checks: how far to trust the result.
        timings: milliseconds by stage; `composite` is all that is outside the four stages.
        steps, seed: what the sampler ran with.
        backend, precision: what made it; another than the runtime's where that gave no picture.
        fallback: the steps down from better engines, and from one that gave no picture.
    """

    image: np.ndarray
    mask: np.ndarray
    checks: Checks
    timings: dict[str, float]
    steps: int
    seed: int
    backend: str
    precision: str
    fallback: tuple[Fallback, ...]
    _window: Window
    _generated: Generated

    @property
    def flow(self) -> np.ndarray | None:
        """Backward flow of the whole photo, float32 [H, W, 2] in photo pixels; None where the bundle has none."""
        if self._generated.flow is None:
            return None
        window = self._window
        whole = np.zeros((*self.mask.shape, 2), np.float32)
        every = (slice(0, window.height), slice(0, window.width))
        native = enlarge(self._generated.flow, (window.height, window.width), every) * window.scale
        whole[window.box] = native * self.mask[window.box][..., None]
        return whole


@dataclass(frozen=True)
class Motion:
    """A drag's motion alone, for a preview that is drawn elsewhere.

    Attributes:
        flow: float32 [h, w, 2] at the generator's size, backward, x then y, in photo pixels.
        mask: bool [h, w], what may move, at the same size.
        window: the part of the photo that both cover.
        region: bool [H, W], the mask at the photo's size.
    """

    flow: np.ndarray
    mask: np.ndarray
    window: Window
    region: np.ndarray


@dataclass(frozen=True)
class _Request:
    """A checked drag: where it is in the photo, and its run through the stages."""

    photo: np.ndarray  # as it was when the drag began
    window: Window
    native: np.ndarray  # the window's pixels
    mask: np.ndarray  # of the photo
    points: np.ndarray  # [N, 4], in its pixels
    run: DragRun

    @cached_property
    def pixels(self) -> tuple[Window, bytes]:
        """The window and its content."""
        return self.window, digest(self.native)

    @cached_property
    def masked(self) -> tuple[tuple[Window, bytes], bytes]:
        """The same, and the mask at the generator's size."""
        return self.pixels, digest(self.run.mask)


class Runtime:
    """A bundle on a backend, ready to edit photos.

    Attributes:
        fallback: the steps down from better engines, and why.
        golden: what the self-test measured, where the engine takes one.
        threads: on the CPU, as asked or found; None where an engine's own default was taken.
    """

    def __init__(
        self,
        bundle: Bundle,
        stages: Stages,
        fallback: tuple[Fallback, ...] = (),
        golden: Golden | None = None,
        threads: int | None = None,
    ):
        self.bundle = bundle
        self.stages = stages
        self.backend = stages.backend
        self.precision = stages.precision
        self.fallback = fallback
        self.golden = golden
        self.threads = threads
        self._precise: Stages | None = None

    def more_precise(self) -> Stages | None:
        """For a result that is no picture: stages of higher precision, opened when first needed, if there are any."""
        if self._precise is None:
            self._precise = more_precise(self.bundle, self.stages, self.threads)
        return self._precise

    def load(self, image: str | Path | bytes | np.ndarray, max_megapixels: float = MAX_MEGAPIXELS) -> Photo:
        """Open a photo: a file (JPEG, PNG, WebP) or an array [H, W], [H, W, 3] RGB, [H, W, 4] RGBA.

        Raises:
            InputError: it is not a photo, is damaged, or has more than `max_megapixels`.
        """
        with span("photo.load", "load"):
            return Photo(self, load_picture(image, max_megapixels))


def open_runtime(
    bundle: str | Path = "embedded",
    backend: str = "auto",
    precision: str = "auto",
    engines: str | Path | None = None,
    memory_budget: int | None = None,
    threads: int | None = None,
) -> Runtime:
    """Open a bundle, by folder or by the name of one that ships with edgedrag, on an engine.

    Args:
        backend: one of `backends.NAMES`, or "auto": the first of them that can serve.
        engines: folder of engines that `edgedrag engines build` made; the user's cache where None. For TensorRT.
        memory_budget: bytes of device memory for weights; all that there is where None. On a GPU.
        threads: of an engine on the CPU, and of OpenCV in this process; as many as the CPUs that affinity and
            control groups leave to this process where None.

    Raises:
        InputError: `threads` is less than 1, or more than the CPUs that this process may run on.
        BundleError: the bundle is missing, damaged or not understood.
        EngineError: no engine, or not the one asked for, can run it.
    """
    threads = checked_threads(threads)
    cv2.setNumThreads(threads)
    with span("open bundle", "open"):
        opened = open_bundle(bundle)
    folder = None if engines is None else Path(engines)
    served: Served = climb(opened, backend, precision, folder, memory_budget, threads)
    return Runtime(opened, served.stages, served.fallback, served.golden, threads)


class Photo:
    """A photo and the edits made on it; each drag builds on the last result, and samples the original's pixels."""

    def __init__(self, runtime: Runtime, picture: Picture):
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
            request = self._prepare(drags, mask, timings)
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
        what = (image, request.mask, checks, summed(timings), len(table.steps), seed)
        return Edit(*what, *made_by, request.window, generated)

    def _picture_of(self, request: _Request, table: Table, seed: int) -> tuple[Generated, MadeBy]:
        """What the generator made, after its last step; in a higher precision where that is no picture."""
        run = request.run
        generated = run.settled(run.decode(), table, seed)
        stages, steps_down = self._runtime.stages, self._runtime.fallback
        with span("fault", "check"):
            fault = generated.fault(run.picture)
        precise = None if fault is None else self._runtime.more_precise()
        if precise is not None:
            steps_down = (*steps_down, Fallback(stages.backend.name, "bad-output", f"{fault} in {stages.precision}"))
            stages = precise
            again = DragRun(self._runtime.bundle, stages, run.picture, run.mask, run.points, run.timings)
            generated = again.whole(table, seed)
        return generated, (stages.backend.name, stages.precision, steps_down)

    def preview(self, drags: Sequence[Drag], mask: Mask = None) -> np.ndarray:
        """The photo with the drag's motion alone, without what a generator would add; changes nothing.

        The bundle's flow, or a bidirectional warp where it gives none. Raises like `drag`.
        """
        with span("photo.preview", "drag"):
            request = self._prepare(drags, mask)
            motion = self._motion(request)
            made = self._compose(request, motion)
            return self._with(made.box, made.after)

    def motion(self, drags: Sequence[Drag], mask: Mask = None) -> Motion:
        """What `preview` would warp the photo by, without the warp; changes nothing. Raises like `drag`."""
        with span("photo.motion", "drag"):
            request = self._prepare(drags, mask)
            flow = self._motion(request).flow
            assert flow is not None, "a motion has a flow"
            return Motion(flow * request.window.scale, request.run.mask, request.window, request.mask)

    def move(self, drags: Sequence[Drag], mask: Mask = None) -> Edit:
        """Like `drag`, with the motion alone: what `preview` shows becomes the photo, after 0 steps."""
        timings: dict[str, float] = {}
        with timed(timings, TOTAL, "drag"):
            request = self._prepare(drags, mask, timings)
            motion = self._motion(request)
            image, checks = self._finish(request, motion)
        made_by = (self._runtime.backend.name, self._runtime.precision, self._runtime.fallback)
        return Edit(image, request.mask, checks, summed(timings), 0, 0, *made_by, request.window, motion)

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

    def _prepare(self, drags: Sequence[Drag], mask: Mask, timings: dict[str, float] | None = None) -> _Request:
        """Check the drag and bring photo, mask and points to the generator's size; `timings` are the run's."""
        height, width = self.image.shape[:2]
        points = check_drags(drags, height, width)
        with span("mask", "prepare"):
            if mask is None:
                region = automatic_mask(as_rgb8(self.image), points)
            else:
                given = mask if isinstance(mask, np.ndarray) else load_picture(mask).pixels
                region = check_mask(given, height, width)
            check_handles_in_mask(points, region)
        bundle, stages = self._runtime.bundle, self._runtime.stages
        with span("window", "prepare"):
            window = choose_window(region, points, bundle.manifest["window"]["margin"], stages.sizes)
            native = self.image[window.box]
            small_mask = shrink(region[window.box].astype(np.uint8) * 255, window.size) > 0
            small_points = window.to_generator(points.reshape(-1, 2)).reshape(-1, 4)
            small = shrink(as_rgb8(native), window.size)
            run = DragRun(bundle, stages, small, small_mask, small_points, timings)
        return _Request(self.image, window, native, region, points, run)

    def _reference(self, request: _Request) -> None:
        """Give the run its `reference` stage and what depends on its mask alone, where these were seen before."""
        run = request.run
        reference = self._references.find(request.pixels)
        if reference is None:
            run.reference()
            self._references.put(request.pixels, run.tensors)
        else:
            run.tensors.update(reference)
        run.keep(self._masked.find(request.masked) or {})

    def _motion(self, request: _Request) -> Generated:
        """The bundle's flow, or a bidirectional one where it gives none."""
        run = request.run
        if not self._runtime.bundle.gives_flow:
            return Generated(None, bidirectional_flow(run.points, run.mask)[0], None)
        self._reference(request)
        return run.motion()

    def _compose(self, request: _Request, generated: Generated) -> Round:
        with span("composite", "composite"):
            return self._rounds.compose(request.photo, request.window, request.mask, request.points, generated)

    def _finish(self, request: _Request, generated: Generated) -> tuple[np.ndarray, Checks]:
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


def summed(timings: dict[str, float]) -> dict[str, float]:
    """Milliseconds of each stage, of all else as `composite`, and the `total`."""
    stages = {stage: timings.get(stage, 0.0) for stage in STAGES}
    total = timings[TOTAL]
    every = {**stages, "composite": total - sum(stages.values()), "total": total}
    return {name: round(ms, 2) for name, ms in every.items()}


def digest(array: np.ndarray) -> bytes:
    """A hash of an array's values; SHA-256, since processors have instructions for it."""
    with span("digest", "prepare"):
        return hashlib.sha256(np.ascontiguousarray(array).data).digest()


def shrink(pixels: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """A window's pixels at the generator's size (H, W).

    By areas, or bilinear where there is less than half to lose: OpenCV's areas of broken sizes are slow.
    """
    broad = max(pixels.shape[0] / size[0], pixels.shape[1] / size[1]) >= 2
    return cv2.resize(pixels, size[::-1], interpolation=cv2.INTER_AREA if broad else cv2.INTER_LINEAR)
