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
from edgedrag.runtime.drag.flow import grid, jacobian, nonzero, slopes

Box = tuple[int, int, int, int]  # left, top, right, bottom; the last two are excluded
Part = tuple[slice, slice]  # rows, columns

PATCH = 7  # half-side of the matched patch, generator pixels
REACH = 16  # how far around handle and target the content is looked for, generator pixels
MIN_TEXTURE = 4.0  # standard deviation of a patch, grey levels; below, a match says nothing
DISTANCE_PENALTY = 0.002  # correlation a match loses for each pixel that it lies off the target
TEXTURE = 30.0  # grey levels a pixel; steeper edges count no more
SINGULAR = (0.05, 20.0)  # range of singular values; beyond, more is not worse
AROUND = 5  # pixels, side of the square in which the photo has an edge that explains one of the result
SHARP = 40.0  # grey levels a pixel; an unexplained edge that is steeper is not worse
BEGINS = 0.1  # of what is revealed; from there on an edge is the ground's
SPLIT = 1.5  # pixels that the sources of two neighbours lie further apart than they do: torn between them
CONTOUR = 20.0  # grey levels a pixel; along an edge of the photo as steep as this a thing may part from its ground
SPREAD = 4  # pixels; a field is averaged over squares of this side and blurred before its worst place is looked for
WORST = 0.5  # of the peak; what is above and joined with it is the worst place


@dataclass(frozen=True)
class Landing:
    """Where a handle's content is found in the result.

    Attributes:
        error: how far it lies from the target, pixels.
        changed: 0..2, one minus the normalised correlation of the handle's patch with the one found.
    """

    error: float
    changed: float


def landings(before: np.ndarray, after: np.ndarray, points: np.ndarray) -> list[Landing | None]:
    """Look for each handle's content in the result, by normalised correlation of a patch; None for a flat patch."""
    ring = PATCH + REACH + 1
    padded = [cv2.copyMakeBorder(i, ring, ring, ring, ring, cv2.BORDER_REFLECT_101) for i in (before, after)]
    h, w = before.shape[:2]
    found: list[Landing | None] = []
    for hx, hy, tx, ty in np.round(points).astype(int).tolist():
        hx, tx, hy, ty = (min(max(v, 0), n - 1) for v, n in ((hx, w), (tx, w), (hy, h), (ty, h)))
        patch = padded[0][hy + ring - PATCH : hy + ring + PATCH + 1, hx + ring - PATCH : hx + ring + PATCH + 1]
        if cv2.meanStdDev(patch)[1].mean() < MIN_TEXTURE:
            found.append(None)
            continue
        left, right = min(hx, tx) - REACH, max(hx, tx) + REACH
        top, bottom = min(hy, ty) - REACH, max(hy, ty) + REACH
        left, right, top, bottom = max(left, 0), min(right, w - 1), max(top, 0), min(bottom, h - 1)
        area = padded[1][top + ring - PATCH : bottom + ring + PATCH + 1, left + ring - PATCH : right + ring + PATCH + 1]
        score = cv2.matchTemplate(area, patch, cv2.TM_CCOEFF_NORMED)
        x, y = np.arange(left, right + 1)[None, :] - tx, np.arange(top, bottom + 1)[:, None] - ty
        distance = np.hypot(x, y)
        best = int(np.argmax(score - DISTANCE_PENALTY * distance))
        found.append(Landing(float(distance.flat[best]), 1 - float(score.flat[best])))
    return found


