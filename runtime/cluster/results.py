"""Where a batch's results go: a folder, or an address that fsspec writes to; each whole or not at all."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Protocol

from edgedrag.runtime.errors import InputError, summary
from edgedrag.runtime.files import check_folder, remove_leftovers, write_aside


class Results(Protocol):
    """Named files."""

    def has(self, name: str) -> bool:
        """Whether it was written before."""
        ...

    def write(self, name: str, data: bytes) -> str:
        """Write a file; returns where it is."""
        ...


class FolderResults:
    """A folder on this machine, made where there is none. Raises InputError where it cannot be written to."""

    def __init__(self, folder: Path):
        self._folder = folder
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise InputError(f"{folder}: the folder cannot be made ({error.strerror})") from None
        check_folder(folder)
        remove_leftovers(folder)

    def has(self, name: str) -> bool:
        return (self._folder / name).exists()

    def write(self, name: str, data: bytes) -> str:
        write_aside(self._folder / name, data)
        return str(self._folder / name)


class AddressResults:
    """A folder of a file system of fsspec, such as s3://bucket/out."""

    def __init__(self, address: str):
        import fsspec

        self._address = address.rstrip("/")
        try:
            self._files, self._path = fsspec.core.url_to_fs(self._address)
            self._files.makedirs(self._path, exist_ok=True)
            self._there = {path.rpartition("/")[2] for path in self._files.ls(self._path, detail=False)}
        except Exception as error:  # file systems raise what they like
            raise InputError(f"{address}: cannot be written to ({summary(error)})") from error

    def has(self, name: str) -> bool:
        return name in self._there

    def write(self, name: str, data: bytes) -> str:
        try:
            self._files.pipe_file(f"{self._path}/{name}", data)
        except Exception as error:
            raise InputError(f"{self._address}/{name}: cannot be written ({summary(error)})") from error
        return f"{self._address}/{name}"


def open_results(place: str) -> Results:
    """The results at a folder's path or an address."""
    if place.startswith("file://"):  # written beside its place and renamed, as other files of this machine
        return FolderResults(Path(_local(place)))
    return AddressResults(place) if "://" in place else FolderResults(Path(place))


def _local(address: str) -> str:
    import fsspec

    path: Any = fsspec.core.url_to_fs(address)[1]
    return str(path)
