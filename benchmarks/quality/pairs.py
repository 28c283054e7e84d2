"""Drags with a truth: pairs of a cache, with the drag that their own motion draws."""

from __future__ import annotations

import zipfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

from edgedrag.generator.data.pairs import draggable, sample_points
from edgedrag.metrics.drag_sets import Task
from edgedrag.runtime.drag.drags import check_drags, check_handles_in_mask
from edgedrag.runtime.errors import InputError

VIDEO = "video"  # the kind of pairs of real frames; the other kinds are motion made from stills
MADE_SHARE = 4  # of made motion, each kind gets this part of the pairs that real frames get
MOVED = 1.0  # pixels; what moves less counts as still
MASK_GROWTH = 9  # pixels, the width of the square that masks are grown by


@dataclass(frozen=True)
class PairTask(Task):
    """A drag that was drawn from a pair's true motion.

    `truth` uint8 RGB [H, W, 3]; `moved` and `revealed`, bool [H, W], are the parts of the mask that the
    photo shows elsewhere and that it does not show.
    """

    clip: str
    kind: str
    truth: np.ndarray
    moved: np.ndarray
    revealed: np.ndarray


def unseen_clips(cache: Path, per_clip: int, learned_from: Sequence[str]) -> list[tuple[Path, list[int]]]:
    """Files of clips to measure on, and the pairs to take of each: evenly spread, of real frames and of each made kind.

    All that is in CACHE/held_out, and of CACHE/train what a bundle that names its clips did not learn from.

    Args:
        learned_from: file names of the clips that the bundle learned from; empty where it does not say.

    Raises:
        InputError: there is none, or a file is damaged.
    """
    files = sorted((cache / "held_out").glob("*.npz"))
    if learned_from:
        files += [file for file in sorted((cache / "train").glob("*.npz")) if file.stem not in learned_from]
    if not files:
        raise InputError(
            f"{cache}: no pairs of clips that the bundle did not learn from; "
            f"make them with `edgedrag pairs VIDEOS... -o {cache}`"
        )
    clips = []
    for file in files:
        kinds = np.array(load_clip(file, ["kind"])["kind"])
        taken: list[int] = []
        for kind in np.unique(kinds):
            count = per_clip if kind == VIDEO else max(1, per_clip // MADE_SHARE)
            of_kind = np.flatnonzero(kinds == kind)
            taken += evenly(of_kind, count)
        clips.append((file, sorted(taken)))
    return clips


def evenly(indices: np.ndarray, count: int) -> list[int]:
    """Up to `count` of the indices, evenly spread, with the first and the last."""
    return indices[np.unique(np.linspace(0, len(indices) - 1, count).astype(int))].tolist() if len(indices) else []


def grown(mask: np.ndarray) -> np.ndarray:
    """A pair's mask as a person would draw it, a little larger; bool [H, W]."""
    return cv2.dilate(mask.astype(np.uint8), np.ones((MASK_GROWTH, MASK_GROWTH), np.uint8)).astype(bool)


def load_clip(file: Path, names: Sequence[str]) -> dict[str, np.ndarray]:
    """Arrays of a clip's pairs; older files name no `kind`: all of theirs are of real frames.

    Raises:
        InputError: the file is damaged or holds something else.
    """
    try:
        with np.load(file, allow_pickle=False) as stored:
            old = "kind" not in stored.files
            arrays = {name: stored[name] for name in names if not (old and name == "kind")}
            if old and "kind" in names:
                arrays["kind"] = np.full(len(stored["mask"]), VIDEO)
            return arrays
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile) as error:
        raise InputError(f"{file}: not a clip's pairs ({error})") from None


def held_out_tasks(clips: Sequence[tuple[Path, list[int]]], seed: int) -> Iterator[PairTask | None]:
    """The pairs with a drag drawn on each; None where a pair's motion gives none."""
    for file, indices in clips:
        arrays = load_clip(file, ("source", "target", "flow", "valid", "mask", "kind"))
        for index in indices:
            source, truth, flow, valid, mask, kind = (a[index] for a in arrays.values())
            flow = flow.astype(np.float32)
            mask = grown(mask)
            points = sample_points(flow, draggable(truth, valid), mask, np.random.default_rng([seed, index]))
            moved = mask & valid & (np.linalg.norm(flow, axis=-1) > MOVED)
            task = PairTask(source, points, mask, file.stem, str(kind), truth, moved, mask & ~valid)
            try:
                check_handles_in_mask(check_drags(task.drags, *mask.shape), mask)
            except InputError:
                yield None
            else:
                yield task
