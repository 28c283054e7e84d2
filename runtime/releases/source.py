"""Where a bundle comes from: a folder, an archive, or an address that fsspec reads; its files by their plain names."""

from __future__ import annotations

import lzma
import tarfile
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path, PurePosixPath
from typing import IO, Any, Protocol

from edgedrag.runtime.errors import InputError, summary

MANIFEST = "bundle.json"
DAMAGED = (zipfile.BadZipFile, tarfile.TarError, zlib.error, lzma.LZMAError, EOFError, NotImplementedError)
ARCHIVES = (".zip", ".tar", ".tar.gz", ".tgz", ".tar.xz", ".tar.bz2")


class Source(Protocol):
    """The files of a bundle that is not installed yet."""

    def open(self, name: str) -> IO[bytes]:
        """A file of it, by its plain name. Raises FileNotFoundError."""
        ...


class Folder:
    """A folder on this machine."""

    def __init__(self, folder: Path):
        self._folder = folder

    def open(self, name: str) -> IO[bytes]:
        return (self._folder / name).open("rb")


class RemoteFolder:
    """A folder of a file system of fsspec."""

    def __init__(self, files: Any, path: str):
        self._files, self._path = files, path.rstrip("/")

    def open(self, name: str) -> IO[bytes]:
        opened: IO[bytes] = self._files.open(f"{self._path}/{name}", "rb")
        return opened


class Zip:
    """A ZIP archive with `bundle.json` at its top, or in its only folder."""

    def __init__(self, archive: zipfile.ZipFile):
        self._archive = archive
        self._members = _beside_manifest({info.filename: info for info in archive.infolist()})

    def open(self, name: str) -> IO[bytes]:
        if name not in self._members:
            raise FileNotFoundError(name)
        return self._archive.open(self._members[name])


class Tar:
    """The same of a TAR archive, packed or not."""

    def __init__(self, archive: tarfile.TarFile):
        self._archive = archive
        self._members = _beside_manifest({info.name.removeprefix("./"): info for info in archive if info.isfile()})

    def open(self, name: str) -> IO[bytes]:
        opened = self._archive.extractfile(self._members[name]) if name in self._members else None
        if opened is None:
            raise FileNotFoundError(name)
        return opened


def _beside_manifest(members: dict[str, Any]) -> dict[str, Any]:
    """The members in the folder of the manifest, by their plain names; of several manifests, of the topmost."""
    manifests = [PurePosixPath(path) for path in members if PurePosixPath(path).name == MANIFEST]
    if not manifests:
        return {}
    top = min(manifests, key=lambda path: len(path.parts)).parent
    return {PurePosixPath(path).name: info for path, info in members.items() if PurePosixPath(path).parent == top}


@contextmanager
def open_source(source: str, scratch: Path) -> Iterator[Source]:
    """The files of a bundle.

    Args:
        source: a folder's path, an archive's, or an address such as s3://bucket/bundle.tar.gz.
        scratch: an empty folder; an archive from an address is stored there meanwhile.

    Raises:
        InputError: there is nothing, or it is no folder and no archive.
        ModuleNotFoundError: an address, and the package that reads it is not installed.
    """
    if "://" in source:
        with _remote(source, scratch) as opened:
            yield opened
    elif Path(source).is_dir():
        yield Folder(Path(source))
    elif Path(source).is_file():
        with _archive(Path(source), source) as opened:
            yield opened
    else:
        raise InputError(f"{source}: no such folder or archive")


@contextmanager
def _archive(file: Path, source: str) -> Iterator[Source]:
    try:
        if zipfile.is_zipfile(file):
            with zipfile.ZipFile(file) as archive:
                yield Zip(archive)
        elif tarfile.is_tarfile(file):
            with tarfile.open(file) as packed:
                yield Tar(packed)
        else:
            raise InputError(f"{source}: not a folder, and not an archive (ZIP or TAR)")
    except DAMAGED as error:
        raise InputError(f"{source}: the archive is damaged ({error})") from None


@contextmanager
def _remote(address: str, scratch: Path) -> Iterator[Source]:
    import fsspec

    stored = scratch / "archive"
    try:
        files, path = fsspec.core.url_to_fs(address)
        if address.endswith(ARCHIVES):
            files.get_file(path, str(stored))
    except ImportError as error:
        raise InputError(f"{address}: fsspec lacks a package for it ({error})") from None
    except Exception as error:  # file systems raise what they like
        raise InputError(f"{address}: cannot be read ({summary(error)})") from error
    if not stored.exists():
        yield RemoteFolder(files, path)
        return
    with _archive(stored, address) as opened:
        yield opened
