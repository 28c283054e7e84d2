"""Ten wrong staff codes slow down who gave them, and not the staff."""

from __future__ import annotations

import asyncio
import time
from types import SimpleNamespace
from typing import Any

import httpx
import pytest
from fastapi import Depends, FastAPI, Request

from edgedrag.studio.api import wrong_codes
from edgedrag.studio.api.guard import JSONResponse
from edgedrag.studio.api.problems import ApiError
from edgedrag.studio.api.staff import staff_only
from edgedrag.studio.api.wrong_codes import FREE, MAX_CLIENTS, MAX_WAITING, WrongCodes
from edgedrag.studio.settings import Settings

CODE = "the-code-of-the-staff"


@pytest.fixture
def app(monkeypatch: pytest.MonkeyPatch) -> FastAPI:
    monkeypatch.setattr(wrong_codes, "PAUSE_SECONDS", 0.2)
    app = FastAPI()
    app.state.station = SimpleNamespace(settings=Settings(staff_code=CODE))
    app.state.wrong_codes = WrongCodes()

    @app.get("/", dependencies=[Depends(staff_only)])
    async def page() -> str:
        return "for staff"

    @app.exception_handler(ApiError)
    async def answer(request: Request, error: Exception) -> Any:
        assert isinstance(error, ApiError)
        return JSONResponse({}, error.status, error.headers)

    return app


async def show(app: FastAPI, code: str, address: str) -> tuple[int, float]:
    """The status that a code gets, and after how many seconds."""
    transport = httpx.ASGITransport(app, client=(address, 1234))
    async with httpx.AsyncClient(transport=transport, base_url="http://localhost") as client:
        start = time.monotonic()
        answer = await client.get("/", headers={"Authorization": f"Bearer {code}"} if code else {})
        return answer.status_code, time.monotonic() - start


def test_who_gives_ten_wrong_codes_waits_and_the_staff_do_not(app: FastAPI) -> None:
    async def run() -> None:
        for _ in range(FREE):
            status, _ = await show(app, "wrong", "192.0.2.1")
            assert status == 401
        status, seconds = await show(app, "wrong", "192.0.2.1")
        assert status == 401 and seconds >= 0.2
        start = time.monotonic()
        slow = asyncio.create_task(show(app, "wrong", "192.0.2.1"))
        for address in ("192.0.2.2", "::1", "testclient"):
            assert (await show(app, CODE, address))[0] == 200
        assert not slow.done() or time.monotonic() - start >= 0.2, "staff elsewhere are served meanwhile"
        await slow
        status, seconds = await show(app, CODE, "192.0.2.1")
        assert status == 200 and seconds >= 0.2, "the right code works there too, after the same wait"
        status, seconds = await show(app, CODE, "192.0.2.1")
        assert status == 200 and seconds < 0.2, "once: staff at that device are not slowed any more"
        assert (await show(app, "", "192.0.2.1"))[0] == 401

    asyncio.run(run())


def test_guesses_at_once_are_not_read_faster(app: FastAPI) -> None:
    async def run() -> None:
        for _ in range(FREE):
            await show(app, "wrong", "192.0.2.1")
        start = time.monotonic()
        answers = await asyncio.gather(*(show(app, CODE, "192.0.2.1") for _ in range(20)))
        statuses = [status for status, _ in answers]
        assert statuses.count(200) == MAX_WAITING and statuses.count(429) == 20 - MAX_WAITING
        assert time.monotonic() - start >= 0.2 * MAX_WAITING

    asyncio.run(run())


def test_the_wait_ends_with_the_minute(app: FastAPI, monkeypatch: pytest.MonkeyPatch) -> None:
    async def run() -> None:
        for _ in range(FREE):
            await show(app, "wrong", "192.0.2.1")
        monkeypatch.setattr(wrong_codes, "WINDOW_SECONDS", 0.0)
        assert (await show(app, "wrong", "192.0.2.1"))[0] == 401

    asyncio.run(run())


def test_an_ipv6_client_is_its_network(app: FastAPI) -> None:
    async def run() -> None:
        for number in range(FREE):
            await show(app, "wrong", f"2001:db8::{number + 1}")
        assert (await show(app, "wrong", "2001:db8::abcd"))[1] >= 0.2
        assert (await show(app, "wrong", "2001:db8:0:1::1"))[1] < 0.2

    asyncio.run(run())


def test_the_memory_of_many_clients_is_bounded() -> None:
    codes = WrongCodes()
    for number in range(MAX_CLIENTS * 2):
        codes.add(f"192.0.{number >> 8}.{number & 255}")
    assert len(codes._clients) == MAX_CLIENTS
