"""Reading calibration drags: a folder in DragBench's format, or a job list as for `edgedrag batch`."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import NamedTuple

import click
import numpy as np

from edgedrag.metrics.drag_sets import find_samples, read_sample
from edgedrag.runtime.drag.drags import check_drags, check_handles_in_mask
from edgedrag.runtime.drag.mask import check_mask
from edgedrag.runtime.errors import InputError
from edgedrag.runtime.photo.picture import as_rgb8, load_picture
from edgedrag.runtime.session.edit import Edit
from edgedrag.runtime.session.jobs import Job, read_jobs
from edgedrag.runtime.session.runtime import Runtime


class Request(NamedTuple):
    """What a drag is run with: uint8 RGB [H, W, 3], float32 [N, 4], bool [H, W] or None: made from the drags."""

    photo: np.ndarray
    points: np.ndarray
    mask: np.ndarray | None


@dataclass(frozen=True)
class CalibrationDrag:
    """A valid drag; its photo is read when it runs."""

    name: str
    read: Callable[[], Request]
    steps: tuple[int, ...]
    seed: int

    def run(self, runtime: Runtime) -> list[Edit]:
        """One edit for each step count."""
        task = self.read()
        photo, edits = runtime.load(task.photo), []
        for count in self.steps:
            edits.append(photo.drag(task.points, task.mask, steps=count, seed=self.seed))
            photo.undo()
        return edits


@dataclass(frozen=True)
class CalibrationSet:
    """Drags, a hash of their content, and the skipped ones: name -> reason."""

    drags: Sequence[CalibrationDrag]
    sha256: str
    skipped: dict[str, str]


def read_drags(source: Path, steps: Sequence[int], seed: int, max_megapixels: float) -> CalibrationSet:
    """The drags of a folder or a job list; invalid ones are reported and skipped.

    Args:
        steps: step counts of each drag.
        seed: noise seed of drags without their own.

    Raises:
        InputError: there are no drags, or none is valid; with the reason for the first.
    """
    if not source.exists():
        raise InputError(f"{source}: no such folder or file of drags")
    entries = _samples(source, seed, max_megapixels) if source.is_dir() else _jobs(source, seed, max_megapixels)
    drags, skipped = [], {}
    digest = hashlib.sha256(repr((tuple(steps), seed)).encode())
    for name, own_seed, read in entries:
        try:
            task = read()
        except InputError as error:
            skipped[name] = str(error)
            click.echo(f"skipped: {name}: {error}", err=True)
            continue
        for part in (name.encode(), task.photo, task.mask, task.points, str((own_seed, task.photo.shape)).encode()):
            digest.update(part if isinstance(part, bytes) else np.ascontiguousarray(part).tobytes())
        drags.append(CalibrationDrag(name, read, tuple(steps), own_seed))
    if not drags:
        if not skipped:
            raise InputError(f"{source}: no drags to calibrate on")
        name, why = next(iter(skipped.items()))
        raise InputError(f"{source}: none of {len(skipped)} drags can be used; the first, {name}: {why}")
    return CalibrationSet(drags, digest.hexdigest(), skipped)


Found = Iterator[tuple[str, int, Callable[[], Request]]]  # name, seed, reader


def _samples(folder: Path, seed: int, max_megapixels: float) -> Found:
    for name, place in find_samples(folder).items():
        yield name, seed, partial(_read_sample, place, max_megapixels)


def _jobs(file: Path, seed: int, max_megapixels: float) -> Found:
    for name, job in read_jobs(file, Path(), None, seed, max_megapixels):
        yield name, seed if isinstance(job, InputError) else job.seed, partial(_read_job, job)


def _read_sample(place: Path, max_megapixels: float) -> Request:
    task = read_sample(place, max_megapixels)
    return Request(task.photo, task.points, task.mask)


def _read_job(job: Job | InputError) -> Request:
    if isinstance(job, InputError):
        raise job
    photo = as_rgb8(load_picture(job.photo, job.max_megapixels).pixels)
    height, width = photo.shape[:2]
    points = check_drags(job.drags, height, width)
    if job.mask is None:
        return Request(photo, points, None)
    mask = check_mask(load_picture(job.mask, job.max_megapixels), height, width)
    check_handles_in_mask(points, mask)
    return Request(photo, points, mask)
