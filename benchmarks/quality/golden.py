"""`edgedrag bench accuracy`: accuracy beside latency, on a small set of photos with drags.

Every configuration (backend, precision, steps) edits every photo, taking turns in one run. Its pictures are compared
with those of the first backend and precision at the bundle's default steps, or the most of those asked for.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import cv2
import numpy as np

import edgedrag
from edgedrag.benchmarks.context import machine
from edgedrag.benchmarks.formatting import number
from edgedrag.benchmarks.quality.tables import count_verdicts, mean, median
from edgedrag.metrics.drag_sets import Task
from edgedrag.metrics.pixels import psnr_in_mask
from edgedrag.metrics.stlpips import STLPIPS
from edgedrag.runtime.drag.drags import check_drags, check_handles_in_mask
from edgedrag.runtime.errors import EdgedragError, InputError
from edgedrag.runtime.options import BackendName, PrecisionName
from edgedrag.runtime.photo.picture import as_rgb8, load_picture
from edgedrag.runtime.session.edit import Edit
from edgedrag.runtime.session.runtime import Runtime, open_runtime

FORMAT = "edgedrag-accuracy"
INDEX = "golden.json"
VERDICTS = ("good", "doubtful", "bad")
LEAST = 11  # photos for a median of the time, as for one of `bench latency`
MAX_DB = 99.0  # what equal pictures count as in a mean


def shipped() -> Path:
    """The set in a checkout's tests.

    Raises:
        InputError: edgedrag was installed without them.
    """
    folder = Path(edgedrag.__file__).resolve().parents[2] / "tests" / "golden"
    if not (folder / INDEX).exists():
        raise InputError("the golden set is in a checkout's tests/golden alone; give a folder with --golden")
    return folder


def read_golden(folder: Path, max_megapixels: float) -> dict[str, Task]:
    """The photos of a folder with their drags, by name.

    Raises:
        InputError: a file is missing or damaged, or a drag is not inside its mask; says which.
    """
    index = folder / INDEX
    try:
        rows = json.loads(index.read_text(encoding="utf-8"))
        listed = [(str(row["photo"]), [tuple(drag) for drag in row["drags"]], tuple(row["mask"])) for row in rows]
    except OSError as error:
        raise InputError(f"{index}: cannot be read ({error.strerror})") from None
    except (ValueError, KeyError, TypeError) as error:
        raise InputError(f"{index}: not a list of objects with photo, drags and mask ({error!r})") from None
    tasks = {}
    for name, drags, disc in listed:
        try:
            photo = as_rgb8(load_picture(folder / name, max_megapixels).pixels)
            mask = np.zeros(photo.shape[:2], np.uint8)
            x, y, radius = map(int, disc)
            cv2.circle(mask, (x, y), radius, 1, -1)
            points = check_drags([((hx, hy), (tx, ty)) for hx, hy, tx, ty in drags], photo.shape[0], photo.shape[1])
            check_handles_in_mask(points, mask.astype(bool))
        except (EdgedragError, ValueError) as error:
            raise InputError(f"{index}: {name}: {error}") from None
        tasks[name] = Task(photo, points, mask.astype(bool))
    if not tasks:
        raise InputError(f"{index}: it lists no photos")
    return tasks


@dataclass(frozen=True)
class Setting:
    """A row of the table."""

    backend: BackendName
    precision: PrecisionName
    steps: int


@dataclass
class Row:
    """What a setting's edits cost: dB and ST-LPIPS from the reference's in the mask, verdicts, milliseconds."""

    psnr: list[float] = field(default_factory=list)
    stlpips: list[float] = field(default_factory=list)
    verdicts: list[str] = field(default_factory=list)
    ms: list[float] = field(default_factory=list)


def open_all(
    bundle: str | Path, backends: Sequence[BackendName], precisions: Sequence[PrecisionName], threads: int | None
) -> tuple[dict[tuple[BackendName, PrecisionName], Runtime], dict[str, str]]:
    """The bundle on every backend and in every precision, and why some cannot be opened.

    Raises:
        InputError: none can be.
    """
    opened, absent = {}, {}
    for backend in backends:
        for precision in precisions:
            try:
                opened[backend, precision] = open_runtime(bundle, backend, precision, threads=threads)
            except EdgedragError as error:
                absent[f"{backend} {precision}"] = str(error).strip().splitlines()[0]
    if not opened:
        raise InputError(f"nothing to compare: {'; '.join(f'{name}: {why}' for name, why in absent.items())}")
    return opened, absent


def measure(
    runtimes: dict[tuple[BackendName, PrecisionName], Runtime],
    steps: Sequence[int],
    tasks: dict[str, Task],
    stlpips: STLPIPS,
    say: Callable[[str], None],
) -> dict[str, Any]:
    """The report's figures, with the reference first; others' pictures are compared with its own."""
    default = next(iter(runtimes.values())).bundle.sampler["default_steps"]
    counts = sorted(steps, key=lambda count: (count != (default if default in steps else max(steps)), count))
    settings = [Setting(*key, count) for count in counts for key in runtimes]
    for setting in settings:  # warm up
        _edit(runtimes[setting.backend, setting.precision], next(iter(tasks.values())), setting.steps)
    rows = {setting: Row() for setting in settings}
    for at, (name, task) in enumerate(tasks.items()):
        say(f"{at + 1} of {len(tasks)}: {name}")
        made: dict[Setting, Edit] = {}
        order = settings[at % len(settings) :] + settings[: at % len(settings)]
        for setting in order:
            edit, ms = _edit(runtimes[setting.backend, setting.precision], task, setting.steps)
            made[setting] = edit
            rows[setting].ms.append(ms)
            rows[setting].verdicts.append(edit.checks.verdict)
        reference = made[settings[0]]
        features = stlpips.features(reference.image)
        for setting, edit in made.items():
            psnr = psnr_in_mask(edit.image, reference.image, reference.mask)
            rows[setting].psnr.append(min(psnr, MAX_DB))
            distance = stlpips.in_mask(stlpips.features(edit.image), features, reference.mask)
            rows[setting].stlpips.append(distance)
    return {"photos": len(tasks), "rows": [_figures(setting, rows[setting], settings[0]) for setting in settings]}


def _edit(runtime: Runtime, task: Task, steps: int) -> tuple[Edit, float]:
    """The first edit of a newly loaded photo, and its milliseconds."""
    photo = runtime.load(task.photo)
    start = time.perf_counter()
    edit = photo.drag(task.drags, task.mask, steps=steps, seed=0)
    return edit, (time.perf_counter() - start) * 1e3


def _figures(setting: Setting, row: Row, reference: Setting) -> dict[str, Any]:
    return {
        "backend": setting.backend,
        "precision": setting.precision,
        "steps": setting.steps,
        "reference": setting == reference,
        "psnr_db": None if setting == reference else mean(row.psnr, 2),
        "worst_psnr_db": None if setting == reference else round(min(row.psnr), 2),
        "stlpips": None if setting == reference else mean(row.stlpips, 5),
        "worst_stlpips": None if setting == reference else round(max(row.stlpips), 5),
        "verdicts": count_verdicts(row.verdicts),
        "median_ms": median(row.ms, 2) if len(row.ms) >= LEAST else None,
    }


def report(
    runtimes: dict[tuple[BackendName, PrecisionName], Runtime], absent: dict[str, str], figures: dict[str, Any]
) -> dict[str, Any]:
    """The whole report: machine, bundle and figures."""
    first = next(iter(runtimes.values()))
    return {
        "format": FORMAT,
        "format_version": 1,
        "context": {
            **machine(first.backend.device),
            "bundle": first.bundle.name,
            "bundle_version": first.bundle.manifest["version"],
            "checkpoint_sha256": first.bundle.manifest["provenance"]["checkpoint_sha256"],
        },
        **figures,
        "absent": absent,
    }


HEAD = (
    "backend",
    "precision",
    "steps",
    "first drag, ms",
    "dB",
    "worst dB",
    "ST-LPIPS",
    "worst",
    "good / doubtful / bad",
)


def table_rows(report: dict[str, Any]) -> list[list[str]]:
    """The table's rows as text, by HEAD; the reference has no distance from itself."""
    return [
        [
            row["backend"], row["precision"], str(row["steps"]), number(row["median_ms"], 1),
            *(("reference", "-", "-", "-") if row["reference"] else (
                number(row["psnr_db"], 1), number(row["worst_psnr_db"], 1),
                number(row["stlpips"], 4), number(row["worst_stlpips"], 4))),
            " / ".join(str(row["verdicts"][verdict]) for verdict in VERDICTS),
        ]
        for row in report["rows"]
    ]  # fmt: skip


def describe(report: dict[str, Any]) -> str:
    """The table for people."""
    shown = [list(HEAD), *table_rows(report)]
    widths = [max(len(row[at]) for row in shown) for at in range(len(HEAD))]
    lines = [f"{report['context']['bundle']} {report['context']['bundle_version']}, {report['photos']} photos"]
    lines += ["  ".join(cell.ljust(width) for cell, width in zip(row, widths)).rstrip() for row in shown]
    lines += [f"absent: {name}: {why}" for name, why in report["absent"].items()]
    return "\n".join(lines)
