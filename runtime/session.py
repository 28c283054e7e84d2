"""Runtime, Photo and Edit: one drag from the photo to the edited photo."""

from __future__ import annotations

import hashlib
import time
from collections import OrderedDict
from collections.abc import Generator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import cv2
import numpy as np

from edgedrag.runtime.backends import open_backend
from edgedrag.runtime.backends.base import Array
from edgedrag.runtime.bundle import Bundle, open_bundle
from edgedrag.runtime.checks import Checks, check
from edgedrag.runtime.compose import Generated, compose, enlarge
from edgedrag.runtime.drags import Drag, check_drags, check_handles_in_mask
from edgedrag.runtime.errors import InputError
from edgedrag.runtime.flow import bidirectional_flow
from edgedrag.runtime.image import MAX_MEGAPIXELS, Picture, as_rgb8, load_picture
from edgedrag.runtime.inputs import DragInputs, PhotoInputs
from edgedrag.runtime.masks import automatic_mask, check_mask
from edgedrag.runtime.noise import normal
from edgedrag.runtime.sampler import Table, make_table
from edgedrag.runtime.stages import Stages, choose_precision
from edgedrag.runtime.window import Window, choose_window

REFERENCES_KEPT = 4  # windows of a photo whose `reference` stage stays on the backend
GUIDANCE_EPSILON = 0.05  # scales this near 1 run the single branch

Mask = str | Path | np.ndarray | None


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
    """

    image: np.ndarray
    mask: np.ndarray
    checks: Checks
    timings: dict[str, float]
    steps: int
    seed: int
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


@dataclass
class _Change:
    """One entry of a photo's history."""

    box: tuple[slice, slice]
    before: np.ndarray
    after: np.ndarray


@dataclass
class _Drag:
    """A drag on its way through the stages."""

    window: Window
    native: np.ndarray  # the window's pixels
    mask: np.ndarray  # of the photo
    points: np.ndarray  # in generator pixels
    small_mask: np.ndarray  # at the generator's size
    photo_inputs: PhotoInputs
    drag_inputs: DragInputs
    tensors: dict[str, Array] = field(default_factory=dict)

    def supply(self, name: str) -> np.ndarray:
        """Make an input of the closed list."""
        return getattr(self.photo_inputs if name in ("image", "clip_image") else self.drag_inputs, name)


class Stopwatch:
    """Milliseconds spent under each name; `composite` is what remains of the total."""

    def __init__(self) -> None:
        self.timings = dict.fromkeys(("reference", "drag", "denoise", "decode"), 0.0)
        self._start = self._last = time.perf_counter()

    def begin(self) -> None:
        """The next lap begins; what lies before it goes to `composite`."""
        self._last = time.perf_counter()

    def skip(self) -> None:
        """Leave out the time since the last lap: it was spent by the caller."""
        now = time.perf_counter()
        self._start += now - self._last
        self._last = now

    def lap(self, name: str) -> None:
        now = time.perf_counter()
        self.timings[name] += (now - self._last) * 1e3
        self._last = now

    def finish(self) -> dict[str, float]:
        total = (time.perf_counter() - self._start) * 1e3
        self.timings["composite"] = total - sum(self.timings.values())
        self.timings["total"] = total
        return {name: round(ms, 2) for name, ms in self.timings.items()}


class Runtime:
    """A bundle on a backend, ready to edit photos."""

    def __init__(self, bundle: Bundle, stages: Stages, precision: str):
        self.bundle = bundle
        self.stages = stages
        self.backend = stages.backend
        self.precision = precision

    def load(self, image: str | Path | np.ndarray, max_megapixels: float = MAX_MEGAPIXELS) -> Photo:
        """Open a photo: a file (JPEG, PNG, WebP) or an array [H, W], [H, W, 3] RGB, [H, W, 4] RGBA.

        Raises:
            InputError: it is not a photo, is damaged, or has more than `max_megapixels`.
        """
        return Photo(self, load_picture(image, max_megapixels))


def open_runtime(bundle: str | Path = "embedded", backend: str = "auto", precision: str = "auto") -> Runtime:
    """Open a bundle, by folder or by the name of one that ships with edgedrag, on an engine.

    Raises:
        BundleError: the bundle is missing, damaged or not understood.
        EngineError: no engine, or not the one asked for, can run it.
    """
    engine = open_backend(backend)
    opened = open_bundle(bundle)
    chosen = choose_precision(opened, engine, precision)
    return Runtime(opened, Stages(opened, engine, chosen), chosen)


