"""A bundle on a backend, ready to edit photos."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np

from edgedrag.runtime.backends.cpus import checked_threads
from edgedrag.runtime.bundle.manifest import Bundle, open_bundle
from edgedrag.runtime.drag.stages import Stages
from edgedrag.runtime.photo.picture import MAX_MEGAPIXELS, load_picture
from edgedrag.runtime.selection.select import Fallback, Served, climb, more_precise
from edgedrag.runtime.selection.self_test import Golden
from edgedrag.runtime.session.photo import Photo
from edgedrag.runtime.trace import span


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

    def load(self, image: str | Path | np.ndarray, max_megapixels: float = MAX_MEGAPIXELS) -> Photo:
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
        engines: folder of engines that `edgedrag build` made; the user's cache where None. For TensorRT.
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
