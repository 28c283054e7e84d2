"""Hostile clients: what its own OpenAPI allows and forbids, malformed pictures, bombs, garbage on the WebSocket."""

from __future__ import annotations

import io
import json
import struct
import subprocess
import sys
import zlib
from pathlib import Path

import httpx
import numpy as np
import pytest
from PIL import Image
from stations import PNG, PULL, ask, client, kiosk, line, opened
from websockets.exceptions import ConnectionClosed

from edgedrag.benchmarks.station.process import Kiosk
from edgedrag.studio.health.memory import resident_mb

pytestmark = pytest.mark.slow

__all__ = ["client", "kiosk"]
RNG = np.random.default_rng(5)


@pytest.mark.parametrize("who", ["visitor", "staff"])
def test_schemathesis_finds_no_fault(kiosk: Kiosk, who: str, tmp_path: Path) -> None:
    pytest.importorskip("schemathesis", reason="schemathesis is not installed")
    command = [
        sys.executable, "-m", "schemathesis.cli", "run", f"{kiosk.url}/openapi.json", "--seed", "7",
        "--phases", "examples,coverage,fuzzing", "--max-examples", "12",
        "--checks", "not_a_server_error,status_code_conformance,content_type_conformance,"
        "response_schema_conformance,negative_data_rejection",
    ]  # fmt: skip
    if who == "staff":
        command += ["--include-path-regex", "/api/staff", "--header", f"Authorization: {kiosk.staff['Authorization']}"]
    else:
        command += ["--exclude-path-regex", "/api/staff"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300, cwd=tmp_path)
    assert done.returncode == 0, done.stdout[-4000:]


def bombs() -> list[tuple[str, bytes, str | None]]:
    """Pictures that claim to be huge or are, with words of the refusal; None where the photo itself is good."""
    header = struct.pack(">IIBBBBB", 60_000, 60_000, 8, 2, 0, 0, 0)

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    claimed = PNG[:8] + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(b"\0" * 10_000)) + chunk(b"IEND", b"")
    text = PNG[:33] + chunk(b"zTXt", b"a\0\0" + zlib.compress(b"\0" * 200_000_000, 9)) + PNG[33:]
    made: list[tuple[str, bytes, str | None]] = []
    for kind, size in (("png", (14_000, 14_000)), ("jpeg", (15_000, 15_000)), ("webp", (11_000, 11_000))):
        out = io.BytesIO()
        Image.new("L" if kind != "webp" else "RGB", size).save(out, kind)
        made.append((f"image/{kind}", out.getvalue(), "megapixels"))
    return [("image/png", claimed, "megapixels"), ("image/png", text, None), *made]


def test_bombs_are_refused_and_leave_nothing(kiosk: Kiosk, client: httpx.Client) -> None:
    path = opened(client)
    before = resident_mb(kiosk.process.pid)
    for kind, data, why in bombs():
        answer = client.put(f"{path}/photo", content=data, headers={"Content-Type": kind})
        if why is None:
            assert answer.status_code == 200, "a fault outside the pixels is left out"
        else:
            assert answer.status_code == 422 and why in answer.json()["detail"], (kind, answer.text)
    client.delete(path)
    assert resident_mb(kiosk.process.pid) < before + 60


def test_malformed_pictures_never_break_it(kiosk: Kiosk, client: httpx.Client) -> None:
    path = opened(client)
    files = {"image/png": PNG}
    for kind in ("jpeg", "webp"):
        out = io.BytesIO()
        Image.open(io.BytesIO(PNG)).convert("RGB").save(out, kind)
        files[f"image/{kind}"] = out.getvalue()
    for kind, data in files.items():
        for _ in range(25):
            broken = bytearray(data[: RNG.integers(20, len(data))])
            for place in RNG.integers(12, len(broken), 8):
                broken[place] = RNG.integers(256)
            answer = client.put(f"{path}/photo", content=bytes(broken), headers={"Content-Type": kind})
            assert answer.status_code in (200, 415, 422), answer.text
            mask = client.put(f"{path}/mask", content=bytes(broken), headers={"Content-Type": "image/png"})
            assert mask.status_code in (200, 409, 415, 422), mask.text
    assert client.get("/readyz").status_code == 200
    assert client.get("/api/staff/health", headers=kiosk.staff).json()["errors"] == []


def test_garbage_on_the_websocket(kiosk: Kiosk, client: httpx.Client) -> None:
    path = opened(client)
    pieces: list[str | bytes] = [
        "", "{", "null", '"x"', "{}", "[" * 30_000, "\0", '{"type": "preview"}',
        '{"type": "edit", "id": 1, "drags": [[[NaN, 1], [2, 3]]]}', '{"type": "preview", "id": 1, "drags": "x"}',
        json.dumps({"type": "preview", "id": 1, "drags": PULL * 65}), '{"type": "undo", "id": 1, "more": 2}',
        '{"type": "hold", "id": 1, "point": [1]}', '{"type": "hold", "id": 1, "point": [NaN, 2]}',
        b"", b"\x00\xff", bytes(1000), '{"type": "touch", "id": 1e400}',
    ]  # fmt: skip
    with line(kiosk, path) as socket:
        for piece in pieces:
            socket.send(piece)
            answer = json.loads(socket.recv(timeout=30))
            assert answer["type"] == "error" and answer["code"] == "unusable", piece
        assert ask(socket, "preview", 77, drags=PULL)["type"] == "preview", "a page may err and go on"
        with pytest.raises(ConnectionClosed):
            for _ in range(10):
                socket.send("garbage")
                socket.recv(timeout=30)
            socket.recv(timeout=30)
    with line(kiosk, path) as socket, pytest.raises(ConnectionClosed):
        socket.send("x" * 100_000)
        socket.recv(timeout=30)
    odd = (
        [[[0, 0], [599, 399]]],
        [[[-1, 0], [1, 1]]],
        [[[1, 1], [1, 1]]],
        [[[5e8, 1], [2, 2]]],
        [PULL[0], [[365, 285], [1, 1]]],
    )
    with line(kiosk, path) as socket:
        for number, drags in enumerate(odd):
            assert ask(socket, "preview", number, drags=drags)["type"] in ("preview", "error")
            assert ask(socket, "edit", 100 + number, drags=drags)["type"] in ("result", "error")


def test_a_page_that_does_not_read_is_hung_up_on_and_costs_nothing(kiosk: Kiosk, client: httpx.Client) -> None:
    path = opened(client)
    before = resident_mb(kiosk.process.pid)
    with line(kiosk, path) as socket:
        try:
            for number in range(3000):
                socket.send(json.dumps({"type": "preview", "id": number, "drags": PULL}))
        except ConnectionClosed:
            pass
    assert client.get("/readyz").status_code == 200
    assert resident_mb(kiosk.process.pid) < before + 100
