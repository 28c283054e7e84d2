"""Outlines of what moves with a point, for the page: found in a small picture of the photo, in milliseconds."""

from __future__ import annotations

import cv2
import numpy as np

from edgedrag.runtime.hold.hold import Hold

ROUGH = 0.7  # pixels of the small picture; how far an outline may be from the border
SMALLEST = 6  # square pixels of it; smaller pieces have no outline, unless there is no other

Polygons = list[list[list[float]]]  # x, y in pixels of the photo


def outline(hold: Hold) -> Polygons:
    """The outer borders of what moves by more than a half."""
    held = (hold.on_medium() > 0.5).astype(np.uint8)
    found, _ = cv2.findContours(held, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_SIMPLE)
    large = [contour for contour in found if cv2.contourArea(contour) >= SMALLEST] or found
    scale = np.array(hold.photo_shape[::-1]) / held.shape[::-1]
    lines = (cv2.approxPolyDP(contour, ROUGH, True).reshape(-1, 2) for contour in large)
    return [np.round((line + 0.5) * scale - 0.5, 1).tolist() for line in lines]
