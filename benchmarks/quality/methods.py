"""The compared methods: baselines, bundles at several step counts, and a bundle without its denoiser."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import cast

import numpy as np

from edgedrag.benchmarks.quality.baselines import bidirectional_warp, inverse_distance_warp, unedited
from edgedrag.metrics.drag_sets import Task
from edgedrag.runtime.drag.checks import Checks
from edgedrag.runtime.errors import EdgedragError, InputError
from edgedrag.runtime.extras import missing_package
from edgedrag.runtime.options import BackendName
from edgedrag.runtime.sampling.sampler import make_table
from edgedrag.runtime.session.edit import Edit
from edgedrag.runtime.session.runtime import Runtime, open_runtime

OWN = "edgedrag"  # the row of the measured bundle
WARP = "inverse_distance_warp"  # the row of the main baseline
TEACHER = "teacher"
BASELINES = {"unedited": unedited, WARP: inverse_distance_warp, "bidirectional_warp": bidirectional_warp}
# Checkpoints related to the embedded generator, in the same folder; they are exported to be measured with it.
RELATIVES = {"one_step_regression": "regression.safetensors", TEACHER: "teacher.safetensors"}

OWN_ROWS = {**{f"{OWN}_{n}": n for n in (1, 2, 4)}, OWN: None}  # row -> steps; None: the default
TEACHER_ROWS = {f"{TEACHER}_{n}": n for n in (4, 1)}
MOTION = "without_denoise"


@dataclass(frozen=True)
class FullEdit:
    """A bundle's edit of a newly loaded photo; instances compare equal if they give the same result."""

    runtime: Runtime
    steps: int
    seed: int

    def __call__(self, task: Task) -> Edit:
        return self.runtime.load(task.photo).drag(task.drags, task.mask, steps=self.steps, seed=self.seed)


@dataclass(frozen=True)
class MotionAlone:
    """A bundle's warp without its denoiser."""

    runtime: Runtime

    def __call__(self, task: Task) -> np.ndarray:
        return self.runtime.load(task.photo).preview(task.drags, task.mask)


@dataclass(frozen=True)
class Baseline:
    """A function of photo, points and mask."""

    edit: Callable[[np.ndarray, np.ndarray, np.ndarray], np.ndarray]

    def __call__(self, task: Task) -> np.ndarray:
        return self.edit(task.photo, task.points, task.mask)


Method = FullEdit | MotionAlone | Baseline


@dataclass(frozen=True)
class Made:
    """A method's result (uint8 RGB), its time in seconds, and the checks of an edit."""

    image: np.ndarray
    seconds: float
    checks: Checks | None


def make(method: Method, task: Task) -> Made:
    start = time.perf_counter()
    result = method(task)
    seconds = time.perf_counter() - start
    return Made(result.image, seconds, result.checks) if isinstance(result, Edit) else Made(result, seconds, None)


@dataclass
class LineUp:
    """The rows of a table.

    Attributes:
        runtime, steps: the measured bundle and the step count of its row.
        methods: row -> method, in the table's order; rows of the same configuration have equal methods.
        bundles: name -> bundle to compare with.
        left_out: row -> reason for leaving it out.
    """

    runtime: Runtime
    steps: int
    methods: dict[str, Method]
    bundles: dict[str, Runtime]
    left_out: dict[str, str]

    def make_all(self, task: Task) -> dict[Method, Made]:
        """The results of all methods; equal methods run once."""
        return {method: make(method, task) for method in dict.fromkeys(self.methods.values())}


def line_up(runtime: Runtime, steps: int | None, seed: int, compare: dict[str, str], relatives: Path | None) -> LineUp:
    """Assemble the methods to compare with a bundle.

    Args:
        steps: of the bundle's row; None uses its default.
        compare: name -> further bundle, run at its default steps; `teacher` also at 4 and 1 steps.
        relatives: an empty folder for exporting the embedded generator's related checkpoints; None if another
            bundle is measured.

    Raises:
        InputError: unsupported step count, or a name in `compare` that is already used.
    """
    taken = {*BASELINES, *OWN_ROWS, *TEACHER_ROWS, MOTION} & set(compare)
    if taken:
        raise InputError(f"compare: {', '.join(sorted(taken))} is already the name of a row; use another name")
    own_steps = len(make_table(runtime.bundle.sampler, steps).steps)
    backend = cast(BackendName, runtime.backend.name)
    rows = LineUp(runtime, own_steps, {name: Baseline(edit) for name, edit in BASELINES.items()}, {}, {})
    for name, bundle in compare.items():
        rows.bundles[name] = open_runtime(bundle, backend)
    for name, checkpoint in RELATIVES.items():
        if name not in compare:
            try:
                rows.bundles[name] = open_runtime(export_relative(checkpoint, relatives), backend)
            except EdgedragError as error:
                rows.left_out[name] = str(error)

    def add(row: str, name: str, bundle: Runtime | None, count: int | None) -> None:
        if bundle is None:
            rows.left_out[row] = rows.left_out[name]
            return
        try:
            rows.methods[row] = FullEdit(bundle, len(make_table(bundle.bundle.sampler, count).steps), seed)
        except InputError as error:
            rows.left_out[row] = str(error)

    for name in dict.fromkeys((*RELATIVES, *compare)):
        for row, count in {name: None, **(TEACHER_ROWS if name == TEACHER else {})}.items():
            add(row, name, rows.bundles.get(name), count)
    if runtime.bundle.gives_flow:
        rows.methods[MOTION] = MotionAlone(runtime)
    else:
        rows.left_out[MOTION] = "the bundle gives no flow"
    for row, count in OWN_ROWS.items():
        add(row, OWN, runtime, count or steps)
    return rows


def export_relative(checkpoint: str, folder: Path | None) -> Path:
    """Export a checkpoint in the embedded generator's folder to `folder`; returns the bundle's folder.

    Raises:
        InputError: the checkpoint does not exist, or `folder` is None.
        EdgedragError: a package is missing, or the export fails.
    """
    if folder is None:
        raise InputError("not the shipped bundle: give one to compare with as NAME=BUNDLE")
    try:
        from edgedrag.export.embedded import export_embedded
        from edgedrag.generator.training.checkpoint import clone_checkpoint
    except ModuleNotFoundError as error:
        raise missing_package(error.name or "", "quality") or error from None
    file = clone_checkpoint(checkpoint)
    bundle = folder / file.stem
    export_embedded(file, bundle)
    return bundle
