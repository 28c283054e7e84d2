"""Outlines of what moves with a point, for the page: found at the size of the mask that it paints, in milliseconds."""

from __future__ import annotations

import cv2
import numpy as np

from edgedrag.runtime.hold.hold import Hold
from edgedrag.runtime.photo.picture import as_rgb8
from edgedrag.runtime.photo.window import Window

ROUGH = 1.0  # pixels of the small picture; how far an outline may be from the border
SMALLEST = 12  # square pixels of it; smaller pieces have no outline, unless there is no other

Polygons = list[list[list[float]]]  # x, y in pixels of the photo


class Outliner:
    """Outlines on one photo; the small picture is made once."""

    def __init__(self, photo: np.ndarray, size: tuple[int, int]):
        """`photo`: pixels of any picture form; `size`: height and width of the small picture."""
        height, width = photo.shape[:2]
        self.photo = photo
        self._window = Window(0, 0, height, width, size)
        self._small = as_rgb8(cv2.resize(photo, size[::-1], interpolation=cv2.INTER_AREA))

    def outline(self, hold: Hold) -> Polygons:
        """The outer borders of what moves by more than a half."""
        held = (hold.in_window(self._window, self._small) > 0.5).astype(np.uint8)
        found, _ = cv2.findContours(held, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_SIMPLE)
        large = [contour for contour in found if cv2.contourArea(contour) >= SMALLEST] or found
        scale = self._window.scale
        lines = (cv2.approxPolyDP(contour, ROUGH, True).reshape(-1, 2) for contour in large)
        return [np.round((line + 0.5) * scale - 0.5, 1).tolist() for line in lines]
