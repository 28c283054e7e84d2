"""Files: where they can be written, hashed, and written whole or not at all."""

from __future__ import annotations

import ctypes
import hashlib
import os
import stat
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from edgedrag.runtime.errors import InputError
from edgedrag.runtime.trace import span

if sys.platform != "win32":
    import fcntl

ASIDE, PARTIAL = ".edgedrag-", ".partial"  # around the name of what is being written; nobody else's files have both
BLOCK = 1 << 22  # bytes read at a time
AT_FDCWD, RENAME_EXCHANGE = -100, 2  # of Linux's renameat2


def user_folder(variable: str, below_home: str, shared: str) -> Path:
    """A folder of edgedrag's files: in the XDG base directory of `variable`, else below the user's home folder.

    For a user without one, such as a service's, it is in the system's folder `shared`; it may not be writable.
    """
    base = os.environ.get(variable, "")
    if not os.path.isabs(base):  # also one that is relative, as the XDG specification says
        try:
            base = os.path.join(Path.home(), below_home)
        except RuntimeError:
            base = shared
    return Path(base, "edgedrag")


def cache_folder() -> Path:
    """Where what can be made again is kept: $EDGEDRAG_CACHE, or edgedrag in the user's cache folder."""
    if chosen := os.environ.get("EDGEDRAG_CACHE"):
        return Path(chosen)
    variable = "LOCALAPPDATA" if os.name == "nt" and "XDG_CACHE_HOME" not in os.environ else "XDG_CACHE_HOME"
    return user_folder(variable, ".cache", "/var/cache")


@contextmanager
def scratch_folder() -> Iterator[Path]:
    """A temporary folder. Raises InputError where there is no place for one."""
    import tempfile

    try:
        made = tempfile.TemporaryDirectory(prefix="edgedrag-")
    except OSError as error:
        raise InputError(f"temporary files cannot be written ({error.strerror}); set TMPDIR to a folder") from None
    with made as name:
        yield Path(name)


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


def make_folder(folder: Path) -> None:
    """Make a folder where there is none. Raises InputError where it cannot be, or cannot be written to."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(f"{folder}: the folder cannot be made ({error.strerror})") from None
    check_folder(folder)


def check_folder(folder: Path) -> None:
    """Raise InputError where `folder` is not one that files can be written to."""
    if not folder.is_dir():
        raise InputError(f"{folder}: no such folder; make it first")
    if not os.access(folder, os.W_OK | os.X_OK):
        raise InputError(f"{folder}: not writable")


def write_whole(path: Path, data: memoryview | bytes, durable: bool = False, mode: int = 0o666) -> None:
    """Write a file beside its place and move it there; on an error nothing is left behind.

    Args:
        durable: it is on the disk, not only in the system's memory, before it gets its name.
        mode: of the new file; the system applies the umask.

    Raises:
        OSError: the folder is full or not writable.
    """
    with aside_file(path.parent, mode) as place:
        with place.open("wb") as file:
            file.write(data)
            file.flush()
            if durable:
                os.fsync(file.fileno())
        os.replace(place, path)


@contextmanager
def aside_file(folder: Path, mode: int = 0o666) -> Iterator[Path]:
    """An empty file in `folder` to write to and move to its place; it is removed at the end where it was not moved.

    It is locked meanwhile. A killed process leaves it without its lock, for `remove_leftovers` to find.
    """
    place = folder / f"{ASIDE}{os.urandom(8).hex()}{PARTIAL}"
    os.close(os.open(place, os.O_CREAT | os.O_EXCL | os.O_WRONLY, mode))  # the system applies the umask
    with _locked(place):
        yield place


@contextmanager
def aside_folder(folder: Path) -> Iterator[Path]:
    """The same with an empty folder; see `move_folder`."""
    place = folder / f"{ASIDE}{os.urandom(8).hex()}{PARTIAL}"
    place.mkdir(0o755)
    with _locked(place):
        yield place


def move_folder(new: Path, place: Path) -> None:
    """Move a folder to its place; another one that lies there changes places with it, at no time leaving none.

    Where the file system cannot do that, the other one is moved out of the way and removed after.
    """
    if not place.exists():
        os.replace(new, place)
    elif not _exchange(new, place):
        import shutil  # here and below: it loads libraries for compression

        out_of_the_way = place.with_name(f".{place.name}.old.{os.urandom(8).hex()}")
        out_of_the_way.mkdir()
        os.replace(place, out_of_the_way / place.name)
        os.replace(new, place)
        shutil.rmtree(out_of_the_way)


def _exchange(one: Path, other: Path) -> bool:
    """Let two paths change names in one step, with Linux's renameat2; whether that worked."""
    renameat2 = getattr(ctypes.CDLL(None), "renameat2", None) if sys.platform == "linux" else None
    return renameat2 is not None and renameat2(AT_FDCWD, bytes(one), AT_FDCWD, bytes(other), RENAME_EXCHANGE) == 0


@contextmanager
def _locked(place: Path) -> Iterator[None]:
    """Keep a new file or folder locked, and remove it at the end."""
    descriptor = None if sys.platform == "win32" else os.open(place, os.O_RDONLY)  # Windows moves no open file
    try:
        if descriptor is not None:
            lock(descriptor)
        yield
    finally:
        if descriptor is not None:
            os.close(descriptor)
        _remove(place)


def lock(descriptor: int) -> bool:
    """Lock an open file or folder until it is closed or the process ends; whether nobody else has it locked."""
    if sys.platform != "win32":
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        except OSError:
            pass  # a file system without locks
    return True


def remove_leftovers(folder: Path) -> None:
    """Remove what killed processes left half-written in `folder`: it has a name of `aside`, and no lock any more."""
    if sys.platform == "win32":
        return  # no locks that would tell
    try:
        found = [entry.path for entry in os.scandir(folder) if entry.name.startswith(ASIDE)]
    except OSError:
        return  # whoever writes there next says why it cannot
    for place in map(Path, found):
        if place.name.endswith(PARTIAL):
            _remove_unlocked(place)


def _remove_unlocked(place: Path) -> None:
    try:
        descriptor = os.open(place, os.O_RDONLY | os.O_NOFOLLOW)
    except OSError:
        return  # gone meanwhile, or another user's
    try:
        state = os.fstat(descriptor)
        new = time.time() - state.st_mtime < 1  # its writer may be about to lock it
        empty = not os.listdir(descriptor) if stat.S_ISDIR(state.st_mode) else not state.st_size
        if lock(descriptor) and not (new and empty):
            _remove(place)
    finally:
        os.close(descriptor)


def _remove(place: Path) -> None:
    try:
        place.unlink(missing_ok=True)
    except OSError:
        import shutil

        shutil.rmtree(place, ignore_errors=True)


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
