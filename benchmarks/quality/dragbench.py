"""Quality without ground truth: samples in DragBench's format, scored by landing distance and image fidelity."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click
import numpy as np
from tqdm import tqdm

from edgedrag.benchmarks.quality.methods import LineUp, Made, Method
from edgedrag.benchmarks.quality.page import Page
from edgedrag.benchmarks.quality.tables import Figures, count_verdicts, mean, median, ratio
from edgedrag.metrics.drag_sets import Task, read_sample
from edgedrag.metrics.pixels import error_outside_mask, gradient_energy
from edgedrag.metrics.stlpips import STLPIPS
from edgedrag.metrics.xfeat import XFeat, landings
from edgedrag.runtime.drag.checks import Checks
from edgedrag.runtime.errors import InputError

PAGE_ROWS = 14  # largest number of rows, evenly spread over the samples


@dataclass(frozen=True)
class Score:
    """The scores of a method on a sample.

    Attributes:
        in_discs, anywhere: each drag's distance between the found content and its target, pixels.
        relative: `in_discs` with x divided by the width and y by the height.
        fidelity: 1 - ST-LPIPS of the whole result against the photo.
        energy: gradient energies of (result, photo) in the mask.
        outside: largest error outside the mask, grey levels.
    """

    in_discs: list[float]
    anywhere: list[float]
    relative: list[float]
    fidelity: float
    energy: tuple[float, float]
    outside: int
    seconds: float
    checks: Checks | None


def score_all(task: Task, results: dict[Method, Made], stlpips: STLPIPS, xfeat: XFeat) -> dict[Method, Score]:
    """Score every result of a sample."""
    before = xfeat.descriptors(task.photo)
    own_energy = gradient_energy(task.photo, task.mask)
    targets, size = task.points[:, 2:], np.array(task.mask.shape[::-1])
    scores = {}
    for method, result in results.items():
        after = xfeat.descriptors(result.image)
        near, anywhere = (landings(before, after, task.points, in_discs) - targets for in_discs in (True, False))
        scores[method] = Score(
            in_discs=np.linalg.norm(near, axis=1).tolist(),
            anywhere=np.linalg.norm(anywhere, axis=1).tolist(),
            relative=np.linalg.norm(near / size, axis=1).tolist(),
            fidelity=1 - stlpips.whole(result.image, task.photo),
            energy=(gradient_energy(result.image, task.mask), own_energy),
            outside=error_outside_mask(result.image, task.photo, task.mask),
            seconds=result.seconds,
            checks=result.checks,
        )
    return scores


def tabulate(scores: Sequence[Score]) -> Figures:
    """A method's row of the table.

    Distances in pixels are means over drags, as DragDiffusion's; sharpness is a ratio of sums, the error the maximum,
    the time the median; the others are means over samples.
    """
    return {
        "md_px": mean((d for s in scores for d in s.in_discs), 2),
        "md_whole_px": mean((d for s in scores for d in s.anywhere), 2),
        "md_regiondrag": mean((float(np.mean(s.relative)) for s in scores), 4),
        "if": mean((s.fidelity for s in scores), 4),
        "sharpness": ratio([s.energy for s in scores]),
        "error_outside_mask": max(s.outside for s in scores),
        "seconds": median((s.seconds for s in scores), 4),
    }


def measure_dragbench(
    rows: LineUp, folders: dict[str, Path], max_megapixels: float, stlpips: STLPIPS, xfeat: XFeat
) -> tuple[dict[str, Any], Page]:
    """The figures of all samples, and a page of results; damaged samples are reported and skipped.

    Raises:
        InputError: no sample can be used.
    """
    page = Page(rows)
    every = -(-len(folders) // PAGE_ROWS)
    scored: dict[str, dict[Method, Score]] = {}
    skipped: dict[str, str] = {}
    drags = 0
    for name, folder in tqdm(folders.items(), desc="samples", disable=None):
        try:
            task = read_sample(folder, max_megapixels)
        except InputError as error:
            skipped[name] = str(error).removeprefix(f"{folder}/")
            click.echo(f"skipped: {name}: {skipped[name]}", err=True)
            continue
        results = rows.make_all(task)
        scored[name] = score_all(task, results, stlpips, xfeat)
        if (len(scored) - 1) % every == 0:
            page.add(task, results)
        drags += len(task.points)
    if not scored:
        name, why = next(iter(skipped.items()))
        raise InputError(f"none of {len(folders)} samples can be used; the first, {name}: {why}")

    def row_of(score: Score) -> Figures:
        checks = score.checks
        said = {"verdict": checks.verdict, "reasons": [str(reason) for reason in checks.reasons]} if checks else {}
        return {**tabulate([score]), **said}

    checked = {name: [s[m].checks for s in scored.values()] for name, m in rows.methods.items()}
    return {
        "samples": len(scored),
        "drags": drags,
        "skipped": len(skipped),
        "skipped_samples": skipped,
        "methods": {name: tabulate([s[m] for s in scored.values()]) for name, m in rows.methods.items()},
        "verdicts": {name: count_verdicts(c.verdict for c in all_ if c) for name, all_ in checked.items() if any(all_)},
        "by_sample": {
            sample: {name: row_of(scores[m]) for name, m in rows.methods.items()} for sample, scores in scored.items()
        },
    }, page
