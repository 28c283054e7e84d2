"""Ten wrong staff codes slow down who gave them, and not the staff."""

from __future__ import annotations

import asyncio
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


class Pauses:
    """Stands in for asyncio in wrong_codes.py: pauses are counted, and end at once unless they are `held`."""

    def __init__(self) -> None:
        self.count, self.held = 0, False

    async def sleep(self, seconds: float) -> None:
        assert seconds == wrong_codes.PAUSE_SECONDS
        self.count += 1
        while self.held:
            await asyncio.sleep(0.01)


@pytest.fixture
def pauses(monkeypatch: pytest.MonkeyPatch) -> Pauses:
    made = Pauses()
    monkeypatch.setattr(wrong_codes, "asyncio", made)
    return made


@pytest.fixture
def app() -> FastAPI:
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


async def show(app: FastAPI, code: str, address: str) -> int:
    """The status that a code gets."""
    transport = httpx.ASGITransport(app, client=(address, 1234))
    async with httpx.AsyncClient(transport=transport, base_url="http://localhost") as client:
        answer = await client.get("/", headers={"Authorization": f"Bearer {code}"} if code else {})
        return answer.status_code


def test_who_gives_ten_wrong_codes_waits_and_the_staff_do_not(app: FastAPI, pauses: Pauses) -> None:
    async def run() -> None:
        for _ in range(FREE):
            assert await show(app, "wrong", "192.0.2.1") == 401
        assert pauses.count == 0
        assert await show(app, "wrong", "192.0.2.1") == 401 and pauses.count == 1
        pauses.held = True
        slow = asyncio.create_task(show(app, "wrong", "192.0.2.1"))
        for address in ("192.0.2.2", "::1", "testclient"):
            assert await show(app, CODE, address) == 200
        assert not slow.done(), "staff elsewhere are served meanwhile"
        pauses.held = False
        assert await slow == 401 and pauses.count == 2
        assert await show(app, CODE, "192.0.2.1") == 200 and pauses.count == 3, "the right code waits there too"
        assert await show(app, CODE, "192.0.2.1") == 200 and pauses.count == 3, "once: then staff there wait no more"
        assert await show(app, "", "192.0.2.1") == 401

    asyncio.run(run())


def test_guesses_at_once_are_not_read_faster(app: FastAPI, pauses: Pauses) -> None:
    async def run() -> None:
        for _ in range(FREE):
            await show(app, "wrong", "192.0.2.1")
        pauses.held = True
        guesses = [asyncio.create_task(show(app, CODE, "192.0.2.1")) for _ in range(20)]
        while sum(guess.done() for guess in guesses) < 20 - MAX_WAITING:
            await asyncio.sleep(0.01)
        assert pauses.count == 1, "one after the other"
        pauses.held = False
        statuses = await asyncio.gather(*guesses)
        assert statuses.count(200) == MAX_WAITING and statuses.count(429) == 20 - MAX_WAITING
        assert pauses.count == MAX_WAITING

    asyncio.run(run())


def test_the_wait_ends_with_the_minute(app: FastAPI, pauses: Pauses, monkeypatch: pytest.MonkeyPatch) -> None:
    async def run() -> None:
        for _ in range(FREE):
            await show(app, "wrong", "192.0.2.1")
        monkeypatch.setattr(wrong_codes, "WINDOW_SECONDS", 0.0)
        assert await show(app, "wrong", "192.0.2.1") == 401 and pauses.count == 0

    asyncio.run(run())


def test_an_ipv6_client_is_its_network(app: FastAPI, pauses: Pauses) -> None:
    async def run() -> None:
        for number in range(FREE):
            await show(app, "wrong", f"2001:db8::{number + 1}")
        await show(app, "wrong", "2001:db8::abcd")
        assert pauses.count == 1
        await show(app, "wrong", "2001:db8:0:1::1")
        assert pauses.count == 1

    asyncio.run(run())


def test_the_memory_of_many_clients_is_bounded() -> None:
    codes = WrongCodes()
    for number in range(MAX_CLIENTS * 2):
        codes.add(f"192.0.{number >> 8}.{number & 255}")
    assert len(codes._clients) == MAX_CLIENTS
