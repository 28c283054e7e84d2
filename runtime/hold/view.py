"""The photo as a hold sees it: whole, at low resolution."""

from __future__ import annotations

from functools import cached_property

import cv2
import numpy as np

from edgedrag.runtime.hold.guided_filter import GuidedFilter
from edgedrag.runtime.photo.picture import as_rgb8

SIDE = 256  # pixels; the longer side of the picture that holds are found and refined in


class PhotoView:
    """A photo (any picture form) at low resolution; what depends on the photo alone is made once.

    Attributes:
        picture: uint8 RGB [h, w, 3], the longer side SIDE pixels or the photo's.
        medium: the same at twice that size, or the photo's.
    """

    def __init__(self, photo: np.ndarray):
        self.photo = photo
        height, width = photo.shape[:2]
        self.shape: tuple[int, int] = height, width
        scale = min(1.0, SIDE / max(height, width))
        self.size = (max(1, round(height * scale)), max(1, round(width * scale)))
        # What networks see is made from this one: a photo of many megapixels is read once.
        self.medium = resized_rgb8(photo, tuple(min(n, 2 * small) for n, small in zip(self.shape, self.size)))
        self._resized: dict[tuple[int, int], np.ndarray] = {}
        self.picture = self.resized(self.size)

    def resized(self, size: tuple[int, int]) -> np.ndarray:
        """The whole photo at a size (H, W) up to about twice that of `picture`, uint8 RGB; made once."""
        if size not in self._resized:
            self._resized[size] = resized_rgb8(self.medium, size)
        return self._resized[size]

    @cached_property
    def guided_filter(self) -> GuidedFilter:
        return GuidedFilter(self.picture)

    def to_size(self, point: np.ndarray, size: tuple[int, int]) -> np.ndarray:
        """A point (x, y) of the photo in pixels of a picture of `size` (H, W), float32 [2]."""
        scale = np.array([size[1] / self.shape[1], size[0] / self.shape[0]])
        return ((point + 0.5) * scale - 0.5).astype(np.float32)


def resized_rgb8(pixels: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """Pixels of any picture form at a size (H, W), uint8 RGB; INTER_AREA at every reduction, since what is held is seen
    in few pixels."""
    if pixels.shape[:2] != size:
        smaller = pixels.shape[0] >= size[0] and pixels.shape[1] >= size[1]
        pixels = cv2.resize(pixels, size[::-1], interpolation=cv2.INTER_AREA if smaller else cv2.INTER_LINEAR)
    return np.ascontiguousarray(as_rgb8(pixels))
