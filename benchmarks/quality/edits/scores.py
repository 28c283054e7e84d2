"""Scores of one task: the unedited photo, a plain warp, the edit, and the best of its candidates.

Frame pairs are compared with the true frame inside the given mask; pulls where the true region or the edit's own mask
lies; DragBench's samples by where the handle's content lands (XFeat) and by how much else changed (ST-LPIPS). Of the
candidates and the edit the one with the best figure counts as the best, so that column is what a perfect choice gives.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from edgedrag.benchmarks.quality.baselines import inverse_distance_warp, unedited
from edgedrag.benchmarks.quality.edits.subject import Answer
from edgedrag.benchmarks.quality.edits.tasks import BEST, DRAGBENCH, PAIRS, PULLS, UNEDITED, EditTask
from edgedrag.benchmarks.quality.methods import OWN, WARP
from edgedrag.metrics.drag_sets import Task
from edgedrag.metrics.pixels import psnr_in_mask
from edgedrag.metrics.stlpips import STLPIPS
from edgedrag.metrics.xfeat import XFeat, landings

AROUND = 8  # pixels around the mask's box in which ST-LPIPS compares
Figures = dict[str, Any]  # metric -> value
BASELINES = {UNEDITED: unedited, WARP: inverse_distance_warp}


class Scorer:
    """The metric networks, and what they make of a task."""

    def __init__(self, stlpips: STLPIPS, xfeat: XFeat):
        self._stlpips, self._xfeat = stlpips, xfeat

    def score(self, task: EditTask, answer: Answer) -> dict[str, Any]:
        """A task's row: what it is, `methods` -> metric -> value, and what the edit's checks said."""
        by_group: dict[str, Callable[[EditTask, Answer], dict[str, Figures]]] = {
            PAIRS: self._pair, PULLS: pull, DRAGBENCH: self._sample,
        }  # fmt: skip
        about = {"group": task.group, "name": task.name, "kind": task.kind, "drags": len(task.points)}
        if task.group == PAIRS:
            about["tightness"] = round(tightness(task), 3)
        if task.group == PULLS:
            about["overlap"] = overlaps(task, answer)
        methods = by_group[task.group](task, answer) if task.group in by_group else {}
        return {**about, "methods": methods, **answer.checked}

    def _pair(self, task: EditTask, answer: Answer) -> dict[str, Figures]:
        truth, mask = task.truth, task.mask
        assert truth is not None and mask is not None
        rows, columns = np.flatnonzero(mask.any(1)), np.flatnonzero(mask.any(0))
        box = np.s_[
            max(rows[0] - AROUND, 0) : rows[-1] + AROUND + 1, max(columns[0] - AROUND, 0) : columns[-1] + AROUND + 1
        ]

        def figures(image: np.ndarray) -> Figures:
            return {"psnr_db": psnr_in_mask(image, truth, mask), "stlpips": self._stlpips.whole(image[box], truth[box])}

        methods = {name: figures(edit(task.photo, task.points, mask)) for name, edit in BASELINES.items()}
        made = [figures(image) for image in answer.images]
        return {**methods, OWN: made[0], BEST: max(made, key=lambda one: one["psnr_db"])}

    def _sample(self, task: EditTask, answer: Answer) -> dict[str, Figures]:
        assert task.mask is not None
        before = self._xfeat.descriptors(task.photo)

        def figures(image: np.ndarray) -> Figures:
            found = landings(before, self._xfeat.descriptors(image), task.points, in_discs=True)
            distances = np.linalg.norm(found - task.points[:, 2:], axis=1)
            return {"md_px": distances.tolist(), "if": 1 - self._stlpips.whole(image, task.photo)}

        methods = {name: figures(edit(task.photo, task.points, task.mask)) for name, edit in BASELINES.items()}
        made = [figures(image) for image in answer.images]
        return {**methods, OWN: made[0], BEST: min(made, key=lambda one: np.mean(one["md_px"]))}


def pull(task: EditTask, answer: Answer) -> dict[str, Figures]:
    """PSNR where the true region or an edit's mask lies, and what it gains over the unedited photo there."""
    truth, region = task.truth, task.region
    assert truth is not None and region is not None

    def figures(image: np.ndarray, mask: np.ndarray) -> Figures:
        where = mask | region
        psnr = psnr_in_mask(image, truth, where)
        return {"psnr_db": psnr, "gain_db": psnr - psnr_in_mask(task.photo, truth, where)}

    mask = answer.masks[0]
    methods = {name: figures(edit(task.photo, task.points, mask), mask) for name, edit in BASELINES.items()}
    made = [figures(*one) for one in zip(answer.images, answer.masks)]
    return {**methods, OWN: made[0], BEST: max(made, key=lambda one: one["gain_db"])}


def tightness(task: EditTask) -> float:
    """The share of a pair's mask that truly moves."""
    assert task.mask is not None and task.moving is not None
    return float((task.mask & task.moving).sum() / task.mask.sum())


def overlap(held: np.ndarray, true: np.ndarray) -> float:
    """Intersection over union of two bool maps."""
    return float((held & true).sum() / max(1, (held | true).sum()))


def overlaps(task: EditTask, answer: Answer) -> Figures:
    """How the hold fits what truly moves.

    Returns:
        `hold_iou` with the moving thing, of the first answer and of the `best` alternative; the same `with_margin`:
        with the true region as a mask would be drawn; `mask_iou` of the edit's mask with that; `cover`, the share of
        it inside the edit's mask, and `spill`, the share of the mask outside it.
    """
    region, moving, mask = task.region, task.moving, answer.masks[0]
    assert region is not None and moving is not None
    tight = [overlap(held, moving) for held in answer.holds]
    margin = [overlap(held, region) for held in answer.holds]
    return {
        "hold_iou": tight[0],
        "hold_iou_best": max(tight),
        "hold_iou_with_margin": margin[0],
        "hold_iou_with_margin_best": max(margin),
        "mask_iou": overlap(mask, region),
        "cover": float((mask & region).sum() / region.sum()),
        "spill": float((mask & ~region).sum() / max(1, mask.sum())),
    }


def as_task(task: EditTask, answer: Answer) -> Task:
    """A task with the mask that its edit had, for drawing."""
    return Task(task.photo, task.points, answer.masks[0] if task.mask is None else task.mask)
