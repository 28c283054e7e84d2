"""Who may use the station, by Host, Origin and root path; and how long it reads."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Iterator
from typing import Any

import httpx
import pytest
from fastapi import FastAPI, Request, WebSocket
from starlette.staticfiles import StaticFiles
from starlette.testclient import TestClient
from starlette.websockets import WebSocketDisconnect

from edgedrag.studio.api import guard
from edgedrag.studio.api.app import STATIC
from edgedrag.studio.api.guard import Guard
from edgedrag.studio.api.problems import ApiError
from edgedrag.studio.settings import Settings

TOKEN = "a-token-of-many-letters"
ROOT = "/hall/retouch"


def guarded(settings: Settings) -> FastAPI:
    """An application with a route of each kind behind the guard."""
    app = FastAPI()

    @app.get("/")
    async def page() -> str:
        return "page"

    @app.post("/api/small")
    async def small(number: dict[str, Any]) -> dict[str, Any]:
        return number

    @app.put("/api/photo")
    async def photo(request: Request) -> int:
        return len(await request.body())

    @app.websocket("/api/live")
    async def live(socket: WebSocket) -> None:
        await socket.accept()
        await socket.send_text("here")

    @app.exception_handler(ApiError)
    async def answer(request: Request, error: Exception) -> Any:
        assert isinstance(error, ApiError)
        return guard.JSONResponse({"detail": error.detail}, error.status)

    app.mount("/static", StaticFiles(directory=STATIC))
    app.add_middleware(Guard, settings=settings)
    return app


def client(**settings: Any) -> TestClient:
    return TestClient(guarded(Settings(**settings)), base_url="http://localhost")


@pytest.mark.parametrize(
    ("origin", "host", "allowed"),
    [
        ("http://localhost:8000", "localhost:8000", True),
        ("http://localhost", "localhost:80", True),
        ("http://localhost:80", "localhost", True),
        ("https://kiosk.example", "kiosk.example:443", True),
        ("https://kiosk.example:443", "kiosk.example", True),
        ("https://KIOSK.example", "kiosk.EXAMPLE", True),
        ("https://[fd00::1]", "[fd00::1]:443", True),
        ("https://[fd00::1]:8443", "[fd00::1]:8443", True),
        ("https://kiosk.example", "kiosk.example:80", False),
        ("http://kiosk.example", "kiosk.example:443", False),
        ("http://kiosk.example:8000", "kiosk.example", False),
        ("https://kiosk.example", "kiosk.example:8000", False),
        ("https://evil.example", "kiosk.example", False),
        ("https://kiosk.example.evil.example", "kiosk.example", False),
        ("https://kiosk.example:99999", "kiosk.example", False),
        ("ftp://kiosk.example", "kiosk.example", False),
        ("null", "kiosk.example", False),
        ("", "", False),
        ("http://[", "kiosk.example", False),
    ],
)
def test_a_page_of_the_station_is_known_by_its_origin(origin: str, host: str, allowed: bool) -> None:
    headers = {"Origin": origin, "Host": host, "Authorization": f"Bearer {TOKEN}"}
    station = client(token=TOKEN)
    assert (station.post("/api/small", json={}, headers=headers).status_code == 200) is allowed
    try:
        with station.websocket_connect("/api/live", headers=headers) as socket:
            assert socket.receive_text() == "here" and allowed
    except WebSocketDisconnect:
        assert not allowed


@pytest.mark.parametrize("host", ["localhost", "LOCALHOST:80", "127.0.0.1:8000", "[::1]", "[::1]:8000"])
def test_without_a_token_only_names_of_this_device_are_answered(host: str) -> None:
    assert client().get("/", headers={"Host": host}).status_code == 200


@pytest.mark.parametrize("host", ["evil.example", "localhost.evil.example:8000", "127.0.0.1.evil.example", "[fd00::1]"])
def test_without_a_token_other_names_are_refused_and_with_one_the_api_asks_for_it(host: str) -> None:
    refused = client().get("/", headers={"Host": host})
    assert refused.status_code == 421 and "--token" in refused.json()["detail"]
    assert client(token=TOKEN).get("/", headers={"Host": host}).status_code == 200
    assert client(token=TOKEN).post("/api/small", json={}, headers={"Host": host}).status_code == 401


@pytest.mark.parametrize("strips", [True, False], ids=["the proxy strips the root path", "the proxy leaves it"])
def test_a_root_path_works_for_page_files_api_and_websocket(strips: bool) -> None:
    station, before = client(root_path=ROOT, token=TOKEN), "" if strips else ROOT
    send = {"Authorization": f"Bearer {TOKEN}"}
    assert station.get(f"{before}/").json() == "page"
    assert station.get(f"{before}/static/main.js").headers["cache-control"] == "no-cache"
    assert station.get(f"{before}/openapi.json").json()["servers"] == [{"url": ROOT}]
    assert station.post(f"{before}/api/small", json={}).status_code == 401, "the API needs its token there too"
    assert station.post(f"{before}/api/small", json={"a": 1}, headers=send).json() == {"a": 1}
    large = b"x" * (guard.SMALL_BODY + 1)
    assert station.put(f"{before}/api/photo", content=large, headers=send).json() == len(large)
    assert station.post(f"{before}/api/small", content=large, headers=send).status_code == 413
    with station.websocket_connect(f"{before}/api/live", headers=send) as socket:
        assert socket.receive_text() == "here"


def test_the_root_itself_leads_to_the_page_and_what_only_looks_like_it_does_not() -> None:
    station = client(root_path="/retouch")
    answer = station.get("/retouch", follow_redirects=False)
    assert answer.status_code == 307 and answer.headers["location"] == "/retouch/"
    assert station.get("/retouched/").status_code == 404


def test_the_page_names_nothing_by_an_absolute_path() -> None:
    """Below a root path it would lead out of the station."""
    for file in STATIC.rglob("*"):
        if file.suffix in (".html", ".js", ".css"):
            text = file.read_text(encoding="utf-8")
            assert not re.search(r"""["'`(]/[a-z]""", text), file


def test_a_body_that_does_not_end_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(guard, "READ_SECONDS", 0.3)

    async def ask(path: str, method: str) -> httpx.Response:
        async def slow() -> Any:
            for _ in range(50):
                yield b" "
                await asyncio.sleep(0.1)

        transport = httpx.ASGITransport(guarded(Settings()))
        async with httpx.AsyncClient(transport=transport, base_url="http://localhost") as station:
            return await station.request(method, path, content=slow(), headers={"Content-Type": "application/json"})

    for path, method in (("/api/photo", "PUT"), ("/api/small", "POST")):
        answer = asyncio.run(ask(path, method))
        assert answer.status_code == 408 and "took longer" in answer.json()["detail"], (path, answer.text)


def test_too_large_a_body_without_a_length_is_said_so(monkeypatch: pytest.MonkeyPatch) -> None:
    def parts() -> Iterator[bytes]:
        for _ in range(20):
            yield b" " * 10_000

    assert client().post("/api/small", content=parts()).status_code == 413
