"""What is left of a visitor's photo: nothing, on disk or in the station's memory; not even after a power cut."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable
from pathlib import Path

import httpx
import numpy as np
import pytest
from stations import PULL, ask, line, opened, png

from edgedrag.benchmarks.station.process import Kiosk

pytestmark = pytest.mark.slow

SECRET = np.random.default_rng(99).integers(0, 255, (400, 600, 3), dtype=np.uint8)
MARKS = [row[100:140].tobytes() for row in SECRET[::10]]  # 120 bytes of a row, found nowhere else
SCRAPS = 0.15  # of these rows may lie in freed memory that shares a page with something alive


def rows_in_memory(process: int) -> int:
    """How many of these rows a process's memory holds."""
    found: set[int] = set()
    with open(f"/proc/{process}/mem", "rb", buffering=0) as memory:
        for region in Path(f"/proc/{process}/maps").read_text().splitlines():
            span, rights = region.split()[:2]
            if not rights.startswith("rw"):
                continue
            start, end = (int(part, 16) for part in span.split("-"))
            try:
                held = os.pread(memory.fileno(), end - start, start)
            except OSError:
                continue
            found |= {number for number, mark in enumerate(MARKS) if mark in held}
    return len(found)


def on_disk(folder: Path, marks: list[bytes]) -> list[str]:
    """Files below a folder that hold one of them."""
    files = [file for file in folder.rglob("*") if file.is_file()]
    return [str(file) for file in files if any(mark in file.read_bytes() for mark in marks)]


def until(done: Callable[[], bool], seconds: float = 30) -> bool:
    limit = time.monotonic() + seconds
    while not done() and time.monotonic() < limit:
        time.sleep(0.1)
    return done()


def test_an_idle_session_is_wiped_from_memory_and_was_never_on_disk(tmp_path: Path) -> None:
    file = png(SECRET)
    marks = [*MARKS, file[1000:1100], file[-300:-200]]
    with Kiosk(tmp_path, "--idle", "8") as kiosk, httpx.Client(base_url=kiosk.url, timeout=30) as client:
        path = opened(client, file)
        with line(kiosk, path) as socket:
            assert ask(socket, "edit", 1, drags=PULL)["type"] == "result"
            ask(socket, "undo", 2)
            try:
                assert rows_in_memory(kiosk.process.pid) == len(MARKS)
            except PermissionError:
                pytest.skip("another process's memory cannot be read here")
            open_files = [Path(os.path.realpath(file)) for file in Path(f"/proc/{kiosk.process.pid}/fd").iterdir()]
            assert until(lambda: client.get("/metrics").text.count("edgedrag_sessions 0.0") == 1)
        assert client.get(path).status_code == 404
        time.sleep(3)  # swept once a second
        assert rows_in_memory(kiosk.process.pid) < SCRAPS * len(MARKS)
        assert not on_disk(tmp_path, marks)
        assert not any(mark in file.read_bytes() for file in open_files if file.is_file() for mark in marks)
        record = client.get("/api/staff/edits", headers=kiosk.staff).json()
        assert len(record) == 1 and "session" not in json.dumps(record)


def test_a_touch_puts_the_wipe_off(tmp_path: Path) -> None:
    """For longer than a session may idle; a gap between touches that ended it would take a stall of five seconds."""
    with Kiosk(tmp_path, "--idle", "5") as kiosk, httpx.Client(base_url=kiosk.url, timeout=30) as client:
        path = opened(client)
        with line(kiosk, path) as socket:
            for number in range(14):
                socket.send(json.dumps({"type": "touch", "id": number}))
                time.sleep(0.5)
            assert ask(socket, "preview", 99, drags=PULL)["type"] == "preview"


def test_killed_in_mid_edit_it_starts_clean(tmp_path: Path) -> None:
    file = png(SECRET)
    with Kiosk(tmp_path) as kiosk, httpx.Client(base_url=kiosk.url, timeout=30) as client:
        first = opened(client)
        client.post(f"{first}/edits", json={"drags": PULL})
        path = opened(client, file)
        with line(kiosk, path) as socket:
            socket.send(json.dumps({"type": "edit", "id": 1, "drags": PULL, "steps": 1000}))
            socket.recv(timeout=30)  # it runs
            kiosk.kill()
    assert not on_disk(tmp_path, [*MARKS, file[1000:1100]])
    with Kiosk(tmp_path) as kiosk, httpx.Client(base_url=kiosk.url, timeout=30) as client:
        assert client.get("/readyz").status_code == 200 and client.get(path).status_code == 404
        assert len(client.get("/api/staff/edits", headers=kiosk.staff).json()) == 1, "the record is whole"
        assert client.post("/api/staff/self-test", headers=kiosk.staff).json()["passed"]


HANGS_ONCE = """
import sys, time
from pathlib import Path
from edgedrag.cli import main
from edgedrag.runtime.session.photo import Photo
mark = Path(sys.argv.pop(1))
if not mark.exists():
    mark.touch()
    Photo.undo = lambda photo: time.sleep(600)
main()
"""


def test_a_hung_engine_is_restarted(tmp_path: Path) -> None:
    script = tmp_path / "hangs_once.py"
    script.write_text(HANGS_ONCE)
    program = (str(script), str(tmp_path / "hung"), "studio")
    with Kiosk(tmp_path / "state", "--hang", "2", program=program) as kiosk:
        with httpx.Client(base_url=kiosk.url, timeout=30) as client:
            path = opened(client)
            client.post(f"{path}/edits", json={"drags": PULL})
            with pytest.raises(httpx.HTTPError):
                client.post(f"{path}/undo")
        again = kiosk.wait_for("listening")
        with httpx.Client(base_url=f"http://127.0.0.1:{again['port']}", timeout=30) as client:
            path = opened(client)
            client.post(f"{path}/edits", json={"drags": PULL})
            assert client.post(f"{path}/undo").status_code == 200
        assert any(said["event"] == "the engine hangs; restarting" for said in kiosk.lines)


def test_systemd_is_notified(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import socket

    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as systemd:
        systemd.bind(str(tmp_path / "notify"))
        systemd.settimeout(30)
        monkeypatch.setenv("NOTIFY_SOCKET", str(tmp_path / "notify"))
        with Kiosk(tmp_path / "state"):
            received = {systemd.recv(100) for _ in range(4)}
    assert received == {b"READY=1", b"WATCHDOG=1"}
