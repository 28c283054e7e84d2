"""Checks of a result: did the content arrive, is there a seam or a blur, is it a picture at all.

The thresholds were measured, not chosen: `python -m edgedrag.benchmarks.quality.thresholds` prints where
true edits (real next frames) and failed ones (nothing moved, a pasted patch, a blur) lie, and
benchmarks/results/thresholds.json holds the run that these come from.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, get_args

import cv2
import numpy as np

from edgedrag.runtime.drag.blend import reveal_weight
from edgedrag.runtime.drag.composite import Generated
from edgedrag.runtime.drag.reasons import Reason, ReasonCode

Verdict = Literal["good", "doubtful", "bad"]
VERDICTS: tuple[Verdict, ...] = get_args(Verdict)  # the best first

PATCH = 7  # half-side of the matched patch, generator pixels
REACH = 16  # how far around handle and target the content is looked for, generator pixels
MIN_TEXTURE = 4.0  # standard deviation of a patch, grey levels; below, a match says nothing
DISTANCE_PENALTY = 0.002  # correlation a match loses for each pixel that it lies off the target

LANDING_GOOD = 4.0  # generator pixels; 75% of true edits are nearer
LANDING_BAD = 12.0  # 90% of true edits are nearer
LANDING_BAD_SHARE = 0.7  # of the drag's length: the content stayed where it was
SEAM_GOOD = 2.6  # grey levels; 95% of true edits are below
SEAM_BAD = 9.0  # 75% of pasted patches are above
DETAIL_GOOD = 0.77  # of the source's fine detail; 95% of true edits keep more
DETAIL_BAD = 0.59  # 95% of true frames blurred by 1.5 pixels keep less
TORN_GOOD = 0.11  # of the texture; 98% of regions pulled by half their size are above, 95% of true edits below 0.01
TORN_BAD = 0.07  # of it, apart from the drags; 99% of regions pulled by half their size are above, no true edit
DOUBTS_BAD = 2  # reasons to doubt; 2% of true edits have as many

TORN_STRETCH, TORN_CRUSH = 0.35, 2.5  # singular values of the sampling map's Jacobian
TORN_APART = 36  # generator pixels from a drag's way; nearer, what is pulled may well be drawn out
TORN_TEXTURE = 30.0  # grey levels a pixel; steeper edges count no more


@dataclass(frozen=True)
class Checks:
    """How far to trust a result.

    Attributes:
        reasons: why it is not "good", those that make it "bad" first; `str(reason)` is a sentence.
        landing_error_px: how far the worst drag's content lies from its target, in photo pixels; None
            where no handle has texture to match.
        seam: extra contrast across the mask's edge, grey levels of 255, see `seam`.
    """

    verdict: Verdict
    reasons: tuple[Reason, ...]
    landing_error_px: float | None
    seam: float


def landing_errors(before: np.ndarray, after: np.ndarray, points: np.ndarray) -> list[float | None]:
    """How far from its target each handle's content is found in the result, in pixels.

    Args:
        before, after: uint8 RGB [H, W, 3], the same window.
        points: [N, 4] in pixels of these pictures.

    Returns:
        A distance for each drag, by normalised correlation of a patch; None for a flat patch.
    """
    ring = PATCH + REACH + 1
    padded = [cv2.copyMakeBorder(i, ring, ring, ring, ring, cv2.BORDER_REFLECT_101) for i in (before, after)]
    h, w = before.shape[:2]
    errors: list[float | None] = []
    for hx, hy, tx, ty in np.round(points).astype(int).tolist():
        hx, tx, hy, ty = (min(max(v, 0), n - 1) for v, n in ((hx, w), (tx, w), (hy, h), (ty, h)))
        patch = padded[0][hy + ring - PATCH : hy + ring + PATCH + 1, hx + ring - PATCH : hx + ring + PATCH + 1]
        if cv2.meanStdDev(patch)[1].mean() < MIN_TEXTURE:
            errors.append(None)
            continue
        left, right = min(hx, tx) - REACH, max(hx, tx) + REACH
        top, bottom = min(hy, ty) - REACH, max(hy, ty) + REACH
        left, right, top, bottom = max(left, 0), min(right, w - 1), max(top, 0), min(bottom, h - 1)
        area = padded[1][top + ring - PATCH : bottom + ring + PATCH + 1, left + ring - PATCH : right + ring + PATCH + 1]
        score = cv2.matchTemplate(area, patch, cv2.TM_CCOEFF_NORMED)
        x, y = np.arange(left, right + 1)[None, :] - tx, np.arange(top, bottom + 1)[:, None] - ty
        distance = np.hypot(x, y)
        best = int(np.argmax(score - DISTANCE_PENALTY * distance))
        errors.append(float(distance.flat[best]))
    return errors


def surroundings(mask: np.ndarray) -> tuple[slice, slice]:
    """The box of the mask with two pixels around it; the rest of the window is as it was."""
    rows, columns = np.flatnonzero(mask.any(1)), np.flatnonzero(mask.any(0))
    return np.s_[max(rows[0] - 2, 0) : rows[-1] + 3, max(columns[0] - 2, 0) : columns[-1] + 3]


def seam(before: np.ndarray, after: np.ndarray, mask: np.ndarray) -> float:
    """How much steeper the result is than the source across the mask's edge, in grey levels.

    The mean step between neighbouring pixels, one inside and one outside the mask, over the result
    and not below 0 against the source. uint8 RGB [H, W, 3], bool [H, W].
    """
    grey = [cv2.cvtColor(i, cv2.COLOR_RGB2GRAY).astype(np.float32) for i in (before, after)]
    gains: list[np.ndarray] = []
    for axis in (0, 1):
        across = np.diff(mask.astype(np.int8), axis=axis) != 0
        step_before, step_after = (np.abs(np.diff(g, axis=axis))[across] for g in grey)
        gains.append(np.maximum(step_after - step_before, 0))
    gain = np.concatenate(gains)
    return float(gain.mean()) if gain.size else 0.0


def detail(before: np.ndarray, after: np.ndarray, mask: np.ndarray) -> float:
    """How much of the fine detail inside the mask is left: mean |Laplacian| of the result over the source's.

    uint8 RGB [H, W, 3], bool [H, W]; 1 where the source has none to lose.
    """
    inside = mask.astype(np.uint8)
    energy = []
    for picture in (before, after):
        fine = cv2.Laplacian(cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY), cv2.CV_16S)
        energy.append(cv2.mean(cv2.convertScaleAbs(fine), mask=inside)[0])
    return energy[1] / energy[0] if energy[0] >= 1.0 else 1.0


def torn(flow: np.ndarray, revealed: np.ndarray | None, after: np.ndarray, mask: np.ndarray) -> np.ndarray:
    """Where the result's texture was stretched, crushed or folded beyond what things do.

    The singular values of the sampling map's Jacobian say how far: below TORN_STRETCH a pixel of the source is drawn
    out over several, above TORN_CRUSH several are crushed into one. A determinant below 0 mirrors: a fold.

    Args:
        flow: float32 [H, W, 2], backward, pixels. revealed: float32 [H, W, 1] in 0..1, or None: what the generator
            drew counts as whole. after: uint8 RGB [H, W, 3]. mask: bool [H, W].

    Returns:
        float32 [H, W], each torn pixel's share of all texture inside the mask; the sum is in 0..1.
    """
    grey = cv2.cvtColor(after, cv2.COLOR_RGB2GRAY).astype(np.float32)
    grey_x, grey_y = _slopes(grey)
    texture = np.minimum(cv2.magnitude(grey_x, grey_y), TORN_TEXTURE) * mask
    (xx, xy), (yx, yy) = (_slopes(plane) for plane in cv2.split(flow))
    xx, yy = xx + 1, yy + 1
    sum_of_squares, determinant = xx * xx + xy * xy + yx * yx + yy * yy, xx * yy - xy * yx
    root = np.sqrt(np.maximum(sum_of_squares * sum_of_squares - 4 * determinant * determinant, 0))
    beyond = (sum_of_squares - root < 2 * TORN_STRETCH**2) | (sum_of_squares + root > 2 * TORN_CRUSH**2)
    beyond |= determinant < 0
    if revealed is not None:
        beyond = beyond * (1 - reveal_weight(revealed)[..., 0])
    return texture * beyond / (texture.sum() + 1e-6)


def apart(shape: tuple[int, ...], points: np.ndarray) -> np.ndarray:
    """bool [H, W], `shape`: what lies further than TORN_APART from the way of every drag. points: [N, 4] pixels."""
    near = np.zeros(shape[:2], np.uint8)
    for hx, hy, tx, ty in np.round(points).astype(int).tolist():
        cv2.line(near, (hx, hy), (tx, ty), 1, 2 * TORN_APART + 1)
    return near == 0


def _slopes(plane: np.ndarray) -> list[np.ndarray]:
    """Central differences of a plane along x and along y, edges replicated."""
    return [
        cv2.Sobel(plane, cv2.CV_32F, dx, dy, ksize=1, scale=0.5, borderType=cv2.BORDER_REPLICATE)
        for dx, dy in ((1, 0), (0, 1))
    ]


def _spread(picture: np.ndarray, mask: np.ndarray) -> float:
    """The largest standard deviation of a channel inside the mask, grey levels."""
    return float(cv2.meanStdDev(picture, mask=mask.astype(np.uint8))[1].max())


def check(
    before: np.ndarray, after: np.ndarray, mask: np.ndarray, points: np.ndarray, pixel: float, made: Generated
) -> Checks:
    """Judge an edit at the generator's size.

    Args:
        before, after: uint8 RGB [H, W, 3]. mask: bool [H, W]. points: [N, 4]. All in generator pixels.
        pixel: photo pixels that a generator pixel stands for.
        made: what the generator returned.
    """
    lengths = np.hypot(*(points[:, 2:] - points[:, :2]).T).tolist()
    landed = [(e, n) for e, n in zip(landing_errors(before, after, points), lengths) if e is not None]
    worst = max((error for error, _ in landed), default=None)
    missed = any(e > LANDING_BAD or e > max(LANDING_GOOD, LANDING_BAD_SHARE * n) for e, n in landed)
    edited = surroundings(mask)
    before, after, mask = before[edited], after[edited], mask[edited]
    tear = tear_apart = 0.0
    if made.flow is not None:
        torn_here = torn(made.flow[edited], None if made.revealed is None else made.revealed[edited], after, mask)
        corner = np.array([edited[1].start, edited[0].start] * 2)
        tear, tear_apart = float(torn_here.sum()), float(torn_here[apart(mask.shape, points - corner)].sum())
    step = seam(before, after, mask)
    bad: list[Reason] = []
    doubtful: list[Reason] = []
    if not made.is_finite():
        bad.append(Reason(ReasonCode.NOT_NUMBERS))
    elif _spread(after, mask) < 1.0 <= _spread(before, mask):
        bad.append(Reason(ReasonCode.FLAT))
    if worst is None:
        doubtful.append(Reason(ReasonCode.NO_TEXTURE))
    elif worst > LANDING_GOOD:
        (bad if missed else doubtful).append(Reason(ReasonCode.MISSED, {"pixels": round(worst * pixel)}))
    left = detail(before, after, mask)
    if left < DETAIL_GOOD:
        (bad if left < DETAIL_BAD else doubtful).append(Reason(ReasonCode.BLURRED))
    if tear > TORN_GOOD:
        (bad if tear_apart > TORN_BAD else doubtful).append(Reason(ReasonCode.STRETCHED))
    if step > SEAM_GOOD:
        (bad if step > SEAM_BAD else doubtful).append(Reason(ReasonCode.SEAM))
    verdict: Verdict = "bad" if bad or len(doubtful) >= DOUBTS_BAD else "doubtful" if doubtful else "good"
    return Checks(verdict, (*bad, *doubtful), None if worst is None else round(worst * pixel, 2), round(step, 2))
