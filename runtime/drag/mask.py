"""The editable region: a given mask checked, or a mask made from the drags."""

from __future__ import annotations

import cv2
import numpy as np

from edgedrag.runtime.errors import InputError
from edgedrag.runtime.photo.picture import Picture

WORK_SIDE = 144  # pixels; the automatic mask is found in a picture of this size
GRABCUT_ROUNDS = 2
LOSSY_HALF = 128  # of 255; a lossy file's black and white are not exact
MARGIN = 5  # pixels of that picture by which the moving region is dilated,
MARGIN_SHARE = 0.5  # plus this share of the longest drag: surroundings are stretched further by longer drags


def check_mask(mask: np.ndarray | Picture, height: int, width: int) -> np.ndarray:
    """A mask image or array as bool [H, W]: nonzero may change, or at least half where it comes from a lossy file.

    With transparency, the alpha channel is the mask where what is visible has one colour, and the colour is where
    alpha is the same everywhere.

    Raises:
        InputError: of another size than the photo, not a number, empty, or of both colour and alpha that vary.
    """
    lossy = isinstance(mask, Picture) and mask.lossy
    mask = np.asarray(mask.pixels if isinstance(mask, Picture) else mask)
    if mask.ndim == 3:
        mask = _one_channel(mask)
    if mask.shape != (height, width):
        size = " x ".join(str(n) for n in mask.shape[::-1])
        raise InputError(f"mask: {size} pixels, but the photo has {width} x {height}")
    if mask.dtype.kind == "f" and not np.isfinite(mask).all():
        raise InputError("mask: holds values that are not numbers")
    mask = mask >= LOSSY_HALF if lossy else mask != 0
    if not mask.any():
        raise InputError("mask: empty; nonzero pixels are the ones that may change")
    return mask


def _one_channel(mask: np.ndarray) -> np.ndarray:
    """The channel of an image [H, W, channels] that is the mask, or the brightest of its colours."""
    colours = 1 if mask.shape[2] == 2 else 3
    colour, alpha = mask[..., :colours].max(-1), mask[..., colours:]
    if not alpha.size or (alpha == alpha.flat[0]).all():
        return colour
    seen = mask[alpha[..., 0] > 0][:, :colours]
    if (seen == seen[:1]).all():
        return np.asarray(alpha[..., 0])
    raise InputError("mask: both its colour and its transparency vary; make one of them the same everywhere")


def automatic_mask(picture: np.ndarray, points: np.ndarray) -> np.ndarray:
    """A region from the drags alone: the segment under each handle (GrabCut), swept to its target.

    Args:
        picture: uint8 [H, W, 3].
        points: [N, 4] in pixels of the picture.

    Returns:
        bool [H, W], true at every handle and target.
    """
    height, width = picture.shape[:2]
    reach = max(1.5 * float(np.hypot(*(points[:, 2:] - points[:, :2]).T).max()), 0.12 * max(height, width), 8.0)
    ends = points.reshape(-1, 2)
    left, top = np.maximum(np.floor(ends.min(0) - reach), 0).astype(int)
    right, bottom = np.minimum(np.ceil(ends.max(0) + reach) + 1, (width, height)).astype(int)
    box = picture[top:bottom, left:right]
    scale = min(1.0, WORK_SIDE / max(box.shape[:2]))
    small = cv2.resize(box, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
    h, w = small.shape[:2]
    at = (points - np.array([left, top, left, top])) * scale
    at = np.clip(np.round(at).astype(int), 0, [w - 1, h - 1, w - 1, h - 1])

    segment = _segment(small, at, reach * scale)
    _, parts = cv2.connectedComponents(segment)
    region = np.zeros((h, w), np.uint8)
    for hx, hy, tx, ty in at.tolist():
        part = (parts == parts[hy, hx]).astype(np.uint8)
        steps = max(1, int(np.hypot(tx - hx, ty - hy) / 2))
        for k in range(steps + 1):
            shift = np.array([[1, 0, (tx - hx) * k / steps], [0, 1, (ty - hy) * k / steps]], np.float32)
            region |= cv2.warpAffine(part, shift, (w, h), flags=cv2.INTER_NEAREST)
        cv2.circle(region, (tx, ty), 3, 1, -1)
    longest = float(np.hypot(*(at[:, 2:] - at[:, :2]).T).max())
    around = 2 * (MARGIN + round(MARGIN_SHARE * longest)) + 1
    region = cv2.dilate(region, cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (around, around)))

    mask = np.zeros((height, width), bool)
    smooth = cv2.resize(region.astype(np.float32), box.shape[1::-1], interpolation=cv2.INTER_LINEAR)
    mask[top:bottom, left:right] = smooth > 0.5
    mask[np.round(ends[:, 1]).astype(int), np.round(ends[:, 0]).astype(int)] = True
    return mask


def _segment(small: np.ndarray, at: np.ndarray, reach: float) -> np.ndarray:
    """GrabCut (Rother et al., SIGGRAPH 2004) around the handles, uint8 {0, 1}; every handle is inside."""
    h, w = small.shape[:2]
    seeds = np.full((h, w), cv2.GC_BGD, np.uint8)
    for hx, hy in at[:, :2].tolist():
        cv2.circle(seeds, (hx, hy), max(4, int(0.8 * reach)), cv2.GC_PR_BGD, -1)
    for hx, hy in at[:, :2].tolist():
        cv2.circle(seeds, (hx, hy), max(3, int(0.35 * reach)), cv2.GC_PR_FGD, -1)
    for hx, hy in at[:, :2].tolist():
        cv2.circle(seeds, (hx, hy), 2, cv2.GC_FGD, -1)
    cv2.setRNGSeed(0)  # GrabCut's clusters start at random
    try:
        cv2.grabCut(
            small, seeds, (0, 0, 0, 0), np.zeros((1, 65)), np.zeros((1, 65)), GRABCUT_ROUNDS, cv2.GC_INIT_WITH_MASK
        )
    except cv2.error:  # too few background pixels to model: keep the seeds' discs
        pass
    return ((seeds == cv2.GC_FGD) | (seeds == cv2.GC_PR_FGD)).astype(np.uint8)
