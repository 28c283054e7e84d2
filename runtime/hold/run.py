"""The answers of a bundle's graphs for the hold."""

from __future__ import annotations

import hashlib

import cv2
import numpy as np

from edgedrag.runtime.backends.base import Array
from edgedrag.runtime.backends.lru_cache import LruCache
from edgedrag.runtime.bundle.graphs import HOLD, Size
from edgedrag.runtime.bundle.manifest import Bundle
from edgedrag.runtime.drag.inputs import PhotoInputs
from edgedrag.runtime.drag.stages import Stages, Supply
from edgedrag.runtime.hold.closer import CloserLook, look_at_held, look_at_mask
from edgedrag.runtime.hold.hold import FOUND_NAMES
from edgedrag.runtime.hold.view import PhotoView
from edgedrag.runtime.photo.window import nearest_size
from edgedrag.runtime.trace import span

PHOTOS = 3  # of which features are kept
THING = FOUND_NAMES.index("thing")
CLOSER_LOOKS = 2
MASK_SHARE, SHARE = 2 / 3, 1 / 2  # in the answers, of closer looks at a mask and at what is held


class HoldRun:
    """The stage `hold` of a bundle that has it; what depends on the photo alone runs once for each photo."""

    def __init__(self, bundle: Bundle, stages: Stages):
        self._inputs = bundle.manifest["inputs"]
        self._level = bundle.manifest[HOLD]["level"]
        self._sizes = bundle.hold_sizes
        self._stages = stages
        made = [t.name for _, graph in bundle.graphs((HOLD,)) for t in graph.outputs]
        self._photo_names = [name for name in made if name != "held"]  # in the order in which they are made
        self._features = LruCache(PHOTOS * (CLOSER_LOOKS + max(len(sizes) for sizes in self._sizes)))

    def answers(self, view: PhotoView, point: np.ndarray, mask: np.ndarray | None = None) -> np.ndarray | None:
        """The answers of the whole photo at the sizes for its aspect and of a closer look; None where one is no number.

        Args:
            point: x and y in pixels of the photo.
            mask: bool [H, W], painted around what moves, which a closer look is taken at; else at what is held.

        Returns:
            float32 [3, h, w] at the size of `view.picture`, in 0..1, held from a half on.
        """
        total = np.zeros((*view.size, 3), np.float32)
        sizes = self._sizes_for(view.shape)
        at_mask = None if mask is None else look_at_mask(view, mask)
        if at_mask is not None:
            sizes = sizes[: max(1, len(sizes) - 1)]  # instead of the largest
        for size in sizes:
            with span("resize", "prepare"):
                picture = view.resized(size)
            found = self._look(picture, view.to_size(point, size))
            with span("resize", "prepare"):
                total += cv2.resize(found, view.size[::-1], interpolation=cv2.INTER_LINEAR)
        total *= np.float32(1 / len(sizes))
        self._look_closer(total, at_mask, point, 1, MASK_SHARE)
        self._look_closer(total, look_at_held(view, point, total[..., THING] / (2 * self._level)), point, 0, SHARE)
        if not np.isfinite(total).all():
            return None
        # From the level on a pixel is held, from twice the level on wholly.
        return np.minimum(total.transpose(2, 0, 1) / (2 * self._level), 1)

    def _look_closer(
        self, answers: np.ndarray, closer: CloserLook | None, point: np.ndarray, number: int, share: float
    ) -> None:
        """Let a closer look at a photo in one of the sizes for its aspect have a share in the answers [h, w, 3]."""
        if closer is None:
            return
        sizes = self._sizes_for(closer.shape)
        size = sizes[min(number, len(sizes) - 1)]
        with span("resize", "prepare"):
            picture = closer.picture(size)
        found = self._look(picture, closer.to_size(point, size))
        with span("resize", "prepare"):
            shown, counts = closer.on_view(found)
            answers += share * counts * (shown - answers)

    def prepare(self, view: PhotoView) -> None:
        """Run what depends on the photo alone, at the sizes for its aspect."""
        for size in self._sizes_for(view.shape):
            self._photo_tensors(view.resized(size))

    def tensors(self, view: PhotoView, point: np.ndarray) -> dict[str, np.ndarray]:
        """What each graph makes for a point at the largest size for the photo's aspect, by tensor name, on the host."""
        size = self._sizes_for(view.shape)[-1]
        made = self._run(view.resized(size), view.to_size(point, size))
        return {name: self._stages.backend.download(made[name]) for name in (*self._photo_names, "held")}

    def _sizes_for(self, shape: tuple[int, int]) -> list[Size]:
        """The sizes for a picture's aspect, the smallest first."""
        aspects = {sizes[-1]: sizes for sizes in self._sizes}
        return aspects[nearest_size(*shape, list(aspects))]

    def _look(self, picture: np.ndarray, point: np.ndarray) -> np.ndarray:
        """The answers float32 [H/2, W/2, 3] at a point (x, y) of a picture, uint8 RGB [H, W, 3] of one of the sizes."""
        held = self._run(picture, point)["held"]
        with span("download", "copy", tensor="held"):
            return np.ascontiguousarray(self._stages.backend.download(held)[0].transpose(1, 2, 0), np.float32)

    def _run(self, picture: np.ndarray, point: np.ndarray) -> dict[str, Array]:
        """The tensors of the graphs."""
        tensors = self._photo_tensors(picture)
        self._stages.run(HOLD, tensors, self._supply(picture, point), available=self._photo_names)
        return tensors

    def _photo_tensors(self, picture: np.ndarray) -> dict[str, Array]:
        """The tensors that depend on the photo alone, from an earlier run where there was one."""
        with span("digest", "prepare"):
            key = picture.shape, hashlib.sha256(picture.data).digest()
        known = self._features.find(key)
        if known is None:
            made: dict[str, Array] = {}
            if self._photo_names:
                self._stages.run(HOLD, made, self._supply(picture), until=self._photo_names[-1])
            known = {name: made[name] for name in self._photo_names}
            self._features.put(key, known)
        return dict(known)

    def _supply(self, picture: np.ndarray, point: np.ndarray | None = None) -> Supply:
        photo = PhotoInputs(self._inputs, picture)

        def supply(name: str) -> np.ndarray:
            with span(name, "input"):
                return point[None] if name == "point" and point is not None else getattr(photo, name)

        return supply
