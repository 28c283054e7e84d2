"""Holds on a photo: what depends on the photo alone is made once, then each point takes a few milliseconds."""

from __future__ import annotations

import hashlib
import warnings
from contextlib import suppress

import numpy as np

from edgedrag.runtime.bundle.manifest import Bundle
from edgedrag.runtime.drag.stages import Stages
from edgedrag.runtime.errors import EngineError
from edgedrag.runtime.hold.grabcut import grabcut_answers
from edgedrag.runtime.hold.hold import Hold, make_hold
from edgedrag.runtime.hold.run import HoldRun
from edgedrag.runtime.hold.view import PhotoView
from edgedrag.runtime.trace import span

PHOTOS = 2  # of which something is remembered: as it is now, and before the drags that the next one goes on with
MOST_FOUND = 64  # holds that are remembered: those of a drag's handles, while the finger moves

HoldsByPoint = dict[tuple[float, float, bytes], Hold]  # by x, y and the mask's hash


class HoldFinder:
    """Finds holds by a bundle's graphs, or by GrabCut where it has none for this."""

    def __init__(self, bundle: Bundle, stages: Stages) -> None:
        self._run = HoldRun(bundle, stages) if bundle.hold_sizes else None
        self._seen: list[tuple[PhotoView, HoldsByPoint]] = []  # the last photos, and the holds on each

    def find(
        self, photo: np.ndarray, point: np.ndarray, mask: np.ndarray | None, answers: np.ndarray | None = None
    ) -> Hold:
        """The hold at a point (x, y, checked) of a photo of any picture form.

        Args:
            mask: bounds it, bool [H, W].
            answers: as of `make_hold`, where an edit of the photo made them known; else they are found.
        """
        view, found = self._on(photo)
        x, y = point.tolist()
        with span("digest", "prepare"):
            key = x, y, b"" if mask is None else hashlib.sha256(np.packbits(mask).data).digest()
        if key not in found:
            if len(found) == MOST_FOUND:
                found.clear()
            found[key] = self._find(view, point, mask, answers)
        return found[key]

    def prepare(self, photo: np.ndarray) -> None:
        """Make now what holds on a photo need of it, wherever their points are."""
        view, _ = self._on(photo)
        with span("guide", "prepare"):
            _ = view.guided_filter
        if self._run is not None:
            with suppress(EngineError):  # whoever asks for a hold is warned
                self._run.prepare(view)

    def _on(self, photo: np.ndarray) -> tuple[PhotoView, HoldsByPoint]:
        """What is known of a photo."""
        known = [seen for seen in self._seen if seen[0].photo is photo]
        if not known:
            with span("view", "prepare"):
                known = [(PhotoView(photo), {})]
        self._seen = [*known, *(seen for seen in self._seen if seen[0].photo is not photo)][:PHOTOS]
        return known[0]

    def _find(self, view: PhotoView, point: np.ndarray, mask: np.ndarray | None, answers: np.ndarray | None) -> Hold:
        with span("answers", "hold"):
            if answers is None:
                answers = self._graph_answers(view, point, mask)
            if answers is None:
                answers = grabcut_answers(view.picture, view.to_size(point, view.size))
        with span("refine", "hold"):
            return make_hold(view, point, answers, mask)

    def _graph_answers(self, view: PhotoView, point: np.ndarray, mask: np.ndarray | None) -> np.ndarray | None:
        """The graphs' answers; None where there are none, or not the engines for them."""
        if self._run is None:
            return None
        try:
            return self._run.answers(view, point, mask)
        except EngineError as error:
            warnings.warn(f"the hold's graphs do not run, GrabCut answers ({error})", RuntimeWarning, stacklevel=5)
            self._run = None
            return None
