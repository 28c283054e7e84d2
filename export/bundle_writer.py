"""Writing a bundle atomically: graph files with their hashes, and the manifest."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from edgedrag.runtime.bundle.manifest import open_bundle
from edgedrag.runtime.errors import InputError
from edgedrag.runtime.files import aside_folder, check_folder, move_folder, remove_leftovers, sha256_of


def file_variant(
    path: Path, precision: str, placement: str, branch: str = "single", data: Path | None = None
) -> dict[str, Any]:
    """The manifest's `variant` entry of a graph file and, if it has one, of its external data file."""
    entry: dict[str, Any] = {
        "precision": precision,
        "placement": placement,
        "file": path.name,
        "sha256": sha256_of(path),
    }
    if branch != "single":
        entry["branch"] = branch
    if data is not None:
        entry["external"] = [{"file": data.name, "sha256": sha256_of(data)}]
    return entry


def check_bundle_folder(folder: Path) -> None:
    """Raise InputError if the folder exists and is not a bundle, or if its parent cannot be written to."""
    check_folder(folder.parent)
    if folder.exists() and not (folder / "bundle.json").is_file():
        raise InputError(f"{folder}: exists and is not a bundle; choose another folder")


@contextmanager
def new_bundle(folder: Path) -> Iterator[Path]:
    """A temporary folder to write a bundle into; on exit it replaces `folder`, provided that it opens as a bundle.

    Raises:
        InputError: see `check_bundle_folder`.
    """
    check_bundle_folder(folder)
    remove_leftovers(folder.parent)
    with aside_folder(folder.parent) as aside:
        yield aside
        open_bundle(aside)
        move_folder(aside, folder)


def write_manifest(folder: Path, manifest: dict[str, Any]) -> None:
    """Write `bundle.json`; `open_bundle` validates it before the folder gets its name."""
    (folder / "bundle.json").write_text(json.dumps(manifest, indent=1) + "\n", encoding="utf-8")
