"""One drag from file to file, and many of them from a list."""

from __future__ import annotations

import json
import re
import sys
import time
import warnings
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from edgedrag.runtime.drag.drags import Drag
from edgedrag.runtime.drag.motion_names import MotionName
from edgedrag.runtime.errors import InputError
from edgedrag.runtime.photo.picture import MAX_MEGAPIXELS, Picture, check_output, is_lossless, save_picture
from edgedrag.runtime.session.edit import Edit
from edgedrag.runtime.session.runtime import Runtime
from edgedrag.runtime.session.sheet import make_sheet
from edgedrag.runtime.trace import span

NAME = re.compile(r"[^/\\\x00-\x1f]{1,200}")


@dataclass(frozen=True)
class Job:
    """A drag on a file, given by its path or its bytes, and where its result goes."""

    photo: Path | bytes
    drags: Sequence[Drag]
    output: Path
    mask: Path | bytes | None = None
    sheet: Path | None = None
    mask_out: Path | None = None
    steps: int | None = None
    seed: int = 0
    max_megapixels: float = MAX_MEGAPIXELS
    mark: bool = True
    motion: MotionName = "auto"
    candidates: int | None = None  # how many answers are written, each to a file of its own; None: one, to `output`

    def outputs(self) -> list[Path]:
        """The files of the result, or of as many candidates as there may be."""
        if self.candidates is None:
            return [self.output]
        numbers = range(1, self.candidates + 1)
        return [self.output.with_name(f"{self.output.stem}-{n}{self.output.suffix}") for n in numbers]


def check_outputs(job: Job) -> None:
    """Raise InputError where a file of the job could not be written, before any work is done."""
    outputs = [path for path in (*job.outputs(), job.sheet, job.mask_out) if path is not None]
    for number, path in enumerate(outputs):
        check_output(path)
        for what, source in (("photo", job.photo), ("mask", job.mask)):
            if isinstance(source, Path) and _is_same_file(path, source):
                raise InputError(f"{path}: is the {what} itself, which is kept; name another file")
        if any(_is_same_file(path, other) for other in outputs[:number]):
            raise InputError(f"{path}: two of the pictures to write would go there; name another file for one")


def _is_same_file(path: Path, other: Path) -> bool:
    if path.exists() and other.exists():
        return path.samefile(other)
    return path.resolve() == other.resolve()


def run_job(
    runtime: Runtime, job: Job, opened_ms: float = 0.0, warn: Callable[[str], None] = warnings.warn
) -> dict[str, Any]:
    """Run a job and write its files; returns the object that `--json` prints.

    Args:
        opened_ms: what opening the bundle took, counted into `load` and `total`.
        warn: gets a sentence for each thing that was left out, and for a mask that is the whole photo.

    Raises:
        InputError: anything wrong with the job; nothing is written then.
    """
    check_outputs(job)
    start = time.perf_counter()
    photo = runtime.load(job.photo, job.max_megapixels)
    before = photo.image
    load = opened_ms + (time.perf_counter() - start) * 1e3
    left_out = photo.picture.warnings
    if job.candidates is None:
        edits = [photo.drag(job.drags, job.mask, steps=job.steps, seed=job.seed, motion=job.motion)]
    else:
        edits = photo.candidates(job.drags, job.mask, count=job.candidates, steps=job.steps, seed=job.seed)
    outputs, edit = job.outputs(), edits[0]
    for path, each in zip(outputs, edits):
        left_out += save_picture(path, each, job.mark)
    if job.sheet is not None:
        points = np.array([[*handle, *target] for handle, target in job.drags])
        with span("draw sheet", "composite"):
            sheet = make_sheet(before, edit.image, edit.mask, points)
        save_picture(job.sheet, Picture(sheet, edited=True), job.mark)
    if job.mask_out is not None:
        save_picture(job.mask_out, edit.mask)
    if job.mask is not None and edit.mask.all():
        name = job.mask if isinstance(job.mask, Path) else "mask"
        left_out += (f"{name}: is the whole photo, so all of it may change",)
    for sentence in left_out:
        warn(sentence)
    total = opened_ms + (time.perf_counter() - start) * 1e3
    return {
        "output": str(outputs[0]),
        "width": before.shape[1],
        "height": before.shape[0],
        "bundle": runtime.bundle.name,
        "backend": edit.backend,
        "precision": edit.precision,
        "steps": edit.steps,
        "seed": edit.seed,
        "motion": edit.motion,
        "outside_exact": is_lossless(outputs[0]),
        "timings_ms": {**{"load": round(load, 2)}, **edit.timings, "total": round(total, 2)},
        "checks": _checks(edit),
        "fallback": [asdict(step) for step in edit.fallback],
        **({} if job.candidates is None else {"candidates": _candidates(outputs, edits)}),
    }


