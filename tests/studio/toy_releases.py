"""Two releases of a bundle of tiny graphs, and a visitor of a station in this process."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from conftest import rewrite_manifest
from stations import png
from toy_bundle import write_toy_bundle

from edgedrag.export.golden import add_golden
from edgedrag.runtime.releases.install import install
from edgedrag.studio.editing.sessions import EditParameters, Session
from edgedrag.studio.station import Station

PULL = EditParameters([((40.0, 40.0), (60.0, 60.0))])


@pytest.fixture
def toys(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Two releases of a bundle whose every edit is bad; the first serves."""
    monkeypatch.setenv("EDGEDRAG_BUNDLES", str(tmp_path / "store"))
    folder = write_toy_bundle(tmp_path / "toy")
    add_golden(folder)
    found = []
    for version in ("1", "2"):
        rewrite_manifest(folder, lambda manifest: manifest.update(version=version))  # noqa: B023
        found.append(install(str(folder), unsigned=True)[1])
    return found


async def photo(station: Station) -> Session:
    session = station.sessions.begin()
    noise = np.random.default_rng(0).integers(0, 255, (128, 128, 3), np.uint8)
    await station.open_photo(session, png(noise))
    return session
