"""Edits by a process of its own: of this edgedrag, or of another checkout."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

import edgedrag
from edgedrag.benchmarks.quality.edits import worker
from edgedrag.benchmarks.quality.edits.tasks import EditTask
from edgedrag.runtime import errors
from edgedrag.runtime.options import RuntimeOptions


@dataclass(frozen=True)
class Answer:
    """What a version of edgedrag makes of a task.

    Attributes:
        images, masks: uint8 [K, H, W, 3] and bool [K, H, W], of the edit and then its candidates.
        holds: bool [M, H, W], what moves with the first handle, and the alternatives; the edit's mask where the
            version has no hold.
        checked: `verdict` and `reasons` (codes) of the edit, `verdicts_of_candidates`, and its `ms`.
    """

    images: np.ndarray
    masks: np.ndarray
    holds: np.ndarray
    checked: dict[str, Any]


class Subject:
    """A worker process; a context manager.

    Attributes:
        opened: the result of `worker.Worker.opened`.
    """

    def __init__(self, options: RuntimeOptions, source: Path | None, folder: Path):
        """Start a process with its files in `folder`; `source` is another checkout to measure instead of this one.

        Raises:
            EdgedragError: the worker's error, or `source` is no checkout.
        """
        self._folder = folder
        script = folder / "worker.py"
        shutil.copyfile(worker.__file__, script)
        root = Path(edgedrag.__file__).parents[1] if source is None else source.resolve() / "src"
        if not (root / "edgedrag").exists():
            raise errors.InputError(f"{source}: no checkout of edgedrag (it has no src/edgedrag)")
        # Only the given options: older checkouts do not support all of them.
        given = {n: v if isinstance(v, int) else str(v) for n, v in asdict(options).items() if v is not None}
        self._log = open(folder / "worker.log", "a")
        self._process = subprocess.Popen(
            [sys.executable, str(script), json.dumps(given)],
            env={**os.environ, "PYTHONPATH": str(root)},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._log,
            text=True,
        )
        try:
            self.opened = self._answer()
        except BaseException:
            self.close()
            raise

    def make(self, task: EditTask, count: int, seed: int) -> Answer:
        """A task's edit, `count` candidates where the version has them, and its holds.

        Raises:
            EdgedragError: the worker's error.
        """
        question, result = self._folder / "task.npz", self._folder / "result.npz"
        if task.mask is None:
            np.savez(question, photo=task.photo)
        else:
            np.savez(question, photo=task.photo, mask=task.mask)
        command = {"task": str(question), "result": str(result), "drags": task.drags, "count": count, "seed": seed}
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps(command) + "\n")
        self._process.stdin.flush()
        checked = self._answer()
        with np.load(result) as arrays:
            return Answer(arrays["images"], arrays["masks"], arrays["holds"], checked)

    def close(self) -> None:
        """End the process."""
        self._process.kill()
        self._process.wait()
        self._log.close()

    def __enter__(self) -> Subject:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _answer(self) -> dict[str, Any]:
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line:
            log = (self._folder / "worker.log").read_text().strip().splitlines()
            raise errors.EdgedragError(
                f"the measured process ended with code {self._process.wait()}: {log[-1] if log else 'without output'}"
            )
        answer = json.loads(line)
        if "error" in answer:
            kind = getattr(errors, answer["kind"], None)
            raise (kind or errors.EdgedragError)(answer["error"])
        return answer
