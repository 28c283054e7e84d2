"""The command line: in this process, which spares its imports, or in one of its own, as a user runs it."""

from __future__ import annotations

import io
import os
import subprocess
import sys
import traceback
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from pathlib import Path
from typing import Any

import cv2

import edgedrag
from edgedrag.cli import main

Done = subprocess.CompletedProcess[str]


def run_process(*args: str | Path, cwd: Path | None = None) -> Done:
    command = [sys.executable, "-m", "edgedrag", *map(str, args)]
    return subprocess.run(command, capture_output=True, text=True, cwd=cwd, timeout=900)


def run_here(*args: str | Path, cwd: Path | None = None) -> Done:
    """What `run_process` gives, without what C libraries and other processes print."""
    out, err = (io.TextIOWrapper(io.BytesIO(), "utf-8", newline="\n", write_through=True) for _ in range(2))
    with as_process(list(map(str, args)), cwd), redirect_stdout(out), redirect_stderr(err):
        try:
            main()
            code: Any = 0
        except SystemExit as ended:
            code = ended.code
        except Exception:
            traceback.print_exc()
            code = 1
    return Done(args, int(code or 0), *(stream.buffer.getvalue().decode() for stream in (out, err)))


@contextmanager
def as_process(arguments: list[str], cwd: Path | None) -> Iterator[None]:
    """Arguments, folder and warnings as a process of its own has them; what a command sets for its process ends."""
    program, arguments_before, folder = sys.modules["__main__"], sys.argv, os.getcwd()
    package = getattr(program, "__package__", None)
    threads = cv2.getNumThreads(), sys.modules["torch"].get_num_threads() if "torch" in sys.modules else None
    sys.argv, program.__package__ = [str(Path(edgedrag.__file__).with_name("__main__.py")), *arguments], "edgedrag"
    os.chdir(cwd or folder)
    try:
        with warnings.catch_warnings():
            warnings.resetwarnings()
            for kind in (DeprecationWarning, PendingDeprecationWarning, ImportWarning, ResourceWarning):
                warnings.simplefilter("ignore", kind)
            warnings.showwarning = show
            yield
    finally:
        os.chdir(folder)
        sys.argv, program.__package__ = arguments_before, package
        cv2.setNumThreads(threads[0])
        if threads[1] is not None:
            sys.modules["torch"].set_num_threads(threads[1])


def show(message: Any, category: type[Warning], file: str, line: int, *_: Any) -> None:
    sys.stderr.write(warnings.formatwarning(message, category, file, line))
