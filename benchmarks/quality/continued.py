"""Rounds as people make them, for `edgedrag bench rounds`: nearly back, and many small drags along a path.

Each is compared with the one drag that should look the same: away and back to a few generator pixels off with the
original moved by the difference, a path in many small drags with one drag to its end.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import cv2
import numpy as np

from edgedrag.benchmarks.quality.tables import mean
from edgedrag.metrics.pixels import psnr_in_mask
from edgedrag.runtime.drag.composite import box_of
from edgedrag.runtime.drag.drags import Drag
from edgedrag.runtime.photo.picture import Picture, as_rgb8
from edgedrag.runtime.photo.window import window_around
from edgedrag.runtime.session.runtime import Runtime

MISSES = (1.5, 3.0)  # generator pixels between the handle and where the way back ends
GRABBED_OFF = 2.0  # generator pixels between the last target and where a finger takes hold again
SMALL_DRAGS = 20
SWAY = 0.1  # of a path's length: how far its middle lies beside the straight line


def measure(
    runtime: Runtime, pictures: Sequence[Picture], moves: Sequence[Sequence[tuple[Drag, np.ndarray]]], steps: int | None
) -> dict[str, dict[str, Any]]:
    """Mean PSNR (dB, in the mask) and share of the sharpness, by kind of rounds.

    Args:
        moves: drags with their masks, bool [H, W], for each picture; each is made with the mask and without one.
    """
    scores: dict[str, tuple[list[float], list[float]]] = {}
    for picture, of_picture in zip(pictures, moves):
        for (drag, mask), given in ((move, given) for move in of_picture for given in (True, False)):
            kind = "mask" if given else "no mask"
            for name, path in _paths(runtime, drag, mask):
                decibels, sharpness = _compare(runtime, picture, path, mask if given else None, steps)
                found = scores.setdefault(f"{name}, {kind}", ([], []))
                found[0].append(decibels)
                found[1].append(sharpness)
    return {
        name: {
            "psnr_db": mean(decibels, 2),
            "least_psnr_db": round(min(decibels), 2),
            "sharpness": mean(sharpness, 3),
            "least_sharpness": round(min(sharpness), 3),
        }
        for name, (decibels, sharpness) in scores.items()
    }


def _paths(runtime: Runtime, drag: Drag, mask: np.ndarray) -> list[tuple[str, list[Drag]]]:
    """The rounds of each kind, each a list of drags one after the other."""
    handle, target = np.array(drag[0]), np.array(drag[1])
    points = np.array([[*handle, *target]], np.float32)
    margin = runtime.bundle.manifest["window"]["margin"]
    pixel = float(window_around(box_of(mask), mask.shape, points, margin, runtime.bundle.sizes).scale.mean())
    away = target - handle
    beside = np.array([-away[1], away[0]]) / max(float(np.hypot(*away)), 1e-6)
    paths = []
    for miss in MISSES:
        end = handle + miss * pixel * beside
        paths.append((f"nearly back, {miss:g} px off", [drag, _drag(target, end)]))
    grab = target + GRABBED_OFF * pixel * beside
    paths.append((f"nearly back, grabbed {GRABBED_OFF:g} px off", [drag, _drag(grab, handle + 3 * pixel * beside)]))
    share = np.linspace(0, 1, SMALL_DRAGS + 1)[:, None]
    way = handle + share * away + SWAY * np.sin(np.pi * share) * np.hypot(*away) * beside
    paths.append((f"{SMALL_DRAGS} small drags", [_drag(a, b) for a, b in pairwise(way)]))
    return paths


def _drag(handle: np.ndarray, target: np.ndarray) -> Drag:
    (x, y), (u, v) = handle.tolist(), target.tolist()
    return (x, y), (u, v)


def _compare(
    runtime: Runtime, picture: Picture, path: list[Drag], mask: np.ndarray | None, steps: int | None
) -> tuple[float, float]:
    """PSNR of rounds against the one drag that should look the same, where either changes the photo, and the ratio of
    their sharpness."""
    photo = runtime.load(picture.pixels)
    changed = np.zeros(photo.image.shape[:2], bool)
    for drag in path:
        edit = photo.drag([drag], mask, steps=steps)
        changed |= edit.mask
    start = np.array(path[0][0])
    total = sum((np.array(target) - np.array(handle) for handle, target in path), np.zeros(2))
    one = runtime.load(picture.pixels).drag([_drag(start, start + total)], mask, steps=steps)
    rounds, truth = as_rgb8(photo.image), as_rgb8(one.image)
    return psnr_in_mask(rounds, truth, changed), detail(rounds, changed) / max(detail(truth, changed), 1e-6)


def detail(picture: np.ndarray, mask: np.ndarray) -> float:
    """Sharpness: the mean size of the second derivatives of the grey picture in a mask."""
    grey = cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY)
    return float(np.abs(cv2.Laplacian(grey, cv2.CV_32F)[mask]).mean())


def describe(figures: dict[str, dict[str, Any]]) -> list[str]:
    """The figures as lines of text."""
    lines = ["against the one drag that should look the same: PSNR dB (least), share of the sharpness (least)"]
    for name, found in figures.items():
        cells = (found[key] for key in ("psnr_db", "least_psnr_db", "sharpness", "least_sharpness"))
        lines.append("{:<40} {:>6.2f} ({:>5.2f}) {:>7.3f} ({:.3f})".format(name, *cells))
    return lines
