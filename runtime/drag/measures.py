"""What is measured on a result, to judge it: each a number, and a picture of where it is at its worst.

All at the generator's size: pictures uint8 RGB [H, W, 3], masks bool [H, W], points [N, 4] (handle x, y, target x, y),
flow float32 [H, W, 2], backward. `verdict.py` weighs the numbers.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial

import cv2
import numpy as np

from edgedrag.runtime.drag.blend import reveal_weight
from edgedrag.runtime.drag.composite import Generated
from edgedrag.runtime.drag.flow import jacobian, slopes

Box = tuple[int, int, int, int]  # left, top, right, bottom; the last two are excluded

PATCH = 7  # half-side of the matched patch, generator pixels
REACH = 16  # how far around handle and target the content is looked for, generator pixels
MIN_TEXTURE = 4.0  # standard deviation of a patch, grey levels; below, a match says nothing
DISTANCE_PENALTY = 0.002  # correlation a match loses for each pixel that it lies off the target
TEXTURE = 30.0  # grey levels a pixel; steeper edges count no more
SINGULAR = (0.05, 20.0)  # range of singular values; beyond, more is not worse
PERCENTILE = 95  # of the bending inside the mask
SPREAD = 4.0  # pixels, standard deviation of the blur before the worst place is looked for
WORST = 0.5  # of the peak; what is above and joined with it is the worst place


def landing_errors(before: np.ndarray, after: np.ndarray, points: np.ndarray) -> list[float | None]:
    """How far from its target each handle's content is found in the result, in pixels.

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


def seam(before: np.ndarray, after: np.ndarray, mask: np.ndarray) -> tuple[float, np.ndarray]:
    """How much steeper the result is than the source across the mask's edge.

    Returns:
        The mean step between neighbouring pixels, one inside and one outside the mask, over the result and not below 0
        against the source, grey levels; and these steps, float32 [H, W].
    """
    grey = [cv2.cvtColor(i, cv2.COLOR_RGB2GRAY).astype(np.float32) for i in (before, after)]
    where, total, count = np.zeros(mask.shape, np.float32), 0.0, 0
    for axis in (0, 1):
        across = np.diff(mask.astype(np.int8), axis=axis) != 0
        steps = [np.abs(np.diff(g, axis=axis)) for g in grey]
        gain = np.maximum(steps[1] - steps[0], 0) * across
        where[: gain.shape[0], : gain.shape[1]] += gain
        total, count = total + float(gain.sum()), count + int(across.sum())
    return total / max(count, 1), where


def detail(before: np.ndarray, after: np.ndarray, mask: np.ndarray) -> tuple[float, np.ndarray]:
    """How much of the fine detail inside the mask is left.

    Returns:
        The mean |Laplacian| of the result over the source's, 1 where the source has none to lose; and what is lost,
        float32 [H, W].
    """
    grey = (cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY) for picture in (before, after))
    fine = [cv2.convertScaleAbs(cv2.Laplacian(plane, cv2.CV_16S)) for plane in grey]
    energy = [cv2.mean(one, mask=mask.astype(np.uint8))[0] for one in fine]
    share = energy[1] / energy[0] if energy[0] >= 1.0 else 1.0
    return share, cv2.subtract(fine[0], fine[1]).astype(np.float32) * mask


@dataclass(frozen=True)
class Distortion:
    """How a flow distorts what it shows, inside a mask.

    The singular values of the sampling map's Jacobian say how far content is drawn out or crushed, their ratio how far
    it is sheared or stretched, which a turn or an enlargement does not do; a determinant below 0 mirrors: a fold.

    Attributes:
        texture: float32 [H, W], the result's gradient up to TEXTURE, 0 outside the mask and where the generator drew.
        strain, stretch: the sum of the logarithms' amounts, and their difference. fold: 1 where mirrored.
        bend: the flow's |Laplacian|, 1/pixel: straight lines are bent there.
    """

    texture: np.ndarray
    strain: np.ndarray
    stretch: np.ndarray
    fold: np.ndarray
    bend: np.ndarray

    def mean(self, field: np.ndarray) -> float:
        """The mean of a field, weighted by texture: what is not seen does not count."""
        return float((self.texture * field).sum() / (self.texture.sum() + 1e-6))


def distortion(flow: np.ndarray, revealed: np.ndarray | None, after: np.ndarray, mask: np.ndarray) -> Distortion:
    """The distortion of a result by its flow; `revealed` float32 [H, W, 1] in 0..1, or None."""
    texture = np.minimum(cv2.magnitude(*slopes(cv2.cvtColor(after, cv2.COLOR_RGB2GRAY).astype(np.float32))), TEXTURE)
    texture *= mask if revealed is None else mask * (1 - reveal_weight(revealed)[..., 0])
    squares, root, determinant = jacobian(flow)
    low, high = (np.clip(squares + sign * root, 2 * SINGULAR[0] ** 2, 2 * SINGULAR[1] ** 2) for sign in (-1, 1))
    low, high = 0.5 * np.log(0.5 * low), 0.5 * np.log(0.5 * high)
    bend = np.sum([np.abs(cv2.Laplacian(plane, cv2.CV_32F)) for plane in cv2.split(flow)], 0)
    return Distortion(texture, np.abs(low) + np.abs(high), high - low, (determinant < 0).astype(np.float32), bend)


