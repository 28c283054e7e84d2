"""The photos that the station is measured with."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np

from edgedrag.runtime.photo.picture import Picture, encode_picture

SIZES = {"0.24 MP": (600, 400), "12 MP": (4000, 3000)}  # of the photos in the browser


def picture(size: tuple[int, int]) -> np.ndarray:
    """A synthetic photo with edges and texture at all scales, deterministic; uint8 RGB."""
    width, height = size
    rng = np.random.default_rng(3)
    image = np.zeros((height, width, 3), np.float32)
    for cells in (4, 12, 40, 130):
        noise = rng.uniform(-1, 1, (cells, cells * width // height + 1, 3)).astype(np.float32)
        image += cv2.resize(noise, size, interpolation=cv2.INTER_CUBIC) * (90 / cells**0.35)
    for _ in range(14):
        centre, radius = (rng.uniform(0, 1, 2) * size).astype(int), int(rng.uniform(0.04, 0.14) * height)
        cv2.circle(image, centre.tolist(), radius, rng.uniform(-90, 90, 3).tolist(), -1, cv2.LINE_AA)
    return np.clip(image + 128, 0, 255).astype(np.uint8)


def photo_file(folder: Path, size: tuple[int, int]) -> Path:
    """Such a photo as a JPEG file in a folder."""
    file = folder / f"{size[0]}.jpg"
    file.write_bytes(encode_picture(file, Picture(picture(size))))
    return file
