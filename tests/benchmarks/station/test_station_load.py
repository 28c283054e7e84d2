"""The load generator against a real station: it ends, and counts what was refused, given up or failed."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from edgedrag.benchmarks.station import load, measure
from edgedrag.benchmarks.station.process import Kiosk
from edgedrag.benchmarks.station.synthetic import picture
from edgedrag.runtime.photo.picture import Picture, encode_picture

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def kiosk(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Kiosk]:
    with Kiosk(tmp_path_factory.mktemp("station"), "--queue", "2") as running:
        yield running


@pytest.fixture(scope="module")
def photo() -> bytes:
    return encode_picture(Path("photo.jpg"), Picture(picture((300, 200))))


def test_a_crowd_ends_and_each_visitor_is_counted(kiosk: Kiosk, photo: bytes) -> None:
    tallies = asyncio.run(load.crowd(kiosk.url, photo, 4, 3.0))
    made = [measure.of_visitor(tally) for tally in tallies]
    assert sum(visitor["edits"] for visitor in made) and sum(visitor["busy"] for visitor in made)
    assert not any(tally.errors for tally in tallies), [tally.errors for tally in tallies]
    for visitor, tally in zip(made, tallies):
        assert visitor["edits"] == len(tally.seconds)
        if visitor["edits"]:
            assert 0 < visitor["edit_ms_median"] <= visitor["edit_ms_95"] <= visitor["edit_ms_most"]


def test_visitors_whose_every_edit_fails_come_to_an_end(
    kiosk: Kiosk, photo: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = load.request

    async def beside(*arguments: Any) -> dict[str, Any]:
        return {**await asked(*arguments), "width": 3000, "height": 3000}  # so every pull begins outside the photo

    monkeypatch.setattr(load, "request", beside)
    tally = asyncio.run(load.row(kiosk.url, photo, 1, 3, 0))
    assert tally.edits == 0 and len(tally.errors) in (1, 3)


def test_what_was_not_answered_in_time_is_late(kiosk: Kiosk, photo: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(load, "GRACE", -0.5)
    tallies = asyncio.run(load.crowd(kiosk.url, photo, 3, 0.6))
    assert any(tally.late for tally in tallies)


def test_the_figures_of_nobody_are_none() -> None:
    assert measure.spread([]) == {} and measure.fairness([0, 0]) == 0.0
