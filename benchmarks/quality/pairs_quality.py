"""Quality against ground truth, on pairs of clips that were held out from training.

A result is compared with the target frame inside the mask. Outside the mask the result is replaced by the target, so
that metrics with a receptive field see no other difference.

The clips are held out, but ST-LPIPS is also a training loss, so it is not independent evidence.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from tqdm import tqdm

from edgedrag.benchmarks.quality.methods import OWN, WARP, LineUp, Made, Method
from edgedrag.benchmarks.quality.page import Page
from edgedrag.benchmarks.quality.pairs import VIDEO, PairTask, held_out_tasks
from edgedrag.benchmarks.quality.tables import Figures, count_verdicts, mean, median, ratio
from edgedrag.generator.data.synthetic_motion import KINDS
from edgedrag.metrics.pixels import error_outside_mask, gradient_energy, psnr_in_mask, ssim_in_mask
from edgedrag.metrics.stlpips import STLPIPS
from edgedrag.runtime.errors import InputError

# The kinds of pair on the page, in turn; one row for each clip.
PAGE_KINDS = tuple(name for kind in KINDS for name in (VIDEO, kind))


@dataclass(frozen=True)
class Score:
    """The scores of a method on a pair; gradient energies are of (result, truth)."""

    clip: str
    kind: str
    psnr: float
    ssim: float
    stlpips: float
    moved: tuple[float, float]
    revealed: tuple[float, float]
    outside: int
    seconds: float
    verdict: str | None


def score_all(task: PairTask, results: dict[Method, Made], stlpips: STLPIPS) -> dict[Method, Score]:
    """Score every result of a pair."""
    true_features = stlpips.features(task.truth)
    regions = (task.moved, task.revealed)
    true_energies = [gradient_energy(task.truth, region) for region in regions]
    scores = {}
    for method, result in results.items():
        inside = np.where(task.mask[..., None], result.image, task.truth)
        energies = [(gradient_energy(result.image, r), true) for r, true in zip(regions, true_energies)]
        scores[method] = Score(
            clip=task.clip,
            kind=task.kind,
            psnr=psnr_in_mask(inside, task.truth, task.mask),
            ssim=ssim_in_mask(inside, task.truth, task.mask),
            stlpips=stlpips.in_mask(stlpips.features(inside), true_features, task.mask),
            moved=energies[0],
            revealed=energies[1],
            outside=error_outside_mask(result.image, task.photo, task.mask),
            seconds=result.seconds,
            verdict=result.checks.verdict if result.checks else None,
        )
    return scores


def tabulate(scores: Sequence[Score]) -> Figures:
    """A method's row of the table: means over pairs, ratios of sums for sharpness, maximum error, median time."""
    return {
        "psnr_db": mean((s.psnr for s in scores), 3),
        "ssim": mean((s.ssim for s in scores), 4),
        "stlpips": mean((s.stlpips for s in scores), 5),
        "sharpness_moved": ratio([s.moved for s in scores]),
        "sharpness_revealed": ratio([s.revealed for s in scores]),
        "seconds": median((s.seconds for s in scores), 4),
        "error_outside_mask": max(s.outside for s in scores),
    }


def measure_pairs(
    rows: LineUp, clips: Sequence[tuple[Path, list[int]]], seed: int, stlpips: STLPIPS
) -> tuple[dict[str, Any], Page]:
    """The figures of `unseen_clips`, and a page of results.

    `methods` counts pairs of real frames only; synthetic motion is in `by_kind` and `all_kinds`.

    Raises:
        InputError: there is no pair of real frames.
    """
    total = sum(len(indices) for _, indices in clips)
    page = Page(rows)
    shown: set[str] = set()
    scored: list[dict[Method, Score]] = []
    for task in tqdm(held_out_tasks(clips, seed), total=total, desc="pairs", disable=None):
        if task is not None:
            results = rows.make_all(task)
            scored.append(score_all(task, results, stlpips))
            if task.clip not in shown and task.kind == PAGE_KINDS[len(shown) % len(PAGE_KINDS)]:
                page.add(task, results, task.truth, task.kind)
                shown.add(task.clip)

    def table(chosen: Sequence[dict[Method, Score]]) -> dict[str, Figures]:
        return {name: tabulate([s[method] for s in chosen]) for name, method in rows.methods.items()}

    def tables(of: str, chosen: Sequence[dict[Method, Score]]) -> dict[str, dict[str, Any]]:
        groups: dict[str, list[dict[Method, Score]]] = {}
        for one in chosen:
            groups.setdefault(getattr(one[rows.methods[OWN]], of), []).append(one)
        return {name: {"pairs": len(group), "methods": table(group)} for name, group in sorted(groups.items())}

    video = [s for s in scored if s[rows.methods[OWN]].kind == VIDEO]
    if not video:
        raise InputError("no drag could be sampled from any pair of real frames")
    methods, by_clip = table(video), tables("clip", video)
    verdicts = {name: [s[method].verdict for s in video] for name, method in rows.methods.items()}
    return {
        "pairs": len(video),
        "clips": len(by_clip),
        "skipped": total - len(scored),
        "methods": methods,
        "against_inverse_distance_warp": {
            "psnr_gain_db": round(methods[OWN]["psnr_db"] - methods[WARP]["psnr_db"], 3),
            "stlpips_ratio": round(methods[OWN]["stlpips"] / methods[WARP]["stlpips"], 4),
        },
        "all_kinds": {"pairs": len(scored), "methods": table(scored)},
        "by_kind": tables("kind", scored),
        "by_clip": by_clip,
        "verdicts": {name: count_verdicts(v for v in given if v) for name, given in verdicts.items() if any(given)},
    }, page
