"""What three candidates cost against one drag of the same photo, in one run: processor and wall time, and their ratios.

usage: python tools/candidate_cost.py [PAIRS.jsonl [EVERY]] [--precision fp32|int8|auto] [--rounds N] [--threads N]

PAIRS.jsonl is of `benchmarks.quality.edits.frame_pairs`: each pair with its mask, and a pull of its longest drag
without one. Without it the 512 x 512 scene of `bench latency`. *first*: on a newly loaded photo. *another*: after a
preview of the same drag, as when a finger is lifted. All take turns. Printed as JSON: medians, milliseconds.
"""

from __future__ import annotations

import argparse
import json
import statistics
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

import edgedrag
from edgedrag.benchmarks.latency.scene import SMALL, TURNS, disc, test_photo
from edgedrag.benchmarks.quality.edits.tasks import PAIRS, PULLS, EditTask, frame_tasks

COUNT = 3  # candidates
Way = Callable[[edgedrag.Photo, EditTask], Any]
Times = dict[str, float]  # clock -> milliseconds


def one_drag(photo: edgedrag.Photo, task: EditTask) -> None:
    photo.drag(task.drags, task.mask)


def candidates(photo: edgedrag.Photo, task: EditTask) -> None:
    photo.candidates(task.drags, task.mask, count=COUNT)


WAYS: dict[str, Way] = {"drag": one_drag, "candidates": candidates}


def scene_tasks() -> Iterator[EditTask]:
    """The drags of `bench latency`, with their masks and without."""
    (height, width), radius = SMALL
    picture = test_photo(height, width)
    for turn in range(0, TURNS, 2):
        mask, (x, y) = disc(height, width, radius - turn % 8)
        angle = 2 * np.pi * turn * 7 / TURNS
        points = np.array([[x, y, x + radius / 4 * np.cos(angle), y + radius / 4 * np.sin(angle)]], np.float32)
        yield EditTask(PAIRS, f"scene{turn}", "unknown", picture, points, mask > 0)
        yield EditTask(PULLS, f"scene{turn}", "unknown", picture, points, None)


def timed(photo: edgedrag.Photo, task: EditTask, way: Way) -> Times:
    began, busy = time.perf_counter(), time.process_time()
    way(photo, task)
    return {"processor": (time.process_time() - busy) * 1e3, "wall": (time.perf_counter() - began) * 1e3}


def measured(runtime: edgedrag.Runtime, tasks: list[EditTask], rounds: int) -> dict[str, Any]:
    """Medians over tasks and rounds, and the medians of the ratios of neighbours."""
    found: dict[str, dict[str, list[Times]]] = {kind: {way: [] for way in WAYS} for kind in ("first", "another")}
    for number in range(rounds):
        for task in tasks:
            for way in list(WAYS)[:: -1 if number % 2 else 1]:
                photo = runtime.load(task.photo)
                found["first"][way].append(timed(photo, task, WAYS[way]))
                photo = runtime.load(task.photo)
                photo.preview(task.drags, task.mask)
                found["another"][way].append(timed(photo, task, WAYS[way]))
    return {kind: summary(of_ways) for kind, of_ways in found.items()}


def summary(of_ways: dict[str, list[Times]]) -> dict[str, Any]:
    """By clock; `ratio` is the median over tasks."""
    times: dict[str, Any] = {}
    for clock in ("processor", "wall"):
        one, three = ([sample[clock] for sample in of_ways[way]] for way in WAYS)
        times[clock] = {
            "drag_ms": round(statistics.median(one), 1),
            "candidates_ms": round(statistics.median(three), 1),
            "ratio": round(statistics.median(b / a for a, b in zip(one, three)), 2),
            "ratio_of_sums": round(sum(three) / sum(one), 2),
        }
    return times


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("jobs", nargs="?", type=Path)
    parser.add_argument("every", nargs="?", type=int, default=1)
    parser.add_argument("--precision", default="auto")
    parser.add_argument("--rounds", type=int, default=1)
    parser.add_argument("--threads", type=int)
    given = parser.parse_args()
    tasks = list(scene_tasks() if given.jobs is None else frame_tasks(given.jobs, {}, given.every))
    runtime = edgedrag.open(precision=given.precision, threads=given.threads)
    measured(runtime, tasks[:2], 1)  # warm
    report = {"backend": runtime.backend.name, "precision": runtime.precision, "count": COUNT}
    for group, name in ((PAIRS, "with a mask"), (PULLS, "without a mask")):
        of_group = [task for task in tasks if task.group == group]
        report[name] = {"tasks": len(of_group), **measured(runtime, of_group, given.rounds)}
    print(json.dumps(report, indent=1))


if __name__ == "__main__":
    main()
