"""Checks of a result: is it a picture at all, and is it likely to be worth keeping.

What is measured is in `measures.py`; `verdict.py` weighs it, by a model that was fitted on judged edits.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Literal

import cv2
import numpy as np

from edgedrag.runtime.drag.composite import Generated
from edgedrag.runtime.drag.flow import wider
from edgedrag.runtime.drag.measures import Box, Measures, around, measure
from edgedrag.runtime.drag.reasons import Reason, ReasonCode
from edgedrag.runtime.drag.verdict import load_model
from edgedrag.runtime.photo.window import Window

Verdict = Literal["good", "doubtful", "bad"]

DIGITS = 4  # of measures
STILL = 0.5  # grey levels; a mean change below is none
MISSED = (8.0, 0.5)  # generator pixels, and share of the drag, off the target; no judged edit worth keeping was so far
NEAR = 2  # generator pixels; a target that is outside the mask by no more lies at its edge


@dataclass(frozen=True)
class Checks:
    """How far to trust a result.

    Attributes:
        reasons: why it is not "good", the most unusual first; `str(reason)` is a sentence, `reason.box` says where.
        landing_error_px: how far the worst drag's content lies from its target, in photo pixels; None
            where no handle has texture to match.
        seam: extra contrast across the mask's edge, grey levels of 255, see `measures.seam`.
        risk: how likely it is that a person would not keep the result, 0..1.
        measures: what the verdict was made from, by name, see `measures.measure`.
    """

    verdict: Verdict
    reasons: tuple[Reason, ...]
    landing_error_px: float | None
    seam: float
    risk: float = 0.0
    measures: Mapping[str, float] = field(default_factory=dict, hash=False, repr=False)

    def on_photo(self, window: Window) -> Checks:
        """The checks of a window, with the boxes of their reasons in pixels of the photo."""

        def enlarged(box: Box) -> Box:
            (sx, sy), (left, top, right, bottom) = window.scale.tolist(), box
            return (
                window.left + math.floor(left * sx), window.top + math.floor(top * sy),
                window.left + math.ceil(right * sx), window.top + math.ceil(bottom * sy),
            )  # fmt: skip

        placed = (r if r.box is None else replace(r, box=enlarged(r.box)) for r in self.reasons)
        return replace(self, reasons=tuple(placed))


def check(
    before: np.ndarray, after: np.ndarray, mask: np.ndarray, points: np.ndarray, pixel: float, made: Generated
) -> Checks:
    """Judge an edit at the generator's size; the boxes of the reasons are in its pixels.

    Args:
        before, after: uint8 RGB [H, W, 3]. mask: bool [H, W]. points: [N, 4]. All in generator pixels.
        pixel: photo pixels that a generator pixel stands for.
        made: what the generator returned.
    """
    found, model = measure(before, after, mask, points, made), load_model()
    risk = model.probability(found.values)
    landing = found.values.get("landing")
    broken = faults(before, after, mask, made)
    reasons = [Reason(code, box=box_of_mask(mask)) for code in broken]
    missed = all(found.values.get(n, 0.0) > limit for n, limit in zip(("landing", "landing_share"), MISSED))
    if missed:
        risk = max(risk, model.doubtful if found.values["change"] > STILL else 1.0)
    beyond = outside(points[:, 2:], mask)
    if len(beyond):
        risk = max(risk, model.doubtful)
        reasons.append(Reason(ReasonCode.OUTSIDE_MASK, box=around(beyond[0], before.shape[1::-1])))
    verdict: Verdict = "bad" if broken or risk >= model.bad else "doubtful" if risk >= model.doubtful else "good"
    if verdict != "good":
        wrong = dict.fromkeys([*([ReasonCode.MISSED] if missed else []), *model.reasons(found.values)])
        reasons += [_reason(code, found, pixel, mask) for code in wrong]
    if landing is None:
        reasons.append(Reason(ReasonCode.NO_TEXTURE, box=box_of_mask(mask)))
        verdict = "doubtful" if verdict == "good" else verdict
    return Checks(
        verdict,
        tuple(reasons),
        None if landing is None else round(landing * pixel, 2),
        round(found.values["seam"], 2),
        1.0 if broken else round(risk, 3),
        {name: round(value, DIGITS) for name, value in found.values.items()},
    )


def outside(targets: np.ndarray, mask: np.ndarray) -> np.ndarray:
    """Those of some targets [N, 2] that lie more than NEAR outside a mask, bool [H, W]."""
    x, y = np.rint(targets).astype(int).clip(0, np.array(mask.shape[::-1]) - 1).T
    return targets[~wider(mask, NEAR)[y, x]]


def faults(before: np.ndarray, after: np.ndarray, mask: np.ndarray, made: Generated) -> list[ReasonCode]:
    """What shows that the generator failed."""
    if not made.is_finite():
        return [ReasonCode.NOT_NUMBERS]
    return [ReasonCode.FLAT] if _spread(after, mask) < 1.0 <= _spread(before, mask) else []


def _reason(code: ReasonCode, found: Measures, pixel: float, mask: np.ndarray) -> Reason:
    """A reason of the model, with what its sentence names and where it is."""
    values = {"pixels": round(found.values["landing"] * pixel)} if code is ReasonCode.MISSED else {}
    where = found.box(load_model().measure_of(code, found.values))
    return Reason(code, values, where or box_of_mask(mask))


def box_of_mask(mask: np.ndarray) -> Box:
    """The smallest box that holds a mask, which is not empty."""
    left, top, width, height = cv2.boundingRect(mask.astype(np.uint8))
    return left, top, left + width, top + height


def _spread(picture: np.ndarray, mask: np.ndarray) -> float:
    """The largest standard deviation of a channel inside the mask, grey levels."""
    return float(cv2.meanStdDev(picture, mask=mask.astype(np.uint8))[1].max())
