"""The drags that versions are compared on: frame pairs, one-finger pulls, DragBench's samples, judged drags."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from edgedrag.benchmarks.quality.edits.frame_pairs import MARGIN, disc
from edgedrag.metrics.drag_sets import find_samples, read_sample
from edgedrag.runtime.drag.drags import Drag, check_drags
from edgedrag.runtime.drag.mask import check_mask
from edgedrag.runtime.errors import InputError
from edgedrag.runtime.photo.picture import as_rgb8, load_picture

PAIRS, PULLS, DRAGBENCH, JUDGED = "pairs", "pulls", "dragbench", "judged"
UNEDITED, BEST = "unedited", "best_of_candidates"  # rows of the tables
KINDS = ("rigid", "jointed", "soft", "face", "animal", "cloth", "plant")
KINDS_FILE = Path(__file__).with_name("kinds.tsv")
UNKNOWN = "unknown"


@dataclass(frozen=True)
class EditTask:
    """A drag on a photo.

    Attributes:
        group: PAIRS, PULLS, DRAGBENCH or JUDGED.
        kind: one of KINDS, or UNKNOWN.
        photo: uint8 RGB [H, W, 3]. points: float32 [N, 4] in its pixels. mask: bool [H, W], None if none is given.
        truth: the true result, uint8 RGB; None if it is not known.
        region: bool [H, W], what truly changes: the moving thing and MARGIN pixels around it.
    """

    group: str
    name: str
    kind: str
    photo: np.ndarray
    points: np.ndarray
    mask: np.ndarray | None
    truth: np.ndarray | None = None
    region: np.ndarray | None = None

    @property
    def drags(self) -> list[Drag]:
        """The points as `Photo.drag` takes them."""
        return [((hx, hy), (tx, ty)) for hx, hy, tx, ty in self.points.tolist()]

    @property
    def moving(self) -> np.ndarray | None:
        """The region without its margin: the thing itself, bool [H, W]."""
        return None if self.region is None else eroded(self.region)


def eroded(region: np.ndarray) -> np.ndarray:
    """A region less MARGIN pixels at its edge; where the photo ends it goes on."""
    return cv2.erode(region.astype(np.uint8), disc(MARGIN), borderValue=1) > 0


def read_kinds(file: Path) -> dict[str, str]:
    """The kind of thing in each clip, sample and judged drag, by name; one and the other on each line of a TSV.

    Raises:
        InputError: the file cannot be read, or names a kind that is none of KINDS.
    """
    try:
        lines = [line for line in file.read_text(encoding="utf-8").splitlines() if line and not line.startswith("#")]
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"{file}: {error}") from None
    kinds = {}
    for line in lines:
        name, _, kind = line.partition("\t")
        if kind not in KINDS:
            raise InputError(f"{file}: {line!r}: write NAME, a tab, and one of {', '.join(KINDS)}")
        kinds[name] = kind
    return kinds


def clip_of(name: str) -> str:
    """The clip of a pair, which is named CLIP_NUMBER."""
    return re.sub(r"_\d$", "", name)


def kind_of(name: str, kinds: dict[str, str]) -> str:
    """The kind of a task, by its own name or its clip's."""
    return kinds.get(name) or kinds.get(clip_of(name), UNKNOWN)


def read_lines(file: Path) -> list[dict[str, Any]]:
    """The objects of a JSONL file. Raises InputError if it is none, or has none."""
    try:
        found = [json.loads(line) for line in file.read_text(encoding="utf-8").splitlines() if line.strip()]
    except (OSError, ValueError) as error:
        raise InputError(f"{file}: not one JSON object a line ({error})") from None
    if not found or not all(isinstance(job, dict) for job in found):
        raise InputError(f"{file}: no drags; each line is one JSON object")
    return found


