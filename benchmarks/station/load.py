"""Load generator without a browser: sessions, previews, edits and undos over HTTP and WebSocket."""

from __future__ import annotations

import asyncio
import json
import random
import struct
import time
from dataclasses import dataclass, field
from typing import Any
from urllib.error import HTTPError
from urllib.request import Request, urlopen

from websockets.asyncio.client import ClientConnection, connect

PREVIEWS = 4  # before each edit
SECONDS = 30.0  # timeout of a reply
TRIES = 8  # of an edit while the station is busy, as the page does
GRACE = 15.0  # seconds after the end, in which what is under way may still be answered


@dataclass
class Tally:
    """Counts and times of a visitor.

    Attributes:
        busy: edits, photos and sessions that were answered busy; each was tried again.
        gave_up: edits that were still answered busy at the last try.
        seconds: of each edit, from the first request to the result.
        late: something was still not answered when the run ended.
    """

    edits: int = 0
    previews: int = 0
    busy: int = 0
    gave_up: int = 0
    errors: list[str] = field(default_factory=list)
    seconds: list[float] = field(default_factory=list)
    late: bool = False


class Failed(Exception):
    """The station answered with an error."""


async def request(
    tally: Tally, url: str, method: str, path: str, data: bytes | None = None, kind: str = ""
) -> dict[str, Any]:
    """An HTTP request, repeated while the station is busy; returns the JSON reply."""

    def call() -> tuple[dict[str, Any], float]:
        headers = {"Content-Type": kind} if kind else {}
        try:
            with urlopen(Request(url + path, data, headers, method=method), timeout=SECONDS) as answer:
                body = answer.read()
        except HTTPError as error:
            if error.code != 503:
                raise
            return {}, float(error.headers["Retry-After"])
        return json.loads(body) if body else {}, 0.0

    while True:
        answer, wait = await asyncio.to_thread(call)
        if not wait:
            return answer
        tally.busy += 1
        await asyncio.sleep(wait)


def header(message: str | bytes) -> dict[str, Any]:
    """The JSON header of a message of the station."""
    if isinstance(message, str):
        return json.loads(message)
    (length,) = struct.unpack("<I", message[:4])
    return json.loads(message[4 : 4 + length])


async def visit(url: str, photo: bytes, tally: Tally, until: float, edits: int, seed: int) -> None:
    """Run a session: a photo, and edits until the time `until` (time.monotonic) or until so many were tried."""
    rng = random.Random(seed)
    try:
        session = (await request(tally, url, "POST", "/api/sessions"))["session"]
        path = f"/api/sessions/{session}"
        state = await request(tally, url, "PUT", f"{path}/photo", photo, "image/jpeg")
        async with connect(url.replace("http", "ws") + path + "/live", max_size=None) as line:
            tried = 0
            while time.monotonic() < until and tried < edits:
                tried += 1
                try:
                    await _edit(line, state, tally, rng)
                except Failed as error:
                    tally.errors.append(str(error))
        await request(tally, url, "DELETE", path)
    except Exception as error:
        tally.errors.append(f"{type(error).__name__}: {error}")


async def _edit(line: ClientConnection, state: dict[str, Any], tally: Tally, rng: random.Random) -> None:
    """Previews, an edit, sometimes its undo."""
    width, height = state["width"], state["height"]
    x, y = rng.uniform(0.3, 0.7) * width, rng.uniform(0.3, 0.7) * height
    dx, dy = (rng.uniform(-0.04, 0.04) * width for _ in range(2))
    for step in range(1, PREVIEWS + 1):
        shown = await _ask(line, "preview", step, [[[x, y], [x + dx * step / PREVIEWS, y + dy * step / PREVIEWS]]])
        tally.previews += shown["type"] == "preview"
    begun = time.monotonic()
    for number in range(PREVIEWS + 1, PREVIEWS + 1 + TRIES):
        made = await _ask(line, "edit", number, [[[x, y], [x + dx, y + dy]]])
        if made["type"] != "busy":
            break
        tally.busy += 1
        await asyncio.sleep(made["retry_after"])
    else:
        tally.gave_up += 1
        return
    tally.edits += 1
    tally.seconds.append(time.monotonic() - begun)
    if rng.random() < 0.5:
        await _ask(line, "undo", 0)


async def _ask(line: ClientConnection, kind: str, number: int, drags: Any = None) -> dict[str, Any]:
    """Send a message and wait for its reply, whose header is returned; raises Failed where that is an error."""
    await line.send(json.dumps({"type": kind, "id": number} | ({"drags": drags} if drags else {})))
    while True:
        answer = header(await asyncio.wait_for(line.recv(), SECONDS))
        if answer["id"] != number or answer["type"] == "progress":
            continue
        if answer["type"] == "error":
            raise Failed(answer["detail"])
        return answer


async def crowd(url: str, photo: bytes, visitors: int, seconds: float) -> list[Tally]:
    """Concurrent visitors for a number of seconds, and at most GRACE more."""
    tallies = [Tally() for _ in range(visitors)]
    until = time.monotonic() + seconds
    visits = {
        asyncio.create_task(visit(url, photo, tally, until, 10**9, seed)): tally for seed, tally in enumerate(tallies)
    }
    _, late = await asyncio.wait(visits, timeout=seconds + GRACE)
    for task in late:
        visits[task].late = True
        task.cancel()
    await asyncio.gather(*late, return_exceptions=True)
    return tallies


async def row(url: str, photo: bytes, visitors: int, edits_each: int, seed: int) -> Tally:
    """Visitors one after the other, with a number of edits each."""
    tally = Tally()
    for number in range(visitors):
        await visit(url, photo, tally, float("inf"), edits_each, seed + number)
    return tally
