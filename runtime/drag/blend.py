"""How the moved photo and the generator's pixels become the edit: one definition for every renderer.

At a pixel, let M be the photo moved by the flow, G the generator's colour and W the generator's input moved by the
same flow. Then

    edit = M + w (G - M) + c        w = reveal_weight(revealed)        c = (1 - w) m (G - W)

Where the flow shows nothing real (w = 1) the generator's pixels are the edit. Elsewhere the photo's own pixels keep
their sharpness, and what the generator changes in its input is added to them. m is smoothstep of the flow's length,
so that what does not move stays as it is, times smoothstep of the distance to the nearest target over TARGET_FADE:
there the dragged content is shown as it is.

`compose` (composite.py) renders one edit this way. The edit stack (runtime/session/edit_stack.py) keeps w G, not G,
and renders with `blend_premultiplied`. Training uses the same in PyTorch, generator/networks/blend.py; a test compares
the two.
"""

from __future__ import annotations

import cv2
import numpy as np

from edgedrag.runtime.drag.flow import warp

REVEAL_RANGE = (0.5, 0.9)  # of a revealed map; below, the moved photo alone; above, the generator's pixels alone
TARGET_FADE = 48.0  # generator pixels around a target over which the generator's change fades in

RIM_FADE = 24.0  # generator pixels from the edge of what is revealed over which the generator's tint of it fades in


def smoothstep(values: np.ndarray) -> np.ndarray:
    """3 t^2 - 2 t^3 with t = values clipped to 0..1."""
    t = np.clip(values, 0, 1)
    weight = 3 - 2 * t
    weight *= t
    weight *= t
    return weight


def reveal_weight(revealed: np.ndarray) -> np.ndarray:
    """The weight w of the generator's pixels, from a revealed map in 0..1; 0 where the map is unsure."""
    low, high = REVEAL_RANGE
    return smoothstep((revealed - np.float32(low)) * np.float32(1 / (high - low)))


def generated_change(
    picture: np.ndarray, targets: np.ndarray, result: np.ndarray, flow: np.ndarray, revealed: np.ndarray
) -> np.ndarray:
    """c, what the generator adds to the moved photo, float32 [H, W, 3] in -1..1.

    Args:
        picture: the window at the generator's size, uint8 RGB [H, W, 3].
        targets: [N, 2] as x, y in its pixels.
        result: float32 [H, W, 3] in 0..1.
        flow: float32 [H, W, 2], backward.
        revealed: float32 [H, W, 1] in 0..1.
    """
    change = result - warp(picture.astype(np.float32), flow) * np.float32(1 / 255)
    change *= (1 - reveal_weight(revealed)) * smoothstep(np.linalg.norm(flow, axis=-1, keepdims=True))
    change *= smoothstep(_distances(targets, flow.shape[:2]) * np.float32(1 / TARGET_FADE))
    return change


def deep(revealed: np.ndarray) -> np.ndarray:
    """How deep in what is revealed, float32 [H, W, 1] in 0..1, a pixel lies: 1 from RIM_FADE pixels inside on."""
    drawn = (reveal_weight(revealed) > 0.5).astype(np.uint8)
    return smoothstep(cv2.distanceTransform(drawn, cv2.DIST_L2, 3) * np.float32(1 / RIM_FADE))[..., None]


def blend(moved: np.ndarray, drawn: np.ndarray, weight: np.ndarray) -> None:
    """moved <- moved + weight (drawn - moved), in place; `drawn` is overwritten."""
    drawn -= moved
    drawn *= weight
    moved += drawn


def blend_premultiplied(moved: np.ndarray, weighted: np.ndarray, weight: np.ndarray) -> np.ndarray:
    """The same where weighted = weight drawn is what is stored: moved (1 - weight) + weighted."""
    return moved * (1 - weight) + weighted


def _distances(points: np.ndarray, shape: tuple[int, int]) -> np.ndarray:
    """Of each pixel from the nearest of the points [N, 2], in pixels, float32 [h, w, 1]; points at whole pixels."""
    apart = np.ones(shape, np.uint8)
    x, y = np.rint(points).astype(int).T
    apart[y.clip(0, shape[0] - 1), x.clip(0, shape[1] - 1)] = 0
    return cv2.distanceTransform(apart, cv2.DIST_L2, cv2.DIST_MASK_PRECISE)[..., None]
