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


@dataclass
class Tally:
    """Counts and times of a visitor."""

    edits: int = 0
    previews: int = 0
    busy: int = 0
    errors: list[str] = field(default_factory=list)
    seconds: list[float] = field(default_factory=list)  # of each edit, from request to result


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
    """Run a session: a photo and edits, until the time `until` (time.monotonic) or `edits` edits are done."""
    rng = random.Random(seed)
    try:
        session = (await request(tally, url, "POST", "/api/sessions"))["session"]
        path = f"/api/sessions/{session}"
        state = await request(tally, url, "PUT", f"{path}/photo", photo, "image/jpeg")
        async with connect(url.replace("http", "ws") + path + "/live", max_size=None) as line:
            done = 0
            while time.monotonic() < until and done < edits:
                done += await _edit(line, state, tally, rng)
        await request(tally, url, "DELETE", path)
    except Exception as error:
        tally.errors.append(f"{type(error).__name__}: {error}")


async def _edit(line: ClientConnection, state: dict[str, Any], tally: Tally, rng: random.Random) -> int:
    """Previews, an edit, sometimes its undo; returns the number of edits done."""
    width, height = state["width"], state["height"]
    x, y = rng.uniform(0.3, 0.7) * width, rng.uniform(0.3, 0.7) * height
    dx, dy = (rng.uniform(-0.04, 0.04) * width for _ in range(2))
    for step in range(1, PREVIEWS + 1):
        await _ask(line, tally, "preview", step, [[[x, y], [x + dx * step / PREVIEWS, y + dy * step / PREVIEWS]]])
    begun = time.monotonic()
    kind = await _ask(line, tally, "edit", PREVIEWS + 1, [[[x, y], [x + dx, y + dy]]])
    if kind != "result":
        return 0
    tally.edits += 1
    tally.seconds.append(time.monotonic() - begun)
    if rng.random() < 0.5:
        await _ask(line, tally, "undo", 0)
    return 1


async def _ask(line: ClientConnection, tally: Tally, kind: str, number: int, drags: Any = None) -> str:
    """Send a message and wait for its reply; returns the reply's type."""
    await line.send(json.dumps({"type": kind, "id": number} | ({"drags": drags} if drags else {})))
    while True:
        answer = header(await asyncio.wait_for(line.recv(), SECONDS))
        if answer["id"] != number or answer["type"] == "progress":
            continue
        if answer["type"] == "busy":
            tally.busy += 1
            await asyncio.sleep(answer["retry_after"])
        elif answer["type"] == "error":
            tally.errors.append(answer["detail"])
        elif answer["type"] == "preview":
            tally.previews += 1
        return answer["type"]


async def crowd(url: str, photo: bytes, visitors: int, seconds: float) -> list[Tally]:
    """Concurrent visitors for a number of seconds."""
    tallies = [Tally() for _ in range(visitors)]
    until = time.monotonic() + seconds
    await asyncio.gather(*(visit(url, photo, tally, until, 10**9, seed) for seed, tally in enumerate(tallies)))
    return tallies


async def row(url: str, photo: bytes, visitors: int, edits_each: int, seed: int) -> Tally:
    """Visitors one after the other, with a number of edits each."""
    tally = Tally()
    for number in range(visitors):
        await visit(url, photo, tally, float("inf"), edits_each, seed + number)
    return tally
