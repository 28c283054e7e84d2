"""A store of releases, and versions of a bundle of tiny graphs to install into it."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from conftest import rewrite_manifest
from toy_bundle import write_toy_bundle

from edgedrag.export.golden import add_golden
from edgedrag.runtime.releases.install import install
from edgedrag.runtime.releases.store import LOCK


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = write_toy_bundle(tmp_path_factory.mktemp("made") / "toy")
    add_golden(folder)
    return folder


@pytest.fixture
def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("EDGEDRAG_BUNDLES", str(tmp_path / "store"))
    return tmp_path / "store"


@pytest.fixture
def version(made: Path, tmp_path: Path) -> Callable[[str], Path]:
    def copy(number: str) -> Path:
        folder = shutil.copytree(made, tmp_path / f"toy-{number}")
        rewrite_manifest(folder, lambda manifest: manifest.update(version=number))
        return folder

    return copy


def installed(folder: Path, name: str | None = None) -> str:
    return install(str(folder), name, unsigned=True)[1]


def stored(store: Path) -> list[str]:
    """All that lies in the store, but for the lock."""
    return sorted(str(path.relative_to(store)) for path in store.rglob("*") if path.name != LOCK)


def flip(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)
