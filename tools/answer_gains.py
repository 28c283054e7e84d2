"""What each way to answer a one-finger pull gains, and which three go together best: the order of the candidates.

usage: python tools/answer_gains.py PAIRS.jsonl [EVERY]   (pairs of `benchmarks.quality.edits.frame_pairs`)

Each pair's longest drag is answered without a mask by every motion of every answer of the hold, without the generator.
Printed as JSON: the mean gain in PSNR over the unedited photo, dB, where the true region or the edit's own mask lies.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from itertools import combinations, product
from pathlib import Path
from typing import Any

import numpy as np

import edgedrag
from edgedrag.benchmarks.quality.edits.tasks import PULLS, EditTask, clip_of, frame_tasks
from edgedrag.metrics.pixels import psnr_in_mask
from edgedrag.runtime.drag.motion import MOTIONS, MotionName
from edgedrag.runtime.hold.hold import NAMES
from edgedrag.runtime.session.variants import VARIANTS

OFFERED = 3  # candidates
WAYS: list[tuple[MotionName, str]] = list(product([motion for motion in MOTIONS if motion != "auto"], NAMES))
USED = [WAYS.index((variant.motion, variant.answer)) for variant in VARIANTS]


def gain(runtime: edgedrag.Runtime, task: EditTask, motion: MotionName, answer: str) -> float:
    """What a way to answer a pull gains, dB."""
    assert task.truth is not None and task.region is not None
    edit = runtime.load(task.photo).move(task.drags, motion=motion, answer=answer)
    where = task.region | edit.mask
    return psnr_in_mask(edit.image, task.truth, where) - psnr_in_mask(task.photo, task.truth, where)


def summary(gains: np.ndarray) -> dict[str, Any]:
    """Of gains [pulls, of WAYS], dB."""

    def best_of(ways: Sequence[int]) -> float:
        return round(float(gains[:, list(ways)].max(1).mean()), 2)

    best = max(combinations(range(len(WAYS)), OFFERED), key=best_of)
    return {
        "ways": {" ".join(way): round(float(mean), 2) for way, mean in zip(WAYS, gains.mean(0))},
        "first": best_of(USED[:1]),
        "best_of_three": best_of(USED[:OFFERED]),
        "best_three": {"ways": [" ".join(WAYS[n]) for n in best], "gain": best_of(best)},
        "best_way": best_of(range(len(WAYS))),
    }


def main(jobs: str, every: str = "1") -> None:
    runtime = edgedrag.open()
    pulls = [task for task in frame_tasks(Path(jobs), {}, int(every)) if task.group == PULLS]
    gains = np.array([[gain(runtime, task, *way) for way in WAYS] for task in pulls])
    clips = {clip_of(task.name) for task in pulls}
    print(json.dumps({"pulls": len(pulls), "clips": len(clips), **summary(gains)}, indent=1))


if __name__ == "__main__":
    main(*sys.argv[1:])