def surroundings(mask: np.ndarray) -> Part:
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

    The singular values of the sampling map's Jacobian say how far content is drawn out or crushed; a determinant below
    0 mirrors: a fold.

    Attributes:
        texture: float32 [H, W], the result's gradient up to TEXTURE, 0 outside the mask and where the generator drew:
            what is not seen does not count.
        strain: the sum of the logarithms' amounts. fold: 1 where mirrored.
    """

    texture: np.ndarray
    strain: np.ndarray
    fold: np.ndarray


def distortion(flow: np.ndarray, revealed: np.ndarray | None, slope: np.ndarray, mask: np.ndarray) -> Distortion:
    """The distortion of a result by its flow.

    Args:
        revealed: float32 [H, W, 1] in 0..1, or None. slope: the result's gradient, float32 [H, W].
    """
    texture = np.minimum(slope, TEXTURE)
    texture *= mask if revealed is None else mask * (1 - reveal_weight(revealed)[..., 0])
    squares, root, determinant = jacobian(flow)
    low, high = (np.clip(squares + sign * root, 2 * SINGULAR[0] ** 2, 2 * SINGULAR[1] ** 2) for sign in (-1, 1))
    low, high = 0.5 * np.log(0.5 * low), 0.5 * np.log(0.5 * high)
    return Distortion(texture, np.abs(low) + np.abs(high), (determinant < 0).astype(np.float32))


@dataclass(frozen=True)
class Tears:
    """What a result shows that its photo does not explain, float32 [H, W], 0 outside the mask.

    Attributes:
        edges: how much steeper the result is than the photo around the place that it shows, grey levels a pixel, up to
            SHARP: torn outlines, specks. ground: the same in the filled ground and where it begins.
        cuts: the result's gradient, up to TEXTURE, where neighbours come from apart (SPLIT) and the photo has no
            contour there: a thing is cut through.
    """

    edges: np.ndarray
    ground: np.ndarray
    cuts: np.ndarray


def tears(before_slope: np.ndarray, after_slope: np.ndarray, made: Generated, mask: np.ndarray, part: Part) -> Tears:
    """The tears of a result with a flow, in a part of its window.

    Args:
        before_slope: the photo's gradient, float32 [H, W]. after_slope: the result's in the part, float32 [h, w].
        mask: bool [h, w], of the part.
    """
    assert made.flow is not None
    flow = shown = made.flow[part]
    ground, unseen = np.zeros(mask.shape, bool), ~mask
    if made.revealed is not None:
        revealed = made.revealed[part][..., 0]
        drawn = reveal_weight(revealed) > 0.5
        if made.ground is None:
            unseen |= drawn  # the generator's own pixels show nothing of the photo
        elif drawn.any():
            shown, ground = flow.copy(), revealed > BEGINS
            shown[drawn] = made.ground.offsets[part][drawn]
    at_x, at_y = cv2.split(shown)
    x, y = grid(mask.shape)
    at_x += x + part[1].start
    at_y += y + part[0].start
    edge = cv2.dilate(before_slope, np.ones((AROUND, AROUND), np.uint8))
    explained = cv2.remap(edge, at_x, at_y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    edges = np.minimum(cv2.subtract(after_slope, explained), SHARP)
    edges[(edges < 0) | unseen] = 0
    in_ground = edges * ground
    across, along = (np.abs(np.diff(flow, axis=axis)) > SPLIT for axis in (1, 0))
    apart = np.zeros(mask.shape, bool)
    apart[:, 1:] |= across[..., 0] | across[..., 1]
    apart[1:] |= along[..., 0] | along[..., 1]
    apart &= mask
    cuts = np.zeros(mask.shape, np.float32)
    cuts[apart] = np.minimum(after_slope[apart], TEXTURE) * np.maximum(1 - explained[apart] / np.float32(CONTOUR), 0)
    return Tears(edges - in_ground, in_ground, cuts)


def slope_of(picture: np.ndarray) -> np.ndarray:
    """The gradient's length of a picture's grey, grey levels a pixel, float32 [H, W]."""
    return cv2.magnitude(*slopes(cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY).astype(np.float32)))


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
        of the drag; `changed`: how unlike its handle the most unlike content that landed is, see `Landing`;
        `detail_lost`: the logarithm of the share of fine detail that is left, negated, not below 0; `seam`, grey
        levels; `change`: the mean difference from the source in the mask, grey levels; and of bundles that give a flow
        `edges`, `ground`, `cuts` and the `strain` of texture, each at its worst place (see `Tears`, `Distortion`),
        `fold`, the share of texture, and `fill`: how deep the filled ground is, the largest distance of what was drawn
        from what was there, pixels.
    """
    size = before.shape[1::-1]
    values, where = _measure_landing(before, after, points, size)
    part = surroundings(mask)
    corner = (part[1].start, part[0].start)
    inside = mask[part]
    step, steps = seam(before[part], after[part], inside)
    left, lost = detail(before[part], after[part], inside)
    values |= {
        "detail_lost": max(0.0, -float(np.log(max(left, 1e-3)))),
        "seam": step,
        "change": float(cv2.absdiff(before[part], after[part])[inside].mean()),
    }
    fields = {"detail_lost": lost, "seam": steps}
    if made.revealed is not None and made.is_finite():
        filled = inside if made.ground is None else inside & nonzero(made.ground.offsets[part])
        fields["fill"] = fill_depth(made.revealed[part], filled)
        values["fill"] = float(fields["fill"].max())
    if made.flow is not None and made.is_finite():
        slope = slope_of(after[part])
        torn = tears(slope_of(before), slope, made, inside, part)
        bent = distortion(made.flow[part], None if made.revealed is None else made.revealed[part], slope, inside)
        strain, fold = bent.texture * bent.strain, bent.texture * bent.fold
        fields |= {"edges": torn.edges, "ground": torn.ground, "cuts": torn.cuts, "strain": strain, "fold": fold}
        values |= {name: float(spread(fields[name]).max()) for name in ("edges", "ground", "cuts", "strain")}
        values["fold"] = float(fields["fold"].sum() / (bent.texture.sum() + 1e-6))
    where |= {name: partial(worst_place, field, corner) for name, field in fields.items()}
    return Measures(values, where)


