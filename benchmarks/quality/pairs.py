"""Drags with ground truth: pairs of a cache, with drags sampled from their flow."""

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

VIDEO = "video"  # kind of the pairs of real frames; the other kinds are synthetic motion
MADE_SHARE = 4  # a kind of synthetic motion gets 1 / MADE_SHARE as many pairs as real frames
MOVED = 1.0  # pixels; smaller motion counts as still
MASK_GROWTH = 9  # size of the square kernel that dilates masks, pixels


@dataclass(frozen=True)
class PairTask(Task):
    """A drag sampled from a pair's true flow.

    Attributes:
        truth: uint8 RGB [H, W, 3].
        moved, revealed: bool [H, W], the parts of the mask whose content is elsewhere in the photo, and is not in it.
    """

    clip: str
    kind: str
    truth: np.ndarray
    moved: np.ndarray
    revealed: np.ndarray


def unseen_clips(cache: Path, per_clip: int, learned_from: Sequence[str]) -> list[tuple[Path, list[int]]]:
    """Files of clips to measure on, each with evenly spread indices of its pairs, real and synthetic.

    All clips in CACHE/held_out, and those in CACHE/train that are not among the bundle's training clips.

    Args:
        learned_from: file names of the bundle's training clips; empty if it does not list them.

    Raises:
        InputError: there are no such clips, or a file is damaged.
    """
    files = sorted((cache / "held_out").glob("*.npz"))
    if learned_from:
        files += [file for file in sorted((cache / "train").glob("*.npz")) if file.stem not in learned_from]
    if not files:
        raise InputError(
            f"{cache}: no pairs from clips outside the bundle's training data; "
            f"make them with `edgedrag learn pairs VIDEOS... -o {cache}`"
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
    """Up to `count` evenly spread indices, including the first and the last."""
    return indices[np.unique(np.linspace(0, len(indices) - 1, count).astype(int))].tolist() if len(indices) else []


def grown(mask: np.ndarray) -> np.ndarray:
    """A pair's mask, dilated as a person would draw it; bool [H, W]."""
    return cv2.dilate(mask.astype(np.uint8), np.ones((MASK_GROWTH, MASK_GROWTH), np.uint8)).astype(bool)


def load_clip(file: Path, names: Sequence[str]) -> dict[str, np.ndarray]:
    """Arrays of a clip's pairs. In older files without `kind`, all pairs are of real frames.

    Raises:
        InputError: the file is damaged or is no clip's pairs.
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
    """A drag for each pair; None if none can be sampled from the pair's flow."""
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
