"""Half-open connections end, and those in use do not."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Iterator

import pytest
import uvicorn
from fastapi import FastAPI, WebSocket
from websockets.sync.client import connect

from edgedrag.studio.api import deadlines

SECONDS = 0.8
PATIENCE = 60.0  # seconds, after which a server does not close


@pytest.fixture(scope="module")
def port() -> Iterator[int]:
    """A server with a short time limit."""
    app = FastAPI()

    @app.get("/")
    async def page() -> str:
        return "page"

    @app.websocket("/live")
    async def live(socket: WebSocket) -> None:
        await socket.accept()
        while True:
            await socket.send_text(await socket.receive_text())

    before, deadlines.HEAD_SECONDS = deadlines.HEAD_SECONDS, SECONDS
    config = uvicorn.Config(
        app, port=0, http=deadlines.TimedProtocol, ws="websockets-sansio", log_level="critical", timeout_keep_alive=30
    )
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    while not server.started:
        time.sleep(0.02)
    yield server.servers[0].sockets[0].getsockname()[1]
    server.should_exit = True
    thread.join(10)
    deadlines.HEAD_SECONDS = before


def closes(line: socket.socket, trickle: bytes = b"") -> bool:
    """Whether the server closes, while further bytes are sent one by one."""
    until, rest = time.monotonic() + PATIENCE, list(trickle)
    line.settimeout(0.1)
    while time.monotonic() < until:
        try:
            if rest:
                line.send(bytes([rest.pop(0)]))
            if not line.recv(1000):
                return True
        except TimeoutError:
            continue
        except OSError:
            return True
    return False


HEAD = b"GET / HTTP/1.1\r\nHost: localhost\r\n"


@pytest.mark.parametrize(
    ("first", "then"),
    [(b"", b""), (b"G", b""), (HEAD, b""), (HEAD, b"X-Slow: " + b"a" * 200), (b"", HEAD * 5)],
    ids=["nothing", "a byte", "half a head", "a header that trickles", "a head that trickles"],
)
def test_a_head_that_does_not_end_closes_the_connection(port: int, first: bytes, then: bytes) -> None:
    with socket.create_connection(("127.0.0.1", port)) as line:
        line.sendall(first)
        assert closes(line, then)


def test_so_does_that_of_a_second_request(port: int) -> None:
    with socket.create_connection(("127.0.0.1", port)) as line:
        line.sendall(HEAD + b"\r\n")
        assert line.recv(1000).startswith(b"HTTP/1.1 200")
        line.sendall(HEAD)
        assert closes(line)


def test_connections_in_use_stay(port: int) -> None:
    with socket.create_connection(("127.0.0.1", port)) as line, connect(f"ws://127.0.0.1:{port}/live") as live:
        for number in range(6):
            line.sendall(HEAD + b"\r\n")
            answer = line.recv(1000)
            while not answer.endswith(b'"page"'):  # head and body may come apart
                answer += line.recv(1000)
            assert answer.startswith(b"HTTP/1.1 200"), number
            live.send(f"{number}")
            assert live.recv(timeout=10) == f"{number}"
            time.sleep(SECONDS * 0.3)


def test_many_half_open_connections_end_and_others_are_served(port: int) -> None:
    lines = [socket.create_connection(("127.0.0.1", port)) for _ in range(100)]
    for line in lines:
        line.sendall(HEAD)
    assert all(closes(line) for line in lines)
    for line in lines:
        line.close()
    with socket.create_connection(("127.0.0.1", port)) as line:
        line.sendall(HEAD + b"\r\n")
        assert line.recv(1000).startswith(b"HTTP/1.1 200")
