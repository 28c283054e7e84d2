"""Starting, controlling and ending the measured process."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import edgedrag
from edgedrag.benchmarks.latency import worker
from edgedrag.runtime import errors
from edgedrag.runtime.options import RuntimeOptions


@dataclass(frozen=True)
class Configuration:
    """What to measure.

    Attributes:
        peer: a name of `peers.PEERS` to measure instead of edgedrag.
        source: another checkout whose edgedrag is measured instead of this one.
    """

    options: RuntimeOptions = RuntimeOptions()
    peer: str | None = None
    source: Path | None = None


class Subject:
    """A worker process; a context manager.

    Attributes:
        opened: the result of `worker.Worker.opened`, with `interpreter_ms` in `cold`.
        pid: the process ID.
    """

    def __init__(self, what: Configuration, folder: Path):
        """Start a process, with its files in `folder`, and wait until its bundle is open.

        Raises:
            EdgedragError: the worker's error.
        """
        script = folder / "worker.py"
        if not script.exists():
            shutil.copyfile(worker.__file__, script)
        root = Path(edgedrag.__file__).parents[1] if what.source is None else what.source / "src"
        if not (root / "edgedrag").exists():
            raise errors.InputError(f"{what.source}: no checkout of edgedrag (it has no src/edgedrag)")
        # Only the given options: older checkouts do not support all of them.
        given = {n: v if isinstance(v, int) else str(v) for n, v in asdict(what.options).items() if v is not None}
        self._log = open(folder / "worker.log", "a")
        start = time.perf_counter()
        self._process = subprocess.Popen(
            [sys.executable, str(script), json.dumps({"options": given, "peer": what.peer})],
            env={**os.environ, "PYTHONPATH": str(root)},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._log,
            text=True,
            start_new_session=True,  # Ctrl-C goes to the parent only, which ends the process
        )
        self.pid = self._process.pid
        self._loaded: str | None = None
        try:
            self._next()
            interpreter = round((time.perf_counter() - start) * 1e3, 2)
            (self.opened,) = self._answers()
        except BaseException:
            self.close()
            raise
        self.opened["cold"]["interpreter_ms"] = interpreter

    def load(self, scene: dict[str, Any]) -> float | None:
        """Load a scene (see `scene.write_scene`); returns milliseconds, None if it is already loaded."""
        if scene["name"] == self._loaded:
            return None
        (answer,) = self.ask("load", **scene)
        self._loaded = scene["name"]
        return answer["ms"]

    def memory_mb(self) -> float | None:
        """Peak memory of the process since its photo was loaded, MB."""
        (answer,) = self.ask("memory")
        return answer["host_mb"]

    def ask(self, do: str, **arguments: Any) -> Iterator[dict[str, Any]]:
        """Send a command; returns an iterator over the replies."""
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps({"do": do, **arguments}) + "\n")
        self._process.stdin.flush()
        return self._answers()

    def close(self) -> None:
        """End the process."""
        if self._process.poll() is None:
            self._process.send_signal(signal.SIGKILL)
        self._process.wait()
        self._log.close()

    def __enter__(self) -> Subject:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _answers(self) -> Iterator[dict[str, Any]]:
        while True:
            answer = self._next()
            if "done" in answer:
                return
            if "error" in answer:
                kind = getattr(errors, answer["kind"], None)
                raise (kind or errors.EdgedragError)(answer["error"])
            yield answer

    def _next(self) -> dict[str, Any]:
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line:
            log = Path(self._log.name).read_text().strip().splitlines()
            raise errors.EdgedragError(
                f"the measured process ended with code {self._process.wait()}: {log[-1] if log else 'without output'}"
            )
        return json.loads(line)