def _checks(edit: Edit) -> dict[str, Any]:
    return {
        "verdict": edit.checks.verdict,
        "reasons": [str(reason) for reason in edit.checks.reasons],
        "codes": [reason.code.value for reason in edit.checks.reasons],
        "boxes": [reason.box for reason in edit.checks.reasons],
        "risk": edit.checks.risk,
        "landing_error_px": edit.checks.landing_error_px,
    }


def _candidates(outputs: Sequence[Path], edits: Sequence[Edit]) -> list[dict[str, Any]]:
    """What each candidate's file holds, the likeliest first."""
    return [
        {"output": str(path), "motion": edit.motion, "steps": edit.steps, "seed": edit.seed, "checks": _checks(edit)}
        for path, edit in zip(outputs, edits)
    ]


def read_jobs(
    file: Path, outdir: Path, steps: int | None, seed: int, max_megapixels: float, mark: bool = True
) -> Iterator[tuple[str, Job | InputError]]:
    """The jobs of a JSONL file, by name; for a line that is no job, the error instead.

    A line is {"name", "image", "mask"?, "drags": [[[hx, hy], [tx, ty]], ...], "seed"?}; other keys
    are ignored. Relative paths start at the file's folder, or at the current one where that has no
    such file. The file `-` is stdin.

    Raises:
        InputError: the file cannot be read.
    """
    try:
        data = sys.stdin.buffer.read() if file == Path("-") else file.read_bytes()
        lines = data.decode("utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"{file}: cannot be read as a list of jobs ({error})") from None
    seen: set[str] = set()
    for number, line in enumerate(lines, start=1):
        if not line.strip():
            continue
        name = f"line {number}"
        try:
            entry = json.loads(line)
            name = _name(entry, name, seen)
            job = _job(entry, name, file.parent, outdir / f"{name}.png", seed)
            yield name, replace(job, steps=steps, max_megapixels=max_megapixels, mark=mark)
        except (ValueError, RecursionError):
            yield name, InputError(f"{file}:{number}: not JSON")
        except InputError as error:
            yield name, error


def _name(entry: Any, fallback: str, seen: set[str]) -> str:
    if not isinstance(entry, dict):
        raise InputError(f"{fallback}: a job is an object with name, image and drags")
    name = entry.get("name")
    if not isinstance(name, str) or not NAME.fullmatch(name) or name.startswith("."):
        raise InputError(f"{fallback}: 'name' must be a file name without a path, not {name!r}")
    if name in seen:
        raise InputError(f"{fallback}: the name '{name}' is on an earlier line too")
    seen.add(name)
    return name


def _job(entry: dict[str, Any], name: str, folder: Path, output: Path, seed: int) -> Job:
    def path(key: str) -> Path | None:
        value = entry.get(key)
        if value is None:
            return None
        if not isinstance(value, str):
            raise InputError(f"{name}: '{key}' must be a path")
        beside = folder / value
        return beside if beside.exists() else Path(value)

    image = path("image")
    if image is None:
        raise InputError(f"{name}: 'image' is missing")
    drags, own_seed = entry.get("drags"), entry.get("seed", seed)
    try:
        pairs = [((float(h[0]), float(h[1])), (float(t[0]), float(t[1]))) for h, t in drags or ()]
    except (TypeError, ValueError, IndexError, KeyError):
        raise InputError(f"{name}: 'drags' must be [[[handle x, y], [target x, y]], ...]") from None
    if not isinstance(own_seed, int) or isinstance(own_seed, bool):
        raise InputError(f"{name}: 'seed' must be a whole number")
    return Job(image, pairs, output, path("mask"), seed=own_seed)