def _measure_landing(
    before: np.ndarray, after: np.ndarray, points: np.ndarray, size: tuple[int, int]
) -> tuple[dict[str, float], dict[str, Callable[[], Box | None]]]:
    """What is measured of drags on texture, and the places of their worst ones."""
    lengths = np.hypot(*(points[:, 2:] - points[:, :2]).T).tolist()
    found = [(one, n) for n, one in enumerate(landings(before, after, points)) if one is not None]
    if not found:
        return {}, {}
    farthest = max(found, key=lambda pair: pair[0].error)
    unlike = max(found, key=lambda pair: pair[0].changed)
    values = {
        "landing": farthest[0].error,
        "landing_share": max(one.error / max(lengths[n], 1.0) for one, n in found),
        "changed": unlike[0].changed,
    }
    places = {"landing": farthest[1], "landing_share": farthest[1], "changed": unlike[1]}
    return values, {name: partial(around, points[n, 2:], size) for name, n in places.items()}


def fill_depth(revealed: np.ndarray, mask: np.ndarray) -> np.ndarray:
    """How far each pixel inside a mask that is drawn rather than moved lies from one that is not, float32 [H, W]."""
    drawn = (reveal_weight(revealed)[..., 0] > 0.5) & mask
    return cv2.distanceTransform(drawn.astype(np.uint8), cv2.DIST_L2, 3)


def spread(field: np.ndarray) -> np.ndarray:
    """A field [H, W] averaged over squares of SPREAD pixels and blurred: a place counts, not a pixel."""
    height, width = (-(-n // SPREAD) for n in field.shape)
    whole = cv2.copyMakeBorder(
        field, 0, height * SPREAD - field.shape[0], 0, width * SPREAD - field.shape[1], cv2.BORDER_CONSTANT
    )
    small = cv2.resize(whole, (width, height), interpolation=cv2.INTER_AREA)
    return cv2.GaussianBlur(small, (5, 5), 1.0, borderType=cv2.BORDER_CONSTANT)


def worst_place(field: np.ndarray, corner: tuple[int, int]) -> Box | None:
    """The box of the worst place of a field [H, W] whose corner (x, y) lies in a larger one; None if it is 0."""
    coarse = spread(field.astype(np.float32))
    _, peak, _, (x, y) = cv2.minMaxLoc(coarse)
    if not peak > 0:
        return None
    _, pieces = cv2.connectedComponents((coarse >= WORST * peak).astype(np.uint8))
    left, top, width, height = (SPREAD * n for n in cv2.boundingRect((pieces == pieces[y, x]).astype(np.uint8)))
    right, bottom = min(left + width, field.shape[1]), min(top + height, field.shape[0])
    return left + corner[0], top + corner[1], right + corner[0], bottom + corner[1]


def around(point: np.ndarray, size: tuple[int, int]) -> Box:
    """The box of the patch that is looked for at a point (x, y), inside a picture of this size (width, height)."""
    x, y = (min(max(round(float(v)), 0), n - 1) for v, n in zip(point, size))
    return max(x - PATCH, 0), max(y - PATCH, 0), min(x + PATCH + 1, size[0]), min(y + PATCH + 1, size[1])
