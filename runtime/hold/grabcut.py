"""The answers of bundles without graphs for the hold: GrabCut around the point, in three reaches."""

from __future__ import annotations

import cv2
import numpy as np

SIDE = 160  # pixels; the longer side of the picture that is cut
ROUNDS = 2
REACHES = (0.4, 0.5, 0.6)  # of the answers, as shares of the longer side; beyond its reach nothing is held
SEED = 3  # pixels around the point that are held in any case


def grabcut_answers(picture: np.ndarray, point: np.ndarray) -> np.ndarray:
    """Part, thing and group as 0 or 1, float32 [3, h, w], of a picture (uint8 RGB) at a point in its pixels.

    The same for the same picture: GrabCut's clusters are seeded.
    """
    height, width = picture.shape[:2]
    scale = min(1.0, SIDE / max(height, width))
    size = (max(1, round(width * scale)), max(1, round(height * scale)))
    small = cv2.resize(picture, size, interpolation=cv2.INTER_AREA)
    at = np.clip(np.rint((point + 0.5) * scale - 0.5).astype(int), 0, np.array(size) - 1)
    return np.stack([cv2.resize(cut(small, at, reach), (width, height)) for reach in REACHES])


def cut(small: np.ndarray, at: np.ndarray, reach: float, rounds: int = ROUNDS) -> np.ndarray:
    """GrabCut (Rother et al., SIGGRAPH 2004) at a pixel `at` (x, y), float32 [h, w], 0 or 1."""
    radius = reach * max(small.shape[:2])
    seeds = np.full(small.shape[:2], cv2.GC_BGD, np.uint8)
    cv2.circle(seeds, at.tolist(), max(4, int(0.8 * radius)), cv2.GC_PR_BGD, -1)
    cv2.circle(seeds, at.tolist(), max(3, int(0.35 * radius)), cv2.GC_PR_FGD, -1)
    cv2.circle(seeds, at.tolist(), SEED, cv2.GC_FGD, -1)
    cv2.setRNGSeed(0)
    try:
        cv2.grabCut(small, seeds, (0, 0, 0, 0), np.zeros((1, 65)), np.zeros((1, 65)), rounds, cv2.GC_INIT_WITH_MASK)
    except cv2.error:  # too few pixels of the background to model: the disc around the point stays
        pass
    inside = ((seeds == cv2.GC_FGD) | (seeds == cv2.GC_PR_FGD)).astype(np.uint8)
    return cv2.morphologyEx(inside, cv2.MORPH_OPEN, np.ones((3, 3), np.uint8)).astype(np.float32)
