"""Fine-tuning the shipped checkpoint on a site's own videos; the bundle is written only if the result is better.

The first three quarters of every clip are used for training, its last fifth for measuring. Only the motion network is
trained.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch

from edgedrag.export.embedded import export_embedded
from edgedrag.generator.data.mining import MiningSettings, mine
from edgedrag.generator.data.mining import describe as describe_pairs
from edgedrag.generator.training.checkpoint import clone_checkpoint, load_checkpoint
from edgedrag.generator.training.trainer import TrainConfig, set_threads, train
from edgedrag.generator.training.validation import Validation
from edgedrag.runtime.bundle.graphs import HOLD
from edgedrag.runtime.bundle.manifest import find_bundle, open_bundle
from edgedrag.runtime.errors import EdgedragError, InputError
from edgedrag.runtime.files import write_aside

LEARNING_RATE = 1e-4
MEASURED_PAIRS = 96
LEAST_PAIRS = 8  # with fewer, a difference is not significant


def finetune(
    videos: Sequence[Path], bundle: Path, start: Path | None, updates: int, count: int, seed: int
) -> dict[str, Any]:
    """Mine, train, measure before and after, export; an interrupted run resumes.

    Pairs, weights and the report stay in the folder BUNDLE.work beside the bundle.

    Returns:
        Mean PSNR (dB) in the mask on the held-out parts: unedited, before, after; number of pairs; the bundle.

    Raises:
        InputError: the videos hold no motion or too little in their last parts, or the bundle exists; or there is no
            `start` and the shipped checkpoint is not at hand.
        EdgedragError: the tuned generator is not better, so that no bundle is written.
    """
    if bundle.exists():
        raise InputError(f"{bundle}: exists already; choose another name or remove it")
    if not bundle.parent.is_dir():
        raise InputError(f"{bundle.parent}: the folder for the bundle does not exist")
    checkpoint = start or clone_checkpoint()
    work = bundle.parent / f"{bundle.name}.work"
    report = mine(videos, work / "pairs", MiningSettings(count, made=0, seed=seed, by_time=True))
    generator, metadata = load_checkpoint(checkpoint)
    set_threads()
    steps = int(metadata.get("default_steps", "1"))
    validation = Validation(work / "pairs" / "held_out", "cpu", (steps,), MEASURED_PAIRS)
    if len(validation.rows) < LEAST_PAIRS:
        raise InputError(
            f"only {len(validation.rows)} pairs in the last parts of these videos, measuring needs at least "
            f"{LEAST_PAIRS}; give longer videos\n{describe_pairs(report)}"
        )
    tuned = train(motion_config(work / "pairs", checkpoint, steps, updates, seed), work / "run")
    with torch.no_grad():
        before = validation.measure(generator)
        after = validation.measure(load_checkpoint(tuned)[0], work / "after.png")
    figures = {
        "pairs": len(validation.rows),
        "psnr_unedited_db": round(before["held_out_psnr_unedited"], 3),
        "psnr_before_db": round(before[f"held_out_psnr_{steps}_step"], 3),
        "psnr_after_db": round(after[f"held_out_psnr_{steps}_step"], 3),
    }
    write_aside(work / "figures.json", json.dumps(figures, indent=1).encode())
    if figures["psnr_after_db"] <= figures["psnr_before_db"]:
        raise EdgedragError(
            f"no bundle was written: on the last parts of these videos the tuned generator reaches "
            f"{figures['psnr_after_db']} dB, the shipped one {figures['psnr_before_db']} dB; "
            f"give more or other videos, or fewer --updates"
        )
    shipped = find_bundle("embedded")
    hold = shipped if open_bundle(shipped).stages[HOLD] else None
    export_embedded(tuned, bundle, {k: v for k, v in figures.items() if k != "pairs"}, hold)
    return {"bundle": str(bundle), **figures}


def motion_config(pairs: Path, start: Path, default_steps: int, updates: int, seed: int) -> TrainConfig:
    """The training of the motion network alone."""
    return TrainConfig(
        steps=updates,
        learning_rate=LEARNING_RATE,
        warmup=min(50, updates),
        average=0.99,
        seed=seed,
        pairs=str(pairs),
        learns="motion",
        made=0.0,
        start=str(start),
        default_steps=default_steps,
    )


def describe(figures: dict[str, Any]) -> str:
    """The figures as text."""
    return (
        f"{figures['bundle']}: {figures['psnr_after_db']} dB in the mask on {figures['pairs']} held-out pairs, "
        f"{figures['psnr_before_db']} before, {figures['psnr_unedited_db']} unedited"
    )
