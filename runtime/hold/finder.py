"""Holds on a photo: what depends on the photo alone is made once, then each point takes a few milliseconds."""

from __future__ import annotations

import hashlib
import warnings

import numpy as np

from edgedrag.runtime.bundle.manifest import Bundle
from edgedrag.runtime.drag.stages import Stages
from edgedrag.runtime.errors import EngineError
from edgedrag.runtime.hold.grabcut import grabcut_answers
from edgedrag.runtime.hold.hold import Hold, make_hold
from edgedrag.runtime.hold.run import HoldRun
from edgedrag.runtime.hold.view import PhotoView
from edgedrag.runtime.trace import span

MOST_FOUND = 64  # holds that are remembered: those of a drag's handles, while the finger moves


class HoldFinder:
    """Finds holds by a bundle's graphs, or by GrabCut where it has none for this."""

    def __init__(self, bundle: Bundle, stages: Stages) -> None:
        self._run = HoldRun(bundle, stages) if bundle.hold_sizes else None
        self._view: PhotoView | None = None
        self._found: dict[tuple[float, float, bytes], Hold] = {}  # on that view, by point and mask

    def find(self, photo: np.ndarray, point: np.ndarray, mask: np.ndarray | None) -> Hold:
        """The hold at a point (x, y, checked) of a photo of any picture form, bounded by a mask, bool [H, W]."""
        if self._view is None or self._view.photo is not photo:
            with span("view", "prepare"):
                self._view, self._found = PhotoView(photo), {}
        x, y = point.tolist()
        key = x, y, b"" if mask is None else hashlib.sha256(np.packbits(mask).data).digest()
        if key not in self._found:
            if len(self._found) == MOST_FOUND:
                self._found.clear()
            self._found[key] = self._find(self._view, point, mask)
        return self._found[key]

    def _find(self, view: PhotoView, point: np.ndarray, mask: np.ndarray | None) -> Hold:
        with span("answers", "hold"):
            answers = self._graph_answers(view, point)
            if answers is None:
                answers = grabcut_answers(view.picture, view.to_size(point, view.size))
        with span("refine", "hold"):
            return make_hold(view, point, answers, mask)

    def _graph_answers(self, view: PhotoView, point: np.ndarray) -> np.ndarray | None:
        """The graphs' answers; None where there are none, or not the engines for them."""
        if self._run is None:
            return None
        try:
            return self._run.answers(view, point)
        except EngineError as error:
            warnings.warn(f"the hold's graphs do not run, GrabCut answers ({error})", RuntimeWarning, stacklevel=5)
            self._run = None
            return None
