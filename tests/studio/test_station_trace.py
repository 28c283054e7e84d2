"""`edgedrag studio --trace`: what edits took, in a file that is good whenever the station ends, and however."""

from __future__ import annotations

import json
import signal
import sys
import time
from pathlib import Path
from typing import Any

import httpx
import pytest
from stations import PULL, ask, line, opened

from edgedrag.benchmarks.station.process import Kiosk

pytestmark = pytest.mark.slow


def edit(kiosk: Kiosk) -> None:
    with httpx.Client(base_url=kiosk.url, timeout=30) as client:
        path = opened(client)
        with line(kiosk, path) as socket:
            assert ask(socket, "preview", 1, drags=PULL)["type"] == "preview"
            assert ask(socket, "edit", 2, drags=PULL)["type"] == "result"


def read(file: Path, until: str) -> list[dict[str, Any]]:
    """The events of a file that is still being written, once one of that name is there."""
    for _ in range(300):
        events = json.loads(file.read_text().rstrip().removesuffix("]") + "]")
        if until in {event["name"] for event in events}:
            return events
        time.sleep(0.1)
    raise AssertionError(f"no {until} in {file}")


@pytest.mark.skipif(sys.platform == "win32", reason="signals are POSIX's")
def test_the_trace_is_there_while_it_runs_and_after_a_power_cut(tmp_path: Path) -> None:
    file = tmp_path / "t.json"
    with Kiosk(tmp_path / "state", "--trace", str(file)) as kiosk:
        edit(kiosk)
        events = read(file, "checks")
        kiosk.kill()
    after = json.loads(file.read_text() + "]")
    assert after[: len(events)] == events
    tracks = {e["tid"]: e["args"]["name"] for e in events if e["name"] == "thread_name"}
    assert "worker" in tracks.values() and any(name.startswith("codec") for name in tracks.values())
    assert {"queue wait", "turn", "photo.motion", "photo.drag", "condition", "encode preview"} <= {
        e["name"] for e in after
    }
    assert {tracks[e["tid"]] for e in events if e["name"] == "turn"} == {"worker"}
    waits = [e["ph"] for e in after if e["name"] == "queue wait"]
    assert waits.count("b") == waits.count("e") >= 3, "of opening, preview and edit"


@pytest.mark.skipif(sys.platform == "win32", reason="signals are POSIX's")
def test_a_station_that_is_stopped_closes_its_trace(tmp_path: Path) -> None:
    file = tmp_path / "t.json"
    with Kiosk(tmp_path / "state", "--trace", str(file)) as kiosk:
        kiosk.process.send_signal(signal.SIGTERM)
        kiosk.process.wait(timeout=20)
    assert "open bundle" in {e["name"] for e in json.loads(file.read_text())}