class Photo:
    """A photo and the edits made on it; each drag builds on the last result."""

    def __init__(self, runtime: Runtime, picture: Picture):
        self._runtime = runtime
        self._picture = picture
        self._references: OrderedDict[tuple[Window, bytes], tuple[PhotoInputs, dict[str, Array]]] = OrderedDict()
        self._done: list[_Change] = []
        self._undone: list[_Change] = []

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

        Closing it cancels the drag; the photo changes only when it has run to its end.
        """
        watch = Stopwatch()
        table = make_table(self._runtime.bundle.sampler, steps)
        if not 0 <= seed < 2**64:
            raise InputError(f"seed: {seed} is not between 0 and 2^64 - 1")
        drag = self._prepare(drags, mask)
        watch.begin()
        drag.tensors = self._reference(drag)
        watch.lap("reference")
        noise = self._start(drag, table, seed)
        watch.lap("drag")
        for step in range(len(table.steps)):
            yield Progress(step, len(table.steps))
            watch.skip()
            self._denoise(drag, table, step, noise)
            watch.lap("denoise")
        self._runtime.stages.run("decode", drag.tensors, drag.supply)
        generated = self._generated(drag, with_result=True)
        watch.lap("decode")
        return self._finish(drag, generated, watch, len(table.steps), seed)

    def preview(self, drags: Sequence[Drag], mask: Mask = None) -> np.ndarray:
        """The photo with the drag's motion alone, without what a generator would add; changes nothing.

        The bundle's flow, or a bidirectional warp where it gives none. Raises like `drag`.
        """
        drag = self._prepare(drags, mask)
        if self._runtime.bundle.gives_flow:
            drag.tensors = self._reference(drag)
            self._runtime.stages.run("drag", drag.tensors, drag.supply, until="flow")
            generated = self._generated(drag, with_result=False)
        else:
            flow, _ = bidirectional_flow(drag.points, drag.small_mask)
            generated = Generated(None, flow, None)
        whole = self.image.copy()
        whole[drag.window.box] = compose(drag.native, drag.mask[drag.window.box], generated)
        return whole

    def undo(self) -> np.ndarray:
        """Take the last drag back; returns the photo as it is then. Raises InputError where there is none."""
        if not self._done:
            raise InputError("nothing to undo")
        change = self._done.pop()
        self._undone.append(change)
        return self._put(change.box, change.before)

    def redo(self) -> np.ndarray:
        """Make an undone drag again; returns the photo as it is then. Raises InputError where there is none."""
        if not self._undone:
            raise InputError("nothing to redo")
        change = self._undone.pop()
        self._done.append(change)
        return self._put(change.box, change.after)

    def _put(self, box: tuple[slice, slice], pixels: np.ndarray) -> np.ndarray:
        """Replace part of the photo; arrays handed out earlier stay as they are."""
        whole = self.image.copy()
        whole[box] = pixels
        self._picture = Picture(whole, self._picture.icc, self._picture.exif)
        return whole

    def _prepare(self, drags: Sequence[Drag], mask: Mask) -> _Drag:
        """Check the drag and bring photo, mask and points to the generator's size."""
        height, width = self.image.shape[:2]
        points = check_drags(drags, height, width)
        if mask is None:
            region = automatic_mask(as_rgb8(self.image), points)
        else:
            given = mask if isinstance(mask, np.ndarray) else load_picture(mask).pixels
            region = check_mask(given, height, width)
        check_handles_in_mask(points, region)
        policy = self._runtime.bundle
        window = choose_window(region, points, policy.manifest["window"]["margin"], policy.sizes)
        native = self.image[window.box]
        h, w = window.size
        small_mask = cv2.resize(region[window.box].astype(np.float32), (w, h), interpolation=cv2.INTER_AREA) > 0
        small = window.to_generator(points.reshape(-1, 2)).reshape(-1, 4)
        photo_inputs = self._photo_inputs(window, native)
        return _Drag(
            window, native, region, small, small_mask, photo_inputs, DragInputs(photo_inputs, small_mask, small)
        )

    def _photo_inputs(self, window: Window, native: np.ndarray) -> PhotoInputs:
        h, w = window.size
        picture = cv2.resize(as_rgb8(native), (w, h), interpolation=cv2.INTER_AREA)
        return PhotoInputs(self._runtime.bundle, picture)

    def _reference(self, drag: _Drag) -> dict[str, Array]:
        """The `reference` stage's tensors, from the cache where these pixels were seen in this window."""
        key = (drag.window, hashlib.blake2b(np.ascontiguousarray(drag.native).data, digest_size=16).digest())
        if key not in self._references:
            tensors: dict[str, Array] = {}
            self._runtime.stages.run("reference", tensors, drag.supply)
            self._references[key] = (drag.photo_inputs, tensors)
            while len(self._references) > REFERENCES_KEPT:
                self._references.popitem(last=False)
        self._references.move_to_end(key)
        return dict(self._references[key][1])

    def _start(self, drag: _Drag, table: Table, seed: int) -> list[Array]:
        """Run the `drag` stage; returns the noise of each row on the backend, the start's first."""
        bundle, stages = self._runtime.bundle, self._runtime.stages
        noise: list[Array] = []
        shape = self._noise_shape(drag)
        if shape is not None:
            rows = [table.start[2], *table.steps[:, 2]]
            quiet = stages.backend.upload(np.zeros(shape, np.float32))
            noise = [
                stages.backend.upload(normal(seed, row, shape)) if scale else quiet for row, scale in enumerate(rows)
            ]
            drag.tensors["noise"] = noise[0]
        drag.tensors["coefficients"] = stages.backend.upload(table.start.astype(np.float32))
        stages.run("drag", drag.tensors, drag.supply)
        missing = bundle.carried - drag.tensors.keys()
        assert not missing, "open_bundle checked that the loop has a start"
        return noise

    def _noise_shape(self, drag: _Drag) -> tuple[int, ...] | None:
        h, w = drag.window.size
        for _, graph in self._runtime.bundle.graphs():
            for tensor in graph.inputs:
                if tensor.name == "noise":
                    return tensor.concrete({"H": h, "W": w, "N": len(drag.points)})
        return None

    def _denoise(self, drag: _Drag, table: Table, step: int, noise: list[Array]) -> None:
        """One step: the latent is replaced by the next one, on the backend."""
        stages = self._runtime.stages
        scale = table.guidance[step]
        pair = stages.has_pair() and abs(scale - 1) > GUIDANCE_EPSILON
        drag.tensors["coefficients"] = stages.backend.upload(table.steps[step].astype(np.float32))
        drag.tensors["timestep"] = stages.backend.upload(table.timesteps[step : step + 1].astype(np.float32))
        drag.tensors["guidance"] = stages.backend.upload(np.array([scale], np.float32))
        if noise:
            drag.tensors["noise"] = noise[step + 1]
        stages.run("denoise", drag.tensors, drag.supply, branch="pair" if pair else "single")

    def _generated(self, drag: _Drag, with_result: bool) -> Generated:
        """Bring what was made to the host, channels last, the result in 0..1."""

        def fetch(name: str) -> np.ndarray | None:
            if name not in drag.tensors:
                return None
            planes = self._runtime.backend.download(drag.tensors[name])[0].astype(np.float32)
            return cv2.merge(list(planes)).reshape(*planes.shape[1:], -1)

        result = fetch("result") if with_result else None
        if result is not None:
            options = self._runtime.bundle.manifest["inputs"]["image"]
            result = (result - options["low"]) / (options["high"] - options["low"])
        return Generated(result, fetch("flow"), fetch("revealed"))

    def _finish(self, drag: _Drag, generated: Generated, watch: Stopwatch, steps: int, seed: int) -> Edit:
        """Composite, check, and enter the edit into the history."""
        window, finite = drag.window, generated.is_finite()
        inside = drag.mask[window.box]
        edited = compose(drag.native, inside, generated) if finite else drag.native.copy()
        after = self._photo_inputs(window, edited).picture
        pixel = float(window.scale.mean())
        checks = check(drag.photo_inputs.picture, after, drag.small_mask, drag.points, pixel, finite)
        self._done.append(_Change(window.box, drag.native.copy(), edited))
        self._undone.clear()
        image = self._put(window.box, edited)
        return Edit(image, drag.mask, checks, watch.finish(), steps, seed, window, generated)
