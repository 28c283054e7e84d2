"""Writing a bundle: graph files with their hashes, and the manifest, whole or not at all."""

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
from edgedrag.runtime.files import sha256_of


def file_variant(
    path: Path, precision: str, placement: str, branch: str = "single", data: Path | None = None
) -> dict[str, Any]:
    """The manifest's `variant` entry of a graph file, with the file of its external data where it has one."""
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
    """Raise InputError where no bundle can be written: it exists and is not one, or its parent does not exist."""
    if not folder.parent.is_dir():
        raise InputError(f"{folder.parent}: no such folder; make it first")
    if folder.exists() and not (folder / "bundle.json").is_file():
        raise InputError(f"{folder}: exists and is not a bundle; name another folder")


@contextmanager
def new_bundle(folder: Path) -> Iterator[Path]:
    """A folder to write a bundle into, which takes the place of `folder` once it is written and opens.

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
