"""A station whose bundle is switched while it runs: open photos keep theirs, and a worse one is taken back."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest
from toy_releases import PULL, photo, toys

import edgedrag
from edgedrag.runtime.bundle.installed import Trial, read_serving
from edgedrag.runtime.releases.switch import use
from edgedrag.studio.records.trial import TrialRun
from edgedrag.studio.settings import Settings
from edgedrag.studio.station import Station

__all__ = ["toys"]


def run(tmp_path: Path, visit: Callable[[Station], Awaitable[None]]) -> None:
    async def visited() -> None:
        (tmp_path / "state").mkdir()
        station = Station(edgedrag.open("toy"), Settings(state=tmp_path / "state"))
        try:
            await visit(station)
        finally:
            station.close()

    asyncio.run(visited())


def version(runtime: edgedrag.Runtime | None) -> str:
    assert runtime is not None
    return str(runtime.bundle.manifest["version"])


def test_open_photos_end_on_the_old_bundle(tmp_path: Path, toys: list[str]) -> None:
    async def visit(station: Station) -> None:
        session = await photo(station)
        use("toy", toys[1], Trial(3, 1.0))
        await station.follow_release()
        assert (version(station.runtime), version(session.runtime)) == ("2", "1")
        await station.edit(session, PULL)
        assert read_serving("toy").trial is not None, "an edit on the old bundle says nothing about the new one"
        newer = await photo(station)
        for _ in range(3):
            await station.edit(newer, PULL)
        assert version(newer.runtime) == "2" and read_serving("toy").trial is None

    run(tmp_path, visit)


def test_a_release_with_bad_first_edits_is_taken_back(tmp_path: Path, toys: list[str]) -> None:
    async def visit(station: Station) -> None:
        use("toy", toys[1], Trial(4, 0.25))
        await station.follow_release()
        session = await photo(station)
        verdict = (await station.edit(session, PULL)).edit.checks.verdict
        assert verdict == "bad" and version(station.runtime) == "2", "one of four may be"
        await station.edit(session, PULL)
        serving = read_serving("toy")
        assert version(station.runtime) == "1" and serving.release == toys[0]
        assert serving.rolled_back == f"{toys[1]}: 2 of its first 2 edits were bad"
        await station.follow_release()
        assert version(station.runtime) == "1" and version(session.runtime) == "2"

    run(tmp_path, visit)


def test_a_release_that_cannot_be_opened_is_taken_back(tmp_path: Path, toys: list[str]) -> None:
    async def visit(station: Station) -> None:
        use("toy", toys[1])
        manifest = tmp_path / "store" / "toy" / toys[1] / "bundle.json"
        manifest.write_text(json.dumps({**json.loads(manifest.read_text()), "format_version": 9}))
        await station.follow_release()
        assert version(station.runtime) == "1" and read_serving("toy").release == toys[0]
        await station.edit(await photo(station), PULL)

    run(tmp_path, visit)


def test_an_edit_that_fails_counts_as_bad(tmp_path: Path, toys: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    async def visit(station: Station) -> None:
        use("toy", toys[1], Trial(1, 0.0))
        await station.follow_release()
        session = await photo(station)
        monkeypatch.setattr(type(session.photo), "drag_steps", lambda *_, **__: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            await station.edit(session, PULL)
        assert version(station.runtime) == "1"

    run(tmp_path, visit)


def test_a_trial_ends_early_only_when_it_cannot_be_kept_to() -> None:
    slow = TrialRun(Trial(4, 0.5, 2.0), [100.0] * 5)
    assert [slow.add(False, ms) for ms in (500.0, 500.0, 500.0)] == [None] * 3 and not slow.over
    assert slow.add(False, 150.0) == "its first 4 edits took 500 ms, 5.0 times as long as before"
    steady = TrialRun(Trial(4, 0.5, 2.0), [100.0] * 5)
    assert [steady.add(True, 150.0), steady.add(True, 500.0), steady.add(False, None), steady.add(False, 150.0)] == (
        [None] * 4
    )
    assert steady.over
    assert TrialRun(Trial(1, 1.0, 1.0), [1.0] * 4).add(True, 99.0) is None, "too few before"
