"""Edits against the truth: the next frame of clips that were held out from training."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from tqdm import tqdm

from edgedrag.benchmarks.context import context
from edgedrag.generator.pairs import sample_points
from edgedrag.runtime.errors import InputError
from edgedrag.runtime.flow import prior_flow, warp
from edgedrag.runtime.session import Runtime
from edgedrag.runtime.sheet import draw_drag

METHODS = ("unedited", "inverse_distance_warp", "edgedrag")
SHEET_ROWS = 8


def held_out(cache: Path, per_clip: int, seed: int) -> Iterator[tuple[str, dict[str, np.ndarray], np.ndarray]]:
    """(clip, pair, points) of up to `per_clip` evenly spread pairs of each held-out clip."""
    files = sorted((cache / "held_out").glob("*.npz"))
    if not files:
        raise InputError(f"{cache / 'held_out'}: no pairs; make them with `edgedrag pairs VIDEOS... -o {cache}`")
    for file in files:
        with np.load(file) as stored:
            clip = {k: stored[k] for k in stored.files}
        for index in np.unique(np.linspace(0, len(clip["mask"]) - 1, per_clip).astype(int)):
            pair = {k: v[index] for k, v in clip.items()}
            mask = cv2.dilate(pair["mask"].astype(np.uint8), np.ones((9, 9), np.uint8)).astype(bool)
            rng = np.random.default_rng([seed, int(index)])
            points = sample_points(pair["flow"].astype(np.float32), pair["valid"], mask, rng)
            if len(points):
                yield file.stem, {**pair, "mask": mask}, points


def psnr_in_mask(image: np.ndarray, truth: np.ndarray, mask: np.ndarray) -> float:
    error = ((image[mask].astype(np.float64) - truth[mask]) ** 2).mean()
    return float(10 * np.log10(255**2 / max(error, 1e-2)))


def measure(
    runtime: Runtime, cache: Path, per_clip: int, steps: int | None, seed: int
) -> tuple[dict[str, Any], np.ndarray]:
    """In-mask PSNR of each method, mean over pairs, and a picture sheet (uint8 RGB)."""
    scores: dict[str, dict[str, list[float]]] = {}
    verdicts: dict[str, int] = {}
    outside = 0
    rows: list[np.ndarray] = []
    listed = list(held_out(cache, per_clip, seed))
    for number, (clip, pair, points) in enumerate(tqdm(listed, desc="pairs", disable=None)):
        source, truth, mask = pair["source"], pair["target"], pair["mask"]
        edit = runtime.load(source).drag([((p[0], p[1]), (p[2], p[3])) for p in points], mask, steps=steps, seed=seed)
        prior = warp(source, prior_flow(points, mask))
        images = dict(zip(METHODS, (source, np.where(mask[..., None], prior, source), edit.image)))
        for method, image in images.items():
            scores.setdefault(clip, {}).setdefault(method, []).append(psnr_in_mask(image, truth, mask))
        verdicts[edit.checks.verdict] = verdicts.get(edit.checks.verdict, 0) + 1
        outside = max(outside, int(np.abs(edit.image[~mask].astype(int) - source[~mask]).max(initial=0)))
        if number % max(1, len(listed) // SHEET_ROWS) == 0 and len(rows) < SHEET_ROWS:
            rows.append(np.hstack([draw_drag(source, mask, points), *list(images.values())[1:], truth]))
    mean = {m: round(float(np.mean([s for c in scores.values() for s in c[m]])), 3) for m in METHODS}
    return {
        **context(runtime),
        "steps": steps or runtime.bundle.sampler["default_steps"],
        "pairs": len(listed),
        "clips": len(scores),
        "psnr_in_mask_db": mean,
        "gain_over_warp_db": round(mean["edgedrag"] - mean["inverse_distance_warp"], 3),
        "by_clip": {c: {m: round(float(np.mean(v)), 3) for m, v in s.items()} for c, s in scores.items()},
        "error_outside_mask": outside,
        "verdicts": verdicts,
    }, np.vstack(rows)


def describe(figures: dict[str, Any]) -> str:
    """The table for people."""
    lines = [f"{figures['pairs']} pairs of {figures['clips']} held-out clips, PSNR in the mask, dB"]
    lines.append(f"{'':<36}" + "".join(f"{m:>24}" for m in METHODS))
    for clip, scores in (*figures["by_clip"].items(), ("all", figures["psnr_in_mask_db"])):
        lines.append(f"{clip[:35]:<36}" + "".join(f"{scores[m]:>24.2f}" for m in METHODS))
    lines.append(f"largest error outside the mask: {figures['error_outside_mask']}; verdicts: {figures['verdicts']}")
    return "\n".join(lines)