def read_job(file: Path, job: dict[str, Any], kinds: dict[str, str], group: str) -> EditTask:
    """A line of jobs: `name`, `image`, `drags`, and perhaps `mask` and `target`, paths as seen from the file.

    A mask may also be `{"ellipse": [x, y, half the width, half the height]}`, whole pixels. Where the line has `size`,
    the width and height that its pixels refer to, a photo of another size is scaled to it.

    Raises:
        InputError: something is missing, damaged, or of another size than the photo.
    """
    try:
        name, image, ends = str(job["name"]), job["image"], job["drags"]
    except KeyError as error:
        raise InputError(f"{file}: a line has no {error}") from None
    photo, mask, truth = as_rgb8(load_picture(file.parent / image).pixels), None, None
    if job.get("size") is not None:
        photo = resized(name, photo, job["size"])
    if isinstance(job.get("mask"), dict):
        mask = check_mask(ellipse_mask(name, job["mask"], photo.shape[:2]), *photo.shape[:2])
    elif job.get("mask") is not None:
        mask = check_mask(load_picture(file.parent / job["mask"]).pixels, *photo.shape[:2])
    if job.get("target") is not None:
        truth = as_rgb8(load_picture(file.parent / job["target"]).pixels)
        if truth.shape != photo.shape:
            raise InputError(f"{name}: target and image differ in size")
    points = check_drags(ends, *photo.shape[:2])
    return EditTask(group, name, kind_of(name, kinds), photo, points, mask, truth, mask)


def resized(name: str, photo: np.ndarray, size: Any) -> np.ndarray:
    """A job's photo at its size. Raises InputError if that is none."""
    try:
        width, height = (int(v) for v in size)
        return np.asarray(cv2.resize(photo, (width, height), interpolation=cv2.INTER_AREA))
    except (TypeError, ValueError, cv2.error):
        raise InputError(f"{name}: size: {size!r:.40} is no width and height") from None


def ellipse_mask(name: str, mask: dict[str, Any], shape: tuple[int, ...]) -> np.ndarray:
    """The mask of a job that gives an ellipse, uint8 [H, W]. Raises InputError if it is none."""
    try:
        x, y, width, height = (int(v) for v in mask["ellipse"])
        drawn = cv2.ellipse(np.zeros(shape, np.uint8), (x, y), (width, height), 0, 0, 360, 255, -1)
    except (KeyError, TypeError, ValueError, cv2.error) as error:
        raise InputError(
            f'{name}: mask: write a file, or {{"ellipse": [x, y, width / 2, height / 2]}} ({error})'
        ) from None
    return np.asarray(drawn)


def pull_of(pair: EditTask) -> EditTask:
    """The longest drag of a pair, without a mask."""
    lengths = np.hypot(*(pair.points[:, 2:] - pair.points[:, :2]).T)
    longest = pair.points[[int(lengths.argmax())]]
    return EditTask(PULLS, pair.name, pair.kind, pair.photo, longest, None, pair.truth, pair.region)


def frame_tasks(file: Path, kinds: dict[str, str], every: int) -> Iterator[EditTask]:
    """Every `every`-th pair of a file that `frame_pairs` wrote, and its longest drag as a pull without a mask."""
    for job in read_lines(file)[::every]:
        pair = read_job(file, job, kinds, PAIRS)
        if pair.mask is None or pair.truth is None:
            raise InputError(f"{file}: {pair.name}: a pair of frames has a mask and a target")
        yield pair
        yield pull_of(pair)


def sample_tasks(folder: Path, kinds: dict[str, str], every: int) -> Iterator[EditTask]:
    """Samples in DragBench's form. Raises InputError if one is damaged."""
    for name, place in list(find_samples(folder).items())[::every]:
        sample = read_sample(place, max_megapixels=100)
        yield EditTask(DRAGBENCH, name, kind_of(name, kinds), sample.photo, sample.points, sample.mask)


def judged_tasks(file: Path, kinds: dict[str, str], every: int) -> Iterator[EditTask]:
    """Drags that a person judges, some with a mask."""
    for job in read_lines(file)[::every]:
        yield read_job(file, job, kinds, JUDGED)
