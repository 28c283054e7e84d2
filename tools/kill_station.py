"""The station, killed while it starts and while visitors and staff use it."""

from __future__ import annotations

import json
import random
import subprocess
import sys
import threading
import time
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
from kill_cases import EXAMPLES

from edgedrag.benchmarks.station.process import Kiosk
from edgedrag.runtime.errors import EdgedragError
from edgedrag.runtime.files import ASIDE
from edgedrag.runtime.photo.picture import load_picture

BAD_DRAG = {"drags": [[[365, 285], [480, 330]]]}  # too far, so that staff may keep the result
VISITS = 2  # within which a station in use is killed
WHILE_STARTING = 0.3  # of the kills


@dataclass
class Promises:
    """What the station has said is done: kept edits by name, and the largest number of edits in its record."""

    kept: set[str] = field(default_factory=set)
    edits: int = 0
    staff_code: str = ""


def visit(kiosk: Kiosk, promises: Promises, stop: threading.Event, rounds: int = 1000) -> None:
    """Edit, keep and look at the record until the station is gone."""
    photo = (EXAMPLES / "coffee.png").read_bytes()
    with suppress(httpx.HTTPError), httpx.Client(base_url=kiosk.url, timeout=60) as client:
        client.put("/api/staff/pixels", json={"pixels": True}, headers=kiosk.staff)
        for _ in range(rounds):
            if stop.is_set():
                break
            path = f"/api/sessions/{client.post('/api/sessions').json()['session']}"
            client.put(f"{path}/photo", content=photo, headers={"Content-Type": "image/png"})
            for seed in range(2):
                client.post(f"{path}/edits", json={**BAD_DRAG, "seed": seed})
                client.post(f"{path}/undo")
            for edit in client.get("/api/staff/held", headers=kiosk.staff).json():
                if client.post(f"/api/staff/held/{edit['name']}/keep", headers=kiosk.staff).status_code == 204:
                    promises.kept.add(edit["name"])
            rows = client.get("/api/staff/edits", params={"limit": 5000}, headers=kiosk.staff).json()
            promises.edits = max(promises.edits, len(rows))
            client.delete(path)


def problems_on_disk(state: Path, promises: Promises) -> list[str]:
    """What is half-written or lost."""
    problems = [f"{path.name}: set aside" for path in state.glob("*damaged*")]
    jobs = state / "kept" / "jobs.jsonl"
    try:
        listed = {json.loads(line)["name"] for line in jobs.read_text().splitlines()} if jobs.exists() else set()
    except ValueError as error:
        return [*problems, f"jobs.jsonl: {error}"]
    pairs = {path.name for path in (state / "kept" / "pairs").glob("*") if not path.name.startswith(ASIDE)}
    problems += [f"{name} was kept and is not listed" for name in promises.kept - listed]
    problems += [f"{name} is listed without its pair" for name in listed - pairs]
    for name in pairs:
        for picture in ("before.png", "after.png", "mask.png"):
            try:
                load_picture(state / "kept" / "pairs" / name / picture)
            except EdgedragError as error:
                problems.append(str(error))
    return problems


def problems_at_start(kiosk: Kiosk, promises: Promises) -> list[str]:
    """What a station that started again does not know any more, or left lying."""
    problems = [f"{path.name} is left" for path in kiosk.state.rglob(f"{ASIDE}*.partial")]
    if promises.staff_code not in ("", kiosk.staff["Authorization"]):
        problems.append("another staff code")
    promises.staff_code = kiosk.staff["Authorization"]
    rows = httpx.get(f"{kiosk.url}/api/staff/edits", params={"limit": 5000}, headers=kiosk.staff, timeout=60).json()
    if len(rows) < promises.edits:
        problems.append(f"{len(rows)} edits in the record, {promises.edits} were shown")
    return problems


def kill_station(kills: int, seed: int, root: Path) -> dict[str, Any]:
    """Kill a station so often in one state folder; returns the figures and the problems."""
    state, moments, promises, problems = root / "state", random.Random(seed), Promises(), []
    begun = time.monotonic()
    with Kiosk(state) as kiosk:
        seconds = time.monotonic() - begun
        promises.staff_code = kiosk.staff["Authorization"]
        begun = time.monotonic()
        visit(kiosk, promises, threading.Event(), rounds=1)
        visit_seconds = time.monotonic() - begun
    assert promises.kept and promises.edits, "the visit does not do what it is for"
    while_starting = 0
    for number in range(1, kills + 1):
        if moments.random() < WHILE_STARTING:
            command = [sys.executable, "-m", "edgedrag", "studio", "--port", "0", "--state", str(state)]
            with subprocess.Popen(command, stderr=subprocess.DEVNULL) as process:
                time.sleep(moments.uniform(0, seconds))
                process.kill()
            while_starting += 1
            found = []
        else:
            with Kiosk(state) as kiosk:
                found = problems_at_start(kiosk, promises)
                stop = threading.Event()
                visitor = threading.Thread(target=visit, args=(kiosk, promises, stop))
                visitor.start()
                time.sleep(moments.uniform(0, VISITS * visit_seconds))
                kiosk.kill()
                stop.set()
                visitor.join()
        problems += [f"after kill {number}: {problem}" for problem in found + problems_on_disk(state, promises)]
    with Kiosk(state) as kiosk:
        problems += [f"at the end: {problem}" for problem in problems_at_start(kiosk, promises)]
        report = httpx.post(f"{kiosk.url}/api/staff/self-test", headers=kiosk.staff, timeout=120).json()
        problems += [] if report["passed"] else [f"at the end: {report['problems']}"]
    return {
        "kills": kills,
        "while_starting": while_starting,
        "seconds_undisturbed": round(seconds, 2),
        "seconds_of_a_visit": round(visit_seconds, 2),
        "kept": len(promises.kept),
        "edits_seen": promises.edits,
        "problems": problems,
    }
