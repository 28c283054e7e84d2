"""Clips and pictures: decoding, cuts, and the split into training and held-out clips."""

from __future__ import annotations

import csv
import functools
from itertools import pairwise
from pathlib import Path

import cv2
import numpy as np

from edgedrag.runtime.errors import InputError
from edgedrag.runtime.photo.picture import as_rgb8, load_picture

CLIPS = (".mp4", ".mov", ".m4v", ".avi", ".mkv", ".webm", ".gif")
VIEWS = 32  # random views of a picture, which stand for the frames of a clip
SHORT_SIDE = 320  # pixels; larger frames are reduced to it
SPLIT_FILE = Path(__file__).with_name("split.tsv")
CUT_DIFFERENCE = 28.0  # mean grey-level change between neighbouring frames that marks a cut


@functools.cache
def read_split() -> dict[str, str]:
    """The committed split: clip file name -> "train" or "held_out"."""
    with SPLIT_FILE.open(newline="") as f:
        return {row["clip"]: row["split"] for row in csv.DictReader(f, delimiter="\t")}


def split_of(clip: str) -> str:
    """The split of a clip by its file name: that of the committed table, "train" for unlisted clips."""
    return read_split().get(clip, "train")


def read_frames(path: Path, short_side: int = SHORT_SIDE, limit: int = 1500) -> list[np.ndarray]:
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


def read_views(path: Path, rng: np.random.Generator) -> list[np.ndarray]:
    """Random square crops of a picture, up to its shorter side, resized to SHORT_SIDE pixels; uint8 BGR.

    Raises:
        InputError: the file cannot be read as a picture.
    """
    picture = as_rgb8(load_picture(path).pixels)[..., ::-1]
    h, w = picture.shape[:2]
    views = []
    for _ in range(VIEWS):
        side = round(float(np.exp(rng.uniform(np.log(min(SHORT_SIDE, h, w)), np.log(min(h, w))))))
        top, left = rng.integers(0, h - side + 1), rng.integers(0, w - side + 1)
        view = picture[top : top + side, left : left + side]
        views.append(cv2.resize(view, (SHORT_SIDE, SHORT_SIDE), interpolation=cv2.INTER_AREA))
    return views


def shot_of_each_frame(frames: list[np.ndarray]) -> np.ndarray:
    """The shot number of each frame; a cut starts a new number."""
    small = [cv2.resize(f, (48, 48), interpolation=cv2.INTER_AREA).astype(np.float32) for f in frames]
    jumps = [float(np.abs(b - a).mean()) > CUT_DIFFERENCE for a, b in pairwise(small)]
    return np.concatenate([[0], np.cumsum(jumps)]).astype(int)
