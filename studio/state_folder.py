"""The station's folder: made, held by one station at a time, cleared of what a power cut left, and its staff code."""

from __future__ import annotations

import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from edgedrag.runtime.errors import InputError
from edgedrag.runtime.files import lock, remove_leftovers, write_whole
from edgedrag.studio.settings import TOKEN

LOCK = ".edgedrag-station.lock"
PAIRS = Path("kept", "pairs")


def make_state_folder(folder: Path) -> None:
    """Make the folder where there is none. Raises InputError where it cannot be made or written to."""
    try:
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        if not os.access(folder, os.W_OK | os.X_OK):
            raise OSError("not writable")
    except OSError as error:
        raise InputError(
            f"{folder}: cannot be used for the station's records ({error.strerror or error}); give another --state"
        ) from None


@contextmanager
def held(folder: Path) -> Iterator[None]:
    """Hold the folder: two stations would clear away each other's files. The system lets go when the process ends.

    Raises:
        InputError: another station holds it.
    """
    try:
        descriptor = os.open(folder / LOCK, os.O_RDWR | os.O_CREAT, 0o600)
    except OSError as error:
        raise InputError(f"{folder / LOCK}: cannot be opened ({error.strerror})") from None
    try:
        if not lock(descriptor):
            raise InputError(f"{folder}: another station uses it; stop that, or give another --state")
        yield
    finally:
        os.close(descriptor)


def clear(folder: Path) -> None:
    """Remove what a killed station left half-written; it is known by its names, and all else stays."""
    for part in (folder, folder / PAIRS.parent, folder / PAIRS):
        remove_leftovers(part)


def staff_code(file: Path) -> str:
    """The code in a file, made where there is none or it is empty; only its owner can read it.

    Raises:
        InputError: the file cannot be read or written, or holds no code.
    """
    try:
        found = file.read_bytes().strip(b"\0 \t\r\n")  # zeros are what a power cut makes of an unwritten file
    except FileNotFoundError:
        found = b""
    except OSError as error:
        raise InputError(f"{file}: the staff code cannot be read ({error.strerror}); {_ADVICE}") from None
    if not found:
        return _new_code(file)
    code = found.decode("ascii", "replace")
    if not TOKEN.fullmatch(code):
        raise InputError(f"{file}: holds no staff code, which has 16 to 200 of A-Z a-z 0-9 . _ ~ -; {_ADVICE}")
    return code


_ADVICE = "delete the file to have a new one made, or give --staff-code"


def _new_code(file: Path) -> str:
    code = secrets.token_urlsafe(12)
    try:
        write_whole(file, f"{code}\n".encode(), durable=True, mode=0o600)
    except OSError as error:
        raise InputError(f"{file}: the staff code cannot be written ({error.strerror})") from None
    return code
