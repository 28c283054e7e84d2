"""A bundle on a backend, ready to edit photos."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from edgedrag.runtime.bundle.manifest import Bundle, open_bundle
from edgedrag.runtime.drag.stages import Stages
from edgedrag.runtime.errors import InputError
from edgedrag.runtime.options import AUTO, BackendName, PrecisionName, RuntimeOptions
from edgedrag.runtime.photo.limits import MAX_MEGAPIXELS
from edgedrag.runtime.selection.select import Fallback, more_precise, select_backend
from edgedrag.runtime.trace import span

if TYPE_CHECKING:
    from edgedrag.runtime.photo.picture import Source
    from edgedrag.runtime.selection.self_test import Golden
    from edgedrag.runtime.session.photo import Photo


class Runtime:
    """A bundle on a backend, ready to edit photos.

    Attributes:
        fallback: the backends and precisions that would come first, and why each does not serve.
        golden: what the self-test measured, where the engine takes one.
        options: what it was opened with.
    """

    def __init__(
        self,
        bundle: Bundle,
        stages: Stages,
        fallback: tuple[Fallback, ...] = (),
        golden: Golden | None = None,
        options: RuntimeOptions = RuntimeOptions(),
    ):
        self.bundle = bundle
        self.stages = stages
        self.backend = stages.backend
        self.precision = stages.precision
        self.fallback = fallback
        self.golden = golden
        self.options = options
        self._precise: Stages | None = None

    def more_precise(self) -> Stages | None:
        """Stages of a higher precision, if any, for a result that is no picture; opened when first needed."""
        if self._precise is None:
            self._precise = more_precise(self.bundle, self.stages, self.options)
        return self._precise

    def __repr__(self) -> str:
        return f"<Runtime {self.bundle.name} on {self.backend.name} {self.precision}: {self.backend.device}>"

    def load(self, image: Source, max_megapixels: float = MAX_MEGAPIXELS, *, undo_limit: int | None = None) -> Photo:
        """Open a photo.

        Args:
            image: a JPEG, PNG or WebP file (path, open file or bytes), a Pillow image, or an array [H, W],
                [H, W, 2] grey with alpha, [H, W, 3] RGB or [H, W, 4] RGBA, uint8 or uint16.
            max_megapixels: larger photos are refused.
            undo_limit: edits that can be undone; a further one drops the oldest. No limit where None: each edit holds
                its mask's pixels twice.

        Raises:
            InputError: it is not a photo, is damaged, or is too large; names the file or argument.
        """
        from edgedrag.runtime.photo.picture import load_picture
        from edgedrag.runtime.session.arguments import whole_number
        from edgedrag.runtime.session.photo import Photo

        if undo_limit is not None and whole_number("undo_limit", undo_limit) < 1:
            raise InputError(f"undo_limit: {undo_limit} is less than 1")
        with span("photo.load", "load"):
            return Photo(self, load_picture(image, max_megapixels), undo_limit)


def open_runtime(
    bundle: str | Path = "embedded",
    backend: BackendName = AUTO,
    precision: PrecisionName = AUTO,
    engines: str | Path | None = None,
    memory_budget: int | None = None,
    threads: int | None = None,
) -> Runtime:
    """Open a bundle, by folder or by the name of one that ships with edgedrag, on a backend.

    Args:
        backend: one of `options.BACKENDS`, or "auto": the first of them that can serve.
        engines: folder of engines that `edgedrag engines build` made; the user's cache where None. For TensorRT.
        memory_budget: bytes of device memory for weights; all that there is where None. On a GPU.
        threads: of a backend on the CPU, and of OpenCV in this process; as many as the CPUs that affinity and
            control groups leave to this process where None.

    Raises:
        InputError: an argument of another type or out of its range, as more threads than CPUs; names it.
        BundleError: the bundle is missing, damaged or not understood.
        EngineError: no backend, or not the one asked for, can run it.
    """
    return open_with(RuntimeOptions(bundle, backend, precision, engines, memory_budget, threads))


def open_with(options: RuntimeOptions) -> Runtime:
    """`open_runtime`, of options that were checked already."""
    with span("open bundle", "open"):
        opened = open_bundle(options.bundle)
    selected = select_backend(opened, options, import_what_edits)
    import cv2

    cv2.setNumThreads(options.cpu_threads)
    return Runtime(opened, selected.stages, selected.fallback, selected.golden, options)


def import_what_edits() -> None:
    """Import what photos are edited with, OpenCV among it: in the time in which the graphs load."""
    with span("import what edits", "open"):
        import numpy.random  # noqa: F401  for the noise; NumPy imports it when it is first used

        import edgedrag.runtime.session.photo  # noqa: F401
