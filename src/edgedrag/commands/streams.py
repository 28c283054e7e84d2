"""Standard input and output: files that are named `-`, and a stdout that cannot be written to."""

from __future__ import annotations

import os
import sys
import traceback
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import click

from edgedrag.runtime.errors import EdgedragError
from edgedrag.runtime.files import scratch_folder

DASH = Path("-")


def read_inputs(*files: Path | None) -> list[Path | bytes | None]:
    """Files as they are, and the bytes of stdin for the one that is named `-`.

    Raises:
        click.UsageError: more than one is `-`.
    """
    if files.count(DASH) > 1:
        raise click.UsageError("stdin holds one file: only one of them can be -")
    return [sys.stdin.buffer.read() if file == DASH else file for file in files]


def check_dashes(files: Sequence[Path | None], as_json: bool) -> bool:
    """Whether one of the files to write is stdout.

    Raises:
        click.UsageError: more than one is, or the JSON object goes there too, or it is a terminal.
    """
    count = list(files).count(DASH) + as_json
    if DASH in files and count > 1:
        raise click.UsageError("stdout takes one thing: one file named -, or --json")
    if DASH in files and sys.stdout.isatty():
        raise click.UsageError("stdout is a terminal: send the picture to a file or a pipe")
    return DASH in files


@contextmanager
def piped_outputs(files: Sequence[Path | None]) -> Iterator[list[Path | None]]:
    """The same files, with a temporary .png in place of `-`; its bytes are written to stdout at the end.

    Raises:
        EdgedragError: stdout cannot be written to.
    """
    if DASH not in files:
        yield list(files)
        return
    with scratch_folder() as folder:
        aside = folder / "stdout.png"
        yield [aside if file == DASH else file for file in files]
        _write_stdout(aside.read_bytes())


def _write_stdout(data: bytes) -> None:
    stream = sys.stdout.buffer
    try:
        stream.write(data)
        stream.flush()
    except BrokenPipeError:
        raise
    except OSError as error:
        close_stdout()
        raise stdout_error(error) from None


def stdout_error(error: OSError) -> EdgedragError:
    """What to say where stdout cannot be written to, such as a full disk."""
    return EdgedragError(f"stdout: cannot be written ({error.strerror})")


def raised_by_echo(error: OSError) -> bool:
    """Whether an error comes from printing, not from a file."""
    *_, (frame, _) = traceback.walk_tb(error.__traceback__)
    return frame.f_code is click.echo.__code__


def close_stdout() -> None:
    """Drop what stdout still holds, which the interpreter would else try to write as it ends."""
    null = os.open(os.devnull, os.O_WRONLY)
    os.dup2(null, sys.stdout.fileno())
    os.close(null)
