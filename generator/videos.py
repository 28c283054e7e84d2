"""Clips: decoding, cuts, and the split into training and held-out clips."""

from __future__ import annotations

import csv
import functools
from itertools import pairwise
from pathlib import Path

import cv2
import numpy as np

from edgedrag.runtime.errors import InputError

SUFFIXES = (".mp4", ".mov", ".m4v", ".avi", ".mkv", ".webm", ".gif")
SPLIT_FILE = Path(__file__).with_name("split.tsv")
CUT_DIFFERENCE = 28.0  # mean grey-level change between neighbouring frames that marks a cut


@functools.cache
def read_split() -> dict[str, str]:
    """The committed split: clip file name -> "train" or "held_out"."""
    with SPLIT_FILE.open(newline="") as f:
        return {row["clip"]: row["split"] for row in csv.DictReader(f, delimiter="\t")}


def split_of(clip: str) -> str:
    """The split of a clip by its file name: as committed, "train" for others."""
    return read_split().get(clip, "train")


def read_frames(path: Path, short_side: int = 320, limit: int = 1500) -> list[np.ndarray]:
    """Decode up to `limit` frames as uint8 BGR, reduced so that the short side is `short_side`.

    Raises:
        InputError: the file cannot be decoded as a video.
    """
    capture = cv2.VideoCapture(str(path))
    frames: list[np.ndarray] = []
    while len(frames) < limit:
        ok, frame = capture.read()
        if not ok:
            break
        scale = short_side / min(frame.shape[:2])
        if scale < 1:
            frame = cv2.resize(frame, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
        frames.append(frame)
    capture.release()
    if not frames:
        raise InputError(f"{path}: cannot be decoded as a video")
    return frames


def shot_of_each_frame(frames: list[np.ndarray]) -> np.ndarray:
    """Number the shots: frames with equal numbers have no cut between them."""
    small = [cv2.resize(f, (48, 48), interpolation=cv2.INTER_AREA).astype(np.float32) for f in frames]
    jumps = [float(np.abs(b - a).mean()) > CUT_DIFFERENCE for a, b in pairwise(small)]
    return np.concatenate([[0], np.cumsum(jumps)]).astype(int)
