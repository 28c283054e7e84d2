"""A closer look at what is held: the part of the photo around it, in as many pixels as the whole photo had."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from edgedrag.runtime.drag.composite import box_of
from edgedrag.runtime.hold.hold import around_point, pixel_at
from edgedrag.runtime.hold.view import PhotoView, resized_rgb8

MARGIN = 0.5  # of the longer side of what is held, on each side of it: what it lies on tells where it ends
MASK_MARGIN = 0.1  # the same of a mask, which someone painted around what moves and where it goes
LEAST = 0.2  # of the photo's longer side
MOST = 0.6  # of the photo's area: a look at more of it is not closer
MANY = 2**20  # pixels, which take some milliseconds to read
FADE = 0.1  # of the look's longer side, over which it counts less towards its edge


Span = tuple[float, float]  # first row or column, and the one after the last


@dataclass(frozen=True)
class CloserLook:
    """A part of a photo.

    Attributes:
        left, top, width, height: in pixels of the photo.
    """

    view: PhotoView
    left: int
    top: int
    width: int
    height: int

    @property
    def shape(self) -> tuple[int, int]:
        """Height and width."""
        return self.height, self.width

    def picture(self, size: tuple[int, int]) -> np.ndarray:
        """At a size (H, W), uint8 RGB; of many pixels from the photo at medium resolution, where that has enough."""
        rows, columns = (n / long for n, long in zip(self.view.medium.shape, self.view.shape))
        enough = self.height * rows >= size[0] and self.width * columns >= size[1]
        if not enough or self.height * self.width <= MANY:
            part = self.view.photo[self.top : self.top + self.height, self.left : self.left + self.width]
        else:
            top, left = round(self.top * rows), round(self.left * columns)
            part = self.view.medium[top : top + round(self.height * rows), left : left + round(self.width * columns)]
        return resized_rgb8(part, size)

    def to_size(self, point: np.ndarray, size: tuple[int, int]) -> np.ndarray:
        """A point (x, y) of the photo in pixels of the picture at a size (H, W), float32 [2]."""
        scale = np.array([size[1] / self.width, size[0] / self.height])
        return ((point - [self.left, self.top] + 0.5) * scale - 0.5).astype(np.float32)

    def on_view(self, found: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """What was found in the picture, float32 [h, w, C], on the whole photo at the view's size; and how much it
        counts there, 0..1, [H, W, 1]: 0 outside."""
        rows, columns = self.view.size
        pixel = np.array([self.view.shape[1] / columns, self.view.shape[0] / rows])
        scale = np.array(found.shape[1::-1]) / (self.width, self.height)
        corner = (0.5 * pixel - (self.left, self.top)) * scale - 0.5
        affine = np.column_stack([np.diag(pixel * scale), corner])
        flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
        shown = cv2.warpAffine(found, affine, (columns, rows), flags=flags, borderMode=cv2.BORDER_REPLICATE)
        x = (np.arange(columns, dtype=np.float32) + 0.5) * np.float32(pixel[0]) - self.left
        y = (np.arange(rows, dtype=np.float32) + 0.5) * np.float32(pixel[1]) - self.top
        inside = np.minimum(np.minimum(x, self.width - x)[None], np.minimum(y, self.height - y)[:, None])
        return shown, np.clip(inside / np.float32(FADE * max(self.width, self.height)), 0, 1)[..., None]


def look_at_held(view: PhotoView, point: np.ndarray, answer: np.ndarray) -> CloserLook | None:
    """What lies around what an answer holds at a point; None where that is most of the photo.

    Args:
        point: x and y in pixels of the photo.
        answer: float32 [h, w] of the view's size in 0..1, held from a half on.
    """
    pixel = [long / short for long, short in zip(view.shape, view.size)]
    rows, columns = box_of(around_point(answer, pixel_at(view, point), 0.5) > 0)
    return _look(
        view, (rows.start * pixel[0], rows.stop * pixel[0]), (columns.start * pixel[1], columns.stop * pixel[1]), MARGIN
    )


def look_at_mask(view: PhotoView, mask: np.ndarray) -> CloserLook | None:
    """What lies around a mask, bool [H, W], not empty; None where that is most of the photo."""
    rows, columns = box_of(mask)
    return _look(view, (rows.start, rows.stop), (columns.start, columns.stop), MASK_MARGIN)


def _look(view: PhotoView, rows: Span, columns: Span, margin: float) -> CloserLook | None:
    """The square around rows and columns of the photo, as far as the photo goes; None where that is most of it."""
    height, width = view.shape
    side = max((1 + 2 * margin) * max(rows[1] - rows[0], columns[1] - columns[0]), LEAST * max(view.shape))
    look_height, look_width = min(height, side), min(width, side)
    if look_width * look_height > MOST * width * height:
        return None
    top = np.clip((sum(rows) - look_height) / 2, 0, height - look_height)
    left = np.clip((sum(columns) - look_width) / 2, 0, width - look_width)
    return CloserLook(view, int(left), int(top), max(1, int(look_width)), max(1, int(look_height)))
