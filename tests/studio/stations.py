"""A station that several tests share, and small clients for it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest
from conftest import EXAMPLES
from websockets.sync.client import ClientConnection, connect

import edgedrag
from edgedrag.benchmarks.station.load import header
from edgedrag.benchmarks.station.process import Kiosk
from edgedrag.runtime.photo.picture import Picture, encode_picture

PNG = (EXAMPLES / "coffee.png").read_bytes()
PULL = [[[365, 285], [375, 299]]]


@pytest.fixture(scope="module")
def kiosk(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Kiosk]:
    with Kiosk(tmp_path_factory.mktemp("station")) as running:
        yield running


@pytest.fixture
def client(kiosk: Kiosk) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=kiosk.url, timeout=30) as made:
        yield made


def opened(client: httpx.Client, data: bytes = PNG, kind: str = "image/png") -> str:
    """The path of a new session with a photo."""
    path = "/api/sessions/" + client.post("/api/sessions").json()["session"]
    answer = client.put(f"{path}/photo", content=data, headers={"Content-Type": kind})
    assert answer.status_code == 200, answer.text
    return path


def picture(data: bytes) -> np.ndarray:
    return edgedrag.load_picture(data).pixels.copy()


def png(pixels: np.ndarray) -> bytes:
    return encode_picture(Path("x.png"), Picture(pixels))


def line(kiosk: Kiosk, path: str, **options: Any) -> ClientConnection:
    """A session's WebSocket."""
    return connect(f"ws://127.0.0.1:{kiosk.port}{path}/live", max_size=None, **options)


def ask(socket: ClientConnection, kind: str, number: int, **rest: Any) -> dict[str, Any]:
    """Send a message; the answer to it, progress left out, with a frame's payload."""
    socket.send(json.dumps({"type": kind, "id": number, **rest}))
    while True:
        message = socket.recv(timeout=30)
        said = header(message)
        if said["id"] == number and said["type"] != "progress":
            if isinstance(message, bytes):
                said["payload"] = message[4 + int.from_bytes(message[:4], "little") :]
            return said
