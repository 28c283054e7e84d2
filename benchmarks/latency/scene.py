"""The scenes of latency measurements: a synthetic photo, round masks, drags, and pointer tracks."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from edgedrag.runtime.errors import InputError
from edgedrag.runtime.photo.picture import MAX_MEGAPIXELS, Picture, save_picture

TURNS = 16  # distinct drags; more than the runtime caches tensors for
MASK_SHARE = 15 / 64  # a mask's radius as a share of the photo's shorter side
MASK_LIMIT = 300  # largest radius, pixels
TRACE = Path(__file__).with_name("pointer_trace.json")
SMALL = ((512, 512), 120)  # photo (H, W), mask radius


def test_photo(height: int, width: int) -> np.ndarray:
    """A synthetic photo with smooth shapes and texture at all scales, deterministic; uint8 RGB."""
    rng = np.random.default_rng(0)
    picture = np.zeros((height, width, 3), np.float32)
    for cells in (4, 16, 64, 256):
        cell = rng.standard_normal((cells, cells, 3)).astype(np.float32)
        picture += cv2.resize(cell, (width, height), interpolation=cv2.INTER_CUBIC) * (40 / cells**0.3)
    return np.clip(picture + 128, 0, 255).astype(np.uint8)


def disc(height: int, width: int, radius: int) -> tuple[np.ndarray, tuple[float, float]]:
    """A round mask in the middle of the picture, and its centre (x, y)."""
    mask = np.zeros((height, width), np.uint8)
    centre = (width // 2, height // 2)
    cv2.circle(mask, centre, radius, 255, -1)
    return mask, centre


@dataclass(frozen=True)
class Size:
    """A photo's width and height, pixels."""

    width: int
    height: int

    def __str__(self) -> str:
        return f"{self.width}x{self.height}"

    @property
    def radius(self) -> int:
        """The radius of the masks, pixels."""
        return min(round(MASK_SHARE * min(self.width, self.height)), MASK_LIMIT)


def read_sizes(text: str) -> tuple[Size, ...]:
    """Parse "256,512,4000x3000" as sizes without duplicates; a single number is the side of a square.

    Raises:
        InputError: not such a list, or a size that photos may not have.
    """
    sizes = []
    for part in text.split(","):
        match = re.fullmatch(r"\s*(\d+)(?:x(\d+))?\s*", part)
        if match is None:
            raise InputError(f"sizes: {part.strip()!r} is not a size like 512 or 4000x3000")
        size = Size(int(match[1]), int(match[2] or match[1]))
        if min(size.width, size.height) < 64 or size.width * size.height > MAX_MEGAPIXELS * 1e6:
            raise InputError(f"sizes: {size} is not between 64 pixels a side and {MAX_MEGAPIXELS:g} megapixels")
        sizes.append(size)
    return tuple(dict.fromkeys(sizes))


@cache
def write_scene(folder: Path, size: Size) -> dict[str, Any]:
    """Write a photo of this size and its masks to a folder, once; returns the arguments of `worker.Worker.load`.

    The drags start near the centre and go in all directions, by a quarter of the mask's radius.
    """
    photo = folder / f"{size}.jpg"
    save_picture(photo, Picture(test_photo(size.height, size.width)))
    masks, drags = [], []
    for turn in range(TURNS):
        mask, (x, y) = disc(size.height, size.width, size.radius - turn % 8 * max(1, size.radius // 64))
        file = folder / f"{size}-mask-{turn}.png"
        save_picture(file, Picture(mask))
        masks.append(str(file))
        angle = 2 * np.pi * turn * 7 / TURNS  # consecutive drags have different directions
        reach = size.radius / 4
        drags.append([[x + turn % 3, y], [x + reach * float(np.cos(angle)), y + reach * float(np.sin(angle))]])
    return {"name": str(size), "photo": str(photo), "masks": masks, "drags": drags}


def read_tracks(size: Size) -> list[list[list[float]]]:
    """The stored pointer gestures, scaled to a photo of this size; each is [[milliseconds, x, y], ...].

    The file has them in mask radii, relative to the mask's centre.
    """
    gestures = json.loads(TRACE.read_text())["gestures"]
    x, y = size.width // 2, size.height // 2
    return [[[at, x + size.radius * dx, y + size.radius * dy] for at, dx, dy in gesture] for gesture in gestures]
