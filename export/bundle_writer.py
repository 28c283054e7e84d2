"""Writing a bundle atomically: graph files with their hashes, and the manifest."""

from __future__ import annotations

import json
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from edgedrag.runtime.bundle.manifest import open_bundle
from edgedrag.runtime.errors import InputError
from edgedrag.runtime.files import check_folder, sha256_of


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
    aside = Path(tempfile.mkdtemp(dir=folder.parent, prefix=f".{folder.name}."))
    try:
        yield aside
        open_bundle(aside)
        aside.chmod(0o755)
        if folder.exists():
            old = Path(tempfile.mkdtemp(dir=folder.parent, prefix=f".{folder.name}.old."))
            os.replace(folder, old / folder.name)
            os.replace(aside, folder)
            shutil.rmtree(old)
        else:
            os.replace(aside, folder)
    finally:
        shutil.rmtree(aside, ignore_errors=True)


def write_manifest(folder: Path, manifest: dict[str, Any]) -> None:
    """Write `bundle.json`; `open_bundle` validates it before the folder gets its name."""
    (folder / "bundle.json").write_text(json.dumps(manifest, indent=1) + "\n", encoding="utf-8")
