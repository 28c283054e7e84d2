"""Drags on the example photo that tests of many rounds share, and their measure."""

from __future__ import annotations

import numpy as np

Point = tuple[float, float]
MOVES: list[tuple[Point, Point]] = [((265, 240), (245, 250)), ((240, 210), (255, 195)), ((225, 245), (240, 262))]
FORMS = ["rgb", "grey", "grey_alpha", "rgba", "deep", "deep_grey"]


def disc(shape: tuple[int, ...], x: float, y: float, radius: float = 55) -> np.ndarray:
    rows, columns = np.mgrid[: shape[0], : shape[1]]
    return (columns - x) ** 2 + (rows - y) ** 2 < radius**2


def around(shape: tuple[int, ...], handle: Point, target: Point) -> np.ndarray:
    return disc(shape, (handle[0] + target[0]) / 2, (handle[1] + target[1]) / 2)


def as_form(rgb: np.ndarray, form: str) -> np.ndarray:
    photo = rgb[..., 0] if "grey" in form else rgb
    if "deep" in form:
        photo = photo.astype(np.uint16) * 257
    if "alpha" in form or form == "rgba":
        alpha = np.random.default_rng(0).integers(0, 255, (*rgb.shape[:2], 1), dtype=np.uint8)
        photo = np.concatenate([photo.reshape(*rgb.shape[:2], -1), alpha], -1)
    return photo


def psnr(image: np.ndarray, truth: np.ndarray, mask: np.ndarray) -> float:
    return float(10 * np.log10(255**2 / max(((image[mask].astype(float) - truth[mask]) ** 2).mean(), 1e-6)))
