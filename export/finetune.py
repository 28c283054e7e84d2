"""A site's own videos: from the shipped checkpoint to a bundle, handed over only if it got better.

What is learned from and what is measured on are different parts of every clip: its first three
quarters and its last fifth. The motion network learns; what draws revealed areas stays.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch

from edgedrag.export.embedded import export_embedded
from edgedrag.generator.data.mining import describe as describe_pairs
from edgedrag.generator.data.mining import mine
from edgedrag.generator.training.checkpoint import clone_checkpoint, load_checkpoint
from edgedrag.generator.training.trainer import TrainConfig, set_threads, train
from edgedrag.generator.training.validation import Validation
from edgedrag.runtime.errors import EdgedragError, InputError
from edgedrag.runtime.files import write_aside

LEARNING_RATE = 1e-4
MEASURED_PAIRS = 96
LEAST_PAIRS = 8  # below, a difference says nothing


def finetune(
    videos: Sequence[Path], bundle: Path, start: Path | None, updates: int, count: int, seed: int
) -> dict[str, Any]:
    """Mine, train, measure before and after, export; an interrupted run goes on where it was.

    Pairs, weights and the report stay beside the bundle in the folder BUNDLE.work.

    Returns:
        Mean PSNR in the mask on the held-out parts: of the unedited photo, before, after; pairs; the bundle.

    Raises:
        InputError: no motion in the videos, too little of it in their last parts, or the bundle exists;
            no `start`, and the shipped checkpoint is not at hand.
        EdgedragError: the tuned generator is not better; no bundle is written.
    """
    if bundle.exists():
        raise InputError(f"{bundle}: exists already; choose another name, or remove it")
    if not bundle.parent.is_dir():
        raise InputError(f"{bundle.parent}: no such folder for the bundle")
    checkpoint = start or clone_checkpoint()
    work = bundle.parent / f"{bundle.name}.work"
    report = mine(videos, work / "pairs", count, made=0, seed=seed, by_time=True)
    generator, metadata = load_checkpoint(checkpoint)
    set_threads()
    steps = int(metadata.get("default_steps", "1"))
    validation = Validation(work / "pairs" / "held_out", "cpu", (steps,), MEASURED_PAIRS)
    if len(validation.rows) < LEAST_PAIRS:
        raise InputError(
            f"only {len(validation.rows)} pairs in the last parts of these videos, and {LEAST_PAIRS} are the least "
            f"that can be measured on; give longer videos\n{describe_pairs(report)}"
        )
    config = TrainConfig(
        steps=updates,
        learning_rate=LEARNING_RATE,
        warmup=min(50, updates),
        average=0.99,
        seed=seed,
        pairs=str(work / "pairs"),
        learns="motion",
        made=0.0,
        start=str(checkpoint),
        default_steps=steps,
    )
    tuned = train(config, work / "run")
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
    export_embedded(tuned, bundle, {k: v for k, v in figures.items() if k != "pairs"})
    return {"bundle": str(bundle), **figures}


def describe(figures: dict[str, Any]) -> str:
    """The figures for people."""
    return (
        f"{figures['bundle']}: {figures['psnr_after_db']} dB in the mask on {figures['pairs']} held-out pairs, "
        f"{figures['psnr_before_db']} before, {figures['psnr_unedited_db']} unedited"
    )
