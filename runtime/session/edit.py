"""What a photo gives back: the progress of a drag, what an edit changed, or the motion alone."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from edgedrag.runtime.bundle.graphs import DRAG_STAGES
from edgedrag.runtime.drag.checks import Checks
from edgedrag.runtime.drag.composite import Box, Generated, enlarge
from edgedrag.runtime.drag.motion_names import MotionName
from edgedrag.runtime.photo.picture import Picture
from edgedrag.runtime.photo.window import Window
from edgedrag.runtime.selection.select import Fallback
from edgedrag.runtime.session.history import Entry
from edgedrag.runtime.session.region import Region

TOTAL = "photo.drag"  # the span that holds all of a drag


@dataclass(frozen=True)
class Progress:
    """Yielded before each denoising step of a drag; `step` counts from 0."""

    step: int
    steps: int


@dataclass(frozen=True, eq=False, repr=False)
class Change:
    """The photo after a drag, undo or redo.

    Attributes:
        picture: the whole photo, with its ICC profile and EXIF.
        box: rows and columns of the photo outside which nothing changed.
    """

    picture: Picture
    box: Box

    def __repr__(self) -> str:
        rows, columns = self.box
        where = f"rows {rows.start} to {rows.stop}, columns {columns.start} to {columns.stop}"
        return f"<{type(self).__name__} of {where}: {self.picture!r}>"

    @property
    def image(self) -> np.ndarray:
        """The whole photo's pixels: size, channels (RGB order) and depth of the input."""
        return self.picture.pixels


@dataclass(frozen=True, eq=False, repr=False)
class Edit(Change):
    """A finished drag.

    Attributes:
        mask: bool [H, W], the region that could change, as given or as made from the drags.
        checks: how far to trust the result.
        timings: milliseconds by stage; `composite` is all that is outside the four stages.
        steps, seed: what the sampler ran with.
        backend, precision: what made it; another than the runtime's where that gave no picture.
        fallback: the backends and precisions tried before these, and why each did not serve.
        motion: how what the drags hold moved.
    """

    mask: np.ndarray
    checks: Checks
    timings: dict[str, float]
    steps: int
    seed: int
    backend: str
    precision: str
    fallback: tuple[Fallback, ...]
    motion: MotionName
    _window: Window
    _generated: Generated
    _before: np.ndarray
    _entry: Entry

    def __repr__(self) -> str:
        height, width = self.mask.shape
        made_by = f"{self.timings['total']:.1f} ms on {self.backend} {self.precision}"
        return f"<Edit {self.checks.verdict}: {width} x {height} pixels, {self.steps} steps, {made_by}>"

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


@dataclass(frozen=True, eq=False)
class Motion:
    """A drag's motion alone, for a preview that is drawn elsewhere.

    Attributes:
        flow: float32 [h, w, 2] at the generator's size, backward, x then y, in photo pixels.
        mask: bool [h, w], what may move, at the same size.
        window: the part of the photo that both cover.
    """

    flow: np.ndarray
    mask: np.ndarray
    window: Window
    _region: Region

    @property
    def region(self) -> np.ndarray:
        """The mask at the photo's size, bool [H, W]; made when it is first asked for."""
        return self._region.mask


def stage_timings(timings: dict[str, float]) -> dict[str, float]:
    """Milliseconds of each stage, of all else as `composite`, and the `total`."""
    stages = {stage: timings.get(stage, 0.0) for stage in DRAG_STAGES}
    total = timings[TOTAL]
    every = {**stages, "composite": total - sum(stages.values()), "total": total}
    return {name: round(ms, 2) for name, ms in every.items()}
