"""The folder of installed bundles: changed by one process at a time, listed, and kept small."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from edgedrag.runtime.bundle.installed import NAME, Serving, bundles_folder, read_serving
from edgedrag.runtime.errors import BundleError, InputError
from edgedrag.runtime.files import aside_folder, lock, remove_leftovers

FACTS = "release.json"
LOCK = ".edgedrag-bundles.lock"


def check_name(name: str) -> None:
    """Raise InputError where no bundle can have this name."""
    if not NAME.fullmatch(name):
        raise InputError(f"{name}: not a name of a bundle, which has up to 64 letters, digits, dots, - and _")


def made_folder() -> Path:
    """The folder of all names, made where there is none. Raises InputError where it cannot be written to."""
    folder = bundles_folder()
    try:
        folder.mkdir(parents=True, exist_ok=True)
        if not os.access(folder, os.W_OK | os.X_OK):
            raise OSError("not writable")
    except OSError as error:
        why = error.strerror or error
        raise InputError(f"{folder}: bundles cannot be installed there ({why}); set EDGEDRAG_BUNDLES") from None
    return folder


@contextmanager
def changing(name: str) -> Iterator[Path]:
    """The folder of a name's releases, for one process at a time; it may not be there yet.

    Raises:
        InputError: not a name, another process changes what is installed, or it cannot be written to.
    """
    check_name(name)
    folder = made_folder()
    descriptor = os.open(folder / LOCK, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        if not lock(descriptor):
            raise InputError(f"{folder}: another process changes what is installed; try again when it is done")
        for part in (folder, folder / name):
            remove_leftovers(part)
        yield folder / name
    finally:
        os.close(descriptor)


def releases(name: str) -> list[str]:
    """The installed releases of a name, the newest first."""
    try:
        found = [entry for entry in (bundles_folder() / name).iterdir() if (entry / FACTS).is_file()]
        found = [entry for entry in found if NAME.fullmatch(entry.name)]  # none that is being removed
        return [entry.name for entry in sorted(found, key=_installed, reverse=True)]
    except OSError:
        return []


def _installed(folder: Path) -> tuple[int, str]:
    return (folder / FACTS).stat().st_mtime_ns, folder.name


def prune(name: str) -> None:
    """Remove all releases of a name but the one that serves, those to roll back to, and the newest."""
    serving, installed = serving_or_none(name), releases(name)
    needed = {*installed[:1], *((serving.release, *serving.before) if serving else ())}
    folder = bundles_folder() / name
    for release in [each for each in installed if each not in needed]:
        with aside_folder(folder) as aside:  # out of its name first, so that none is ever half there
            os.replace(folder / release, aside / release)
            shutil.rmtree(aside / release, ignore_errors=True)


def serving_or_none(name: str) -> Serving | None:
    """What serves; None too where that cannot be read any more."""
    try:
        return read_serving(name)
    except BundleError:
        return None


@dataclass(frozen=True)
class Release:
    """An installed release: what `release.json` says, and whether it serves, or what a rollback leads to."""

    name: str
    release: str
    state: str  # "serves", "on trial", "before" or ""
    facts: dict[str, Any]


def list_releases() -> list[Release]:
    """All installed releases, by name, the newest first."""
    found = []
    for folder in sorted(bundles_folder().glob("*/")):
        serving = serving_or_none(folder.name) if NAME.fullmatch(folder.name) else None
        for release in releases(folder.name):
            found.append(Release(folder.name, release, _state(serving, release), _facts(folder / release / FACTS)))
    return found


def _state(serving: Serving | None, release: str) -> str:
    if serving is None or release not in (serving.release, *serving.before[:1]):
        return ""
    if serving.release != release:
        return "before"
    return "serves" if serving.trial is None else "on trial"


def _facts(file: Path) -> dict[str, Any]:
    try:
        facts = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return facts if isinstance(facts, dict) else {}
