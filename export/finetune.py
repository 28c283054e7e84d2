"""Fine-tuning the shipped hold on a site's own videos; the bundle is written only if the result is better.

The first three quarters of every clip are used for training, its last fifth for measuring. Only the hold is trained:
what moves with a point. The other networks are the shipped ones.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from tqdm import tqdm

from edgedrag.export.embedded import export_embedded
from edgedrag.generator.hold.checkpoint import load_hold
from edgedrag.generator.hold.clips import scenes_of_clip
from edgedrag.generator.hold.measure import HoldValidation
from edgedrag.generator.hold.packing import clips_in, place_of, seed_of
from edgedrag.generator.hold.scenes import CLIPS, read_scenes, write_scenes
from edgedrag.generator.hold.training import HoldConfig, train_hold
from edgedrag.generator.training.checkpoint import clone_checkpoint
from edgedrag.generator.training.trainer import set_threads
from edgedrag.runtime.errors import EdgedragError, InputError
from edgedrag.runtime.files import write_aside

LEARNING_RATE = 2e-4
PARTS = {"train": (0.0, 0.75), "held_out": (0.8, 1.0)}  # of a clip
LEAST_SCENES = 4  # each has four points; with fewer, a difference is not significant
HOLD = "hold.safetensors"


def finetune(
    videos: Sequence[Path], bundle: Path, start: Path | None, updates: int, count: int, seed: int
) -> dict[str, Any]:
    """Find scenes, train, measure before and after, export; an interrupted run resumes.

    Scenes, weights and the report stay in the folder BUNDLE.work beside the bundle.

    Returns:
        Mean intersection over union of what is held with what moved in the held-out parts, before and after; the number
        of pulls; the bundle.

    Raises:
        InputError: the videos hold no motion or too little in their last parts, or the bundle exists; or a shipped
            checkpoint is not at hand.
        EdgedragError: the tuned hold is not better, so that no bundle is written.
    """
    if bundle.exists():
        raise InputError(f"{bundle}: exists already; choose another name or remove it")
    if not bundle.parent.is_dir():
        raise InputError(f"{bundle.parent}: no such folder for the bundle; make it first")
    checkpoint, generator = start or clone_checkpoint(HOLD), clone_checkpoint()
    model = load_hold(checkpoint)[0]
    work = bundle.parent / f"{bundle.name}.work"
    found = find_scenes(videos, work / "scenes", count, seed)
    if found["held_out"] < LEAST_SCENES or not found["train"]:
        raise InputError(
            f"{found['train']} scenes in the first parts of these videos and {found['held_out']} in the last ones; "
            f"training needs some, measuring at least {LEAST_SCENES}: give longer videos, in which things move"
        )
    set_threads()
    tuned = train_hold(tuning(work / "scenes", checkpoint, updates, seed), work / "run")
    validation = HoldValidation(work / "scenes" / "held_out", count)
    before = validation.measure(model)
    after = validation.measure(load_hold(tuned)[0], work / "after.png")
    figures = {
        "pulls": sum(len(scene.handles) for scenes in validation.scenes.values() for scene in scenes),
        "iou_before": round(before[f"{CLIPS}_thing"], 4),
        "iou_after": round(after[f"{CLIPS}_thing"], 4),
    }
    write_aside(work / "figures.json", json.dumps(figures, indent=1).encode())
    if figures["iou_after"] <= figures["iou_before"]:
        raise EdgedragError(
            f"no bundle was written: on the last parts of these videos the tuned hold overlaps with what moves by "
            f"{figures['iou_after']}, the shipped one by {figures['iou_before']}; "
            f"give more or other videos, or fewer --updates"
        )
    export_embedded(generator, bundle, {k: v for k, v in figures.items() if k != "pulls"}, tuned)
    return {"bundle": str(bundle), **figures}


def find_scenes(videos: Sequence[Path], folder: Path, count: int, seed: int) -> dict[str, int]:
    """Write the scenes of videos, those of training and of measuring apart; returns how many there are of each.

    Raises:
        InputError: there are no videos, or one cannot be decoded.
    """
    clips = list(clips_in(videos))
    if not clips:
        raise InputError(f"{', '.join(map(str, videos))}: no videos here")
    found = dict.fromkeys(PARTS, 0)
    for clip in tqdm(clips, desc="scenes", unit="clip"):
        for split, part in PARTS.items():
            file = folder / split / f"{clip.stem}.npz"
            if not file.exists():
                wanted = max(1, round(count * (part[1] - part[0])))
                scenes = scenes_of_clip(clip, wanted, seed_of(clip.name) + seed, part)
                write_scenes(place_of(folder, split, clip.stem), scenes)
            found[split] += len(read_scenes(file))
    return found


def tuning(scenes: Path, start: Path, updates: int, seed: int) -> HoldConfig:
    """The training of the hold, all of it but the backbone's first blocks."""
    return HoldConfig(
        steps=updates,
        learning_rate=LEARNING_RATE,
        warmup=min(20, updates),
        average=float(np.clip(1 - 4 / max(updates, 1), 0.5, 0.99)),
        seed=seed,
        scenes=str(scenes),
        start=str(start),
        shares={CLIPS: 1.0},
        rows=4,
    )


def describe(figures: dict[str, Any]) -> str:
    """The figures as text."""
    return (
        f"{figures['bundle']}: what is held overlaps with what moves by {figures['iou_after']} in {figures['pulls']} "
        f"held-out pulls, {figures['iou_before']} before (intersection over union)"
    )
