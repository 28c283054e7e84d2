"""Installed bundles: a folder for each name, in it the releases and which of them serves.

    bundles/NAME/serving.json     the release that serves, and those that served before it
    bundles/NAME/1.2-3f9ac04d7e21/  a release: a bundle's folder, with its signature and `release.json`

`serving.json` is replaced by one rename, so at any moment it says the one or the other release. docs/releases.md.
"""

from __future__ import annotations

import json
import os
import re
from dataclasses import asdict, dataclass
from pathlib import Path

from edgedrag.runtime.errors import BundleError, InputError
from edgedrag.runtime.files import user_folder, write_whole

SERVING = "serving.json"
NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")  # also of a release


@dataclass(frozen=True)
class Trial:
    """What the first edits of a release must keep to; otherwise the one before it serves again.

    Attributes:
        edits: so many of them are judged.
        bad_share: at most so large a share of them has the verdict "bad", or failed.
        slower: at most so many times the time of an edit before: medians.
    """

    edits: int = 20
    bad_share: float = 0.5
    slower: float = 2.0

    def __post_init__(self) -> None:
        if not 1 <= self.edits <= 1000:
            raise InputError(f"trial: {self.edits} edits; give 1 to 1000")
        if not 0 <= self.bad_share <= 1:
            raise InputError(f"trial: a share of {self.bad_share:g} bad edits; give 0 to 1")
        if not 1 <= self.slower <= 1000:
            raise InputError(f"trial: {self.slower:g} times slower; give 1 to 1000")


@dataclass(frozen=True)
class Serving:
    """Which release of a name serves.

    Attributes:
        release: its folder's name; None for the bundle that ships with edgedrag under this name.
        before: what served before it, the last one first.
        trial: what its first edits are held to; None where it is past that.
        rolled_back: the release that this one replaced for not keeping to its trial, and why; for people.
    """

    release: str | None
    before: tuple[str | None, ...] = ()
    trial: Trial | None = None
    rolled_back: str = ""


def bundles_folder() -> Path:
    """Where bundles are installed: EDGEDRAG_BUNDLES, else below the user's data."""
    asked = os.environ.get("EDGEDRAG_BUNDLES")
    return Path(asked) if asked else user_folder("XDG_DATA_HOME", ".local/share", "/var/lib") / "bundles"


def installed_names() -> list[str]:
    """The names of which a release serves."""
    try:
        return sorted(entry.parent.name for entry in bundles_folder().glob(f"*/{SERVING}"))
    except OSError:
        return []


def read_serving(name: str) -> Serving | None:
    """Which release of a name serves; None where none was ever installed.

    Raises:
        BundleError: `serving.json` is damaged.
    """
    path = bundles_folder() / name / SERVING
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
        trial = None if found["trial"] is None else Trial(**found["trial"])
        releases = found["release"], *found["before"]
        if not all(release is None or (isinstance(release, str) and NAME.fullmatch(release)) for release in releases):
            raise ValueError("not the name of a release")
        return Serving(releases[0], tuple(releases[1:]), trial, str(found["rolled_back"]))
    except FileNotFoundError:
        return None
    except OSError as error:
        raise BundleError(f"{path}: cannot be read ({error.strerror})") from None
    except (ValueError, KeyError, TypeError, InputError):
        raise BundleError(f"{path}: damaged; delete it, and choose a release with `edgedrag bundle use`") from None


def write_serving(name: str, serving: Serving) -> None:
    """Let a release serve, by one rename, which is on the disk when this returns.

    Raises:
        InputError: the folder is full or not writable; what served serves on.
    """
    folder = bundles_folder() / name
    try:
        folder.mkdir(exist_ok=True)
        write_whole(folder / SERVING, (json.dumps(asdict(serving), indent=1) + "\n").encode(), durable=True)
        sync_folder(folder)
    except OSError as error:
        raise InputError(f"{folder / SERVING}: cannot be written ({error.strerror})") from None


def sync_folder(folder: Path) -> None:
    """Have the names in a folder on the disk, where the system can do that."""
    try:
        descriptor = os.open(folder, os.O_RDONLY)
    except OSError:
        return
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def installed_folder(name: str) -> Path | None:
    """The folder of the release that serves under a name; None where a shipped bundle does, or none at all.

    Raises:
        BundleError: the release is gone, or `serving.json` is damaged.
    """
    if not NAME.fullmatch(name):
        return None
    serving = read_serving(name)
    if serving is None or serving.release is None:
        return None
    folder = bundles_folder() / name / serving.release
    if not folder.is_dir():
        raise BundleError(f"{folder}: the release that serves as '{name}' is gone; `edgedrag bundle rollback {name}`")
    return folder
