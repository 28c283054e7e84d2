"""A photo with the outlines of what moves with a point."""

from __future__ import annotations

import cv2
import numpy as np

from edgedrag.runtime.hold.hold import Hold
from edgedrag.runtime.photo.picture import as_rgb8

ROUGH = 1 / 500  # of the hold's longer side; how far an outline may be from the border
COLOURS = ((235, 60, 50), (250, 190, 40), (60, 140, 240), (120, 210, 130))  # RGB, of the alternatives in order of size


def outline(hold: Hold) -> list[np.ndarray]:
    """The outer borders of what is held by more than a half, polygons int32 [N, 2] (x, y) in pixels of the photo.

    They are exact to ROUGH, and simpler for it.
    """
    rows, columns = hold.box
    held = (hold.map > 0.5).astype(np.uint8)
    found, _ = cv2.findContours(held, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_SIMPLE, offset=(columns.start, rows.start))
    rough = ROUGH * max(rows.stop - rows.start, columns.stop - columns.start)
    return [np.asarray(cv2.approxPolyDP(p, rough, True), np.int32).reshape(-1, 2) for p in found]


def draw_outlines(photo: np.ndarray, hold: Hold) -> np.ndarray:
    """A photo of any picture form with the outlines of a hold's alternatives and its point, uint8 RGB."""
    drawn = np.array(as_rgb8(photo))
    width = max(1, round(max(drawn.shape[:2]) / 300))
    for held, colour in reversed(list(zip(hold.alternatives, COLOURS))):
        cv2.polylines(drawn, outline(held), True, colour, width, cv2.LINE_AA)
    x, y = (round(v) for v in hold.point)
    cv2.circle(drawn, (x, y), 2 * width, (255, 255, 255), -1, cv2.LINE_AA)
    return drawn
