"""`edgedrag bench quality --jobs, --judged`: one version on all sets of drags at once."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click
import numpy as np
from tqdm import tqdm

from edgedrag.benchmarks.context import git_revision, machine
from edgedrag.benchmarks.quality.edits.report import EDITS, summarise
from edgedrag.benchmarks.quality.edits.scores import Scorer
from edgedrag.benchmarks.quality.edits.sheet import Sheet
from edgedrag.benchmarks.quality.edits.subject import Subject
from edgedrag.benchmarks.quality.edits.tasks import (
    JUDGED,
    KINDS_FILE,
    EditTask,
    frame_tasks,
    judged_tasks,
    read_kinds,
    sample_tasks,
)
from edgedrag.metrics.stlpips import STLPIPS
from edgedrag.metrics.xfeat import XFeat
from edgedrag.runtime.errors import EdgedragError, InputError
from edgedrag.runtime.options import RuntimeOptions

CANDIDATES = 3


@dataclass(frozen=True)
class EditSets:
    """The drags to measure on.

    Attributes:
        jobs: a file that `frame_pairs` wrote; gives the pairs and the pulls.
        dragbench: a folder of samples. judged: a file of judged drags.
        kinds: a TSV of names and kinds; the shipped one if None.
        every: only each n-th line or sample.
    """

    jobs: Path | None
    dragbench: Path | None
    judged: Path | None
    kinds: Path | None = None
    every: int = 1

    def tasks(self) -> Iterator[EditTask]:
        """All tasks. Raises InputError if a file is damaged."""
        kinds = read_kinds(self.kinds or KINDS_FILE)
        if self.jobs is not None:
            yield from frame_tasks(self.jobs, kinds, self.every)
        if self.dragbench is not None:
            yield from sample_tasks(self.dragbench, kinds, self.every)
        if self.judged is not None:
            yield from judged_tasks(self.judged, kinds, self.every)


def measure(
    options: RuntimeOptions, source: Path | None, sets: EditSets, weights: Path | None, seed: int
) -> tuple[dict[str, Any], np.ndarray | None]:
    """The report, and a sheet of the judged drags (uint8 RGB; None without any).

    Args:
        source: another checkout to measure instead of this one.
        weights: folder of the metric networks' weights; None uses the installed packages.

    Raises:
        InputError: damaged data, no metric networks, or nothing that can be measured.
    """
    stlpips, xfeat = STLPIPS(weights), XFeat(weights)
    scorer, sheet = Scorer(stlpips, xfeat), Sheet()
    rows: list[dict[str, Any]] = []
    failed: dict[str, str] = {}
    with tempfile.TemporaryDirectory() as folder, Subject(options, source, Path(folder)) as subject:
        for task in tqdm(sets.tasks(), desc="edits", disable=None):
            try:
                answer = subject.make(task, CANDIDATES, seed)
            except EdgedragError as error:
                failed[f"{task.group} {task.name}"] = str(error)
                click.echo(f"failed: {task.group} {task.name}: {error}", err=True)
                continue
            rows.append(scorer.score(task, answer))
            if task.group == JUDGED:
                sheet.add(task, answer)
    if not rows:
        raise InputError(f"none of {len(failed)} drags can be measured; the first: {next(iter(failed.values()), '-')}")
    return {
        **machine(subject.opened["device"]),
        "kind": EDITS,
        "git_revision": git_revision(source),
        **subject.opened,
        "seed": seed,
        "every": sets.every,
        "metric_weights_sha256": {"stlpips": stlpips.sha256, "xfeat": xfeat.sha256},
        **summarise(rows),
        "failed": failed,
    }, sheet.draw()
