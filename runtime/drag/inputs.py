"""Graph inputs made from a photo, a mask and a drag.

`runtime/bundle/graph_inputs.py` lists them and says what each one holds; the properties here have their names.
All float32, batch 1.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property
from typing import Any

import cv2
import numpy as np

from edgedrag.runtime.drag.flow import FADE
from edgedrag.runtime.drag.held_motion import HeldMotion
from edgedrag.runtime.drag.motion import held_in_mask, move_held
from edgedrag.runtime.drag.motion_names import BEND_REACH_IN_MASK


class PhotoInputs:
    """Inputs that depend on the window's pixels alone: uint8 RGB [H, W, 3] at the generator's size.

    `options` is the manifest's `inputs`.
    """

    def __init__(self, options: Mapping[str, Any], picture: np.ndarray):
        self._options = options
        self.picture = picture

    @cached_property
    def image(self) -> np.ndarray:
        """[1, 3, H, W] in the manifest's low..high."""
        low, high = self._options["image"]["low"], self._options["image"]["high"]
        planes = cv2.split(self.picture)
        return np.stack(planes)[None].astype(np.float32) * np.float32((high - low) / 255) + np.float32(low)

    @cached_property
    def clip_image(self) -> np.ndarray:
        """[1, 3, S, S]: 0..1, less the mean, over the standard deviation."""
        options = self._options["clip_image"]
        side = options["size"]
        if options.get("fit") == "crop":
            small = centre_square(self.picture, side)
        else:
            small = cv2.resize(self.picture, (side, side), interpolation=cv2.INTER_AREA)
        scaled = (small / np.float32(255) - options["mean"]) / options["std"]
        return scaled.transpose(2, 0, 1)[None].astype(np.float32)


class DragInputs:
    """Inputs that depend on the mask, bool [H, W], and the points [N, 4], both at the generator's size."""

    def __init__(self, photo: PhotoInputs, mask: np.ndarray, points: np.ndarray, held: HeldMotion | None = None):
        """`held` is how what the drags hold moves; where None, all of the mask follows them."""
        self._photo = photo
        self._mask = mask
        self._points = points
        self._held = held

    @cached_property
    def mask(self) -> np.ndarray:
        """[1, 1, H, W], 1 where editable."""
        return self._mask[None, None].astype(np.float32)

    @cached_property
    def masked_image(self) -> np.ndarray:
        """[1, 3, H, W], `image` with 0 where editable."""
        return self._photo.image * (1 - self.mask)

    @cached_property
    def points(self) -> np.ndarray:
        """[1, N, 4]: handle x, y, target x, y."""
        return self._points[None].astype(np.float32)

    @property
    def held(self) -> HeldMotion:
        """How what the drags hold moves."""
        if self._held is None:
            nothing = np.zeros(self._mask.shape, np.float32)
            follows = [held_in_mask(self._mask, nothing, at, FADE) for at in self._points[:, :2]]
            self._held = move_held(self._points, np.stack(follows), reach=BEND_REACH_IN_MASK)
        return self._held

    @cached_property
    def flow(self) -> np.ndarray:
        """[1, 2, H, W], backward: where each pixel comes from."""
        return np.ascontiguousarray(self.held.shown().transpose(2, 0, 1)[None])

    @cached_property
    def revealed(self) -> np.ndarray:
        """[1, 1, H, W] in 0..1: what the motion shows nothing real of."""
        return np.ascontiguousarray(self.held.revealed.transpose(2, 0, 1)[None])

    @cached_property
    def handle_map(self) -> np.ndarray:
        """[1, 1, H, W]: the drag's number, from 1, at its handle's pixel; a later one overwrites."""
        return index_map(self._points[:, :2], self._mask.shape)[None, None]

    @cached_property
    def target_map(self) -> np.ndarray:
        """[1, 1, H, W]: the drag's number, from 1, at its target's pixel; a later one overwrites."""
        return index_map(self._points[:, 2:], self._mask.shape)[None, None]


def centre_square(picture: np.ndarray, side: int) -> np.ndarray:
    """The middle of a picture, uint8 [side, side, 3], as CLIP's own processor makes it: bicubic, antialiased."""
    from PIL import Image

    height, width = covering_size(picture.shape[0], picture.shape[1], side)
    resized = np.asarray(Image.fromarray(picture).resize((width, height), Image.Resampling.BICUBIC))
    top, left = (height - side) // 2, (width - side) // 2
    return resized[top : top + side, left : left + side]


def covering_size(height: int, width: int, side: int) -> tuple[int, int]:
    """The size at which the short side is `side`, with the long one rounded down."""
    short = min(height, width)
    return side * height // short, side * width // short


def index_map(at: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    """The number, from 1, of each point [N, 2] (x, y) at its pixel; a later one overwrites; float32 [H, W]."""
    h, w = shape
    drawn = np.zeros((h, w), np.float32)
    for number, (x, y) in enumerate(np.round(at).astype(int), start=1):
        drawn[np.clip(y, 0, h - 1), np.clip(x, 0, w - 1)] = number
    return drawn
