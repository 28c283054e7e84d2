"""Files: where they can be written, hashed, and written whole or not at all."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

from edgedrag.runtime.errors import InputError
from edgedrag.runtime.trace import span

PARTIAL = ".partial"
BLOCK = 1 << 22  # bytes read at a time


def sha256_of(path: Path) -> str:
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(BLOCK):
            digest.update(block)
    return digest.hexdigest()


def check_file(path: Path) -> None:
    """Raise InputError where there is no folder that a file of this path could be written to."""
    check_folder(path.parent)
    if path.is_dir():
        raise InputError(f"{path}: is a folder, not a file to write")


def check_folder(folder: Path) -> None:
    """Raise InputError where `folder` is not one that files can be written to."""
    if not folder.is_dir():
        raise InputError(f"{folder}: no such folder; make it first")
    if not os.access(folder, os.W_OK | os.X_OK):
        raise InputError(f"{folder}: not writable")


def write_whole(path: Path, data: memoryview | bytes, durable: bool = False) -> None:
    """Write a file beside its place and move it there; on an error nothing is left behind.

    Args:
        durable: it is on the disk, not only in the system's memory, before it gets its name.

    Raises:
        OSError: the folder is full or not writable.
    """
    aside = path.with_name(f".{path.name}.{os.urandom(4).hex()}{PARTIAL}")
    try:
        with aside.open("xb") as file:  # the system applies the umask
            file.write(data)
            if durable:
                file.flush()
                os.fsync(file.fileno())
        os.replace(aside, path)
    finally:
        aside.unlink(missing_ok=True)


def write_aside(path: Path, data: bytes) -> None:
    """Write a file beside its place and move it there.

    Raises:
        InputError: the folder is full or not writable; nothing is left behind.
    """
    try:
        with span("write file", "file"):
            write_whole(path, data)
    except OSError as error:
        raise InputError(f"{path}: cannot be written ({error.strerror})") from None