@dataclass(frozen=True)
class Measures:
    """The numbers, and where each is at its worst.

    Attributes:
        values: by name; a number that cannot be measured is left out.
    """

    values: Mapping[str, float]
    _where: Mapping[str, Callable[[], Box | None]]

    def box(self, name: str) -> Box | None:
        """Where a number is at its worst, in generator pixels; None where that cannot be said."""
        return self._where[name]() if name in self._where else None


def measure(before: np.ndarray, after: np.ndarray, mask: np.ndarray, points: np.ndarray, made: Generated) -> Measures:
    """Measure a result.

    Returns:
        `landing`: how far the worst drag's content lies from its target, pixels; `landing_share`: the same as a share
        of the drag; `detail_lost`: the logarithm of the share of fine detail that is left, negated, not below 0;
        `seam`, grey levels; `change`: the mean difference from the source in the mask, grey levels; `length`: of the
        longest drag, as a share of the root of the mask's area; and of bundles that give a flow `strain`, `stretch`
        and `fold` (see `Distortion`, means weighted by texture), `stretched`: all stretched texture, and `bend`;
        `fill`: how deep the filled ground is, the largest distance of what was drawn from what was there, pixels.
    """
    size = before.shape[1::-1]
    lengths = np.hypot(*(points[:, 2:] - points[:, :2]).T)
    errors = landing_errors(before, after, points)
    part = surroundings(mask)
    corner = (part[1].start, part[0].start)
    before, after, mask = before[part], after[part], mask[part]
    step, steps = seam(before, after, mask)
    left, lost = detail(before, after, mask)
    values = {
        "detail_lost": max(0.0, -float(np.log(max(left, 1e-3)))),
        "seam": step,
        "change": float(cv2.absdiff(before, after)[mask].mean()),
        "length": float(lengths.max() / np.sqrt(mask.sum())),
    }
    where: dict[str, Callable[[], Box | None]] = {
        "detail_lost": lambda: worst_place(lost, corner),
        "seam": lambda: worst_place(steps, corner),
    }
    found = [(error, length, n) for n, (error, length) in enumerate(zip(errors, lengths.tolist())) if error is not None]
    if found:
        values["landing"], _, farthest = max(found)
        values["landing_share"] = max(error / max(length, 1.0) for error, length, _ in found)
        where["landing"] = where["landing_share"] = lambda: around(points[farthest, 2:], size)
    if made.revealed is not None and made.is_finite():
        depth = fill_depth(made.revealed[part], mask)
        values["fill"] = float(depth.max())
        where["fill"] = lambda: worst_place(depth, corner)
    if made.flow is not None and made.is_finite():
        bent = distortion(made.flow[part], None if made.revealed is None else made.revealed[part], after, mask)
        values |= {
            "strain": bent.mean(bent.strain),
            "stretch": bent.mean(bent.stretch),
            "stretched": float((bent.texture * bent.stretch).sum()) / 1e4,
            "fold": bent.mean(bent.fold),
            "bend": float(np.percentile(bent.bend[mask], PERCENTILE)),
        }
        for name, field in (
            ("strain", bent.strain), ("stretch", bent.stretch), ("stretched", bent.stretch), ("fold", bent.fold),
            ("bend", bent.bend),
        ):  # fmt: skip
            where[name] = partial(worst_place, bent.texture * field, corner)
    return Measures(values, where)


def fill_depth(revealed: np.ndarray, mask: np.ndarray) -> np.ndarray:
    """How far each pixel inside a mask that is drawn rather than moved lies from one that is not, float32 [H, W]."""
    drawn = (reveal_weight(revealed)[..., 0] > 0.5) & mask
    return cv2.distanceTransform(drawn.astype(np.uint8), cv2.DIST_L2, 3)


def worst_place(where: np.ndarray, corner: tuple[int, int]) -> Box | None:
    """The box of the worst place of a picture [H, W] whose corner (x, y) lies in a larger one; None if it is 0."""
    blurred = cv2.GaussianBlur(where, (0, 0), SPREAD, borderType=cv2.BORDER_CONSTANT)
    _, peak, _, (x, y) = cv2.minMaxLoc(blurred)
    if not peak > 0:
        return None
    _, pieces = cv2.connectedComponents((blurred >= WORST * peak).astype(np.uint8))
    left, top, width, height = cv2.boundingRect((pieces == pieces[y, x]).astype(np.uint8))
    return left + corner[0], top + corner[1], left + width + corner[0], top + height + corner[1]


def around(point: np.ndarray, size: tuple[int, int]) -> Box:
    """The box of the patch that is looked for at a point (x, y), inside a picture of this size (width, height)."""
    x, y = (min(max(round(float(v)), 0), n - 1) for v, n in zip(point, size))
    return max(x - PATCH, 0), max(y - PATCH, 0), min(x + PATCH + 1, size[0]), min(y + PATCH + 1, size[1])
