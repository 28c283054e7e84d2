"""Wrong staff codes: who gave ten of them in a minute waits before each further one; nobody else does."""

from __future__ import annotations

import asyncio
import ipaddress
import time
from collections import OrderedDict, deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from edgedrag.studio.api.problems import ApiError

FREE = 10  # wrong codes in WINDOW_SECONDS that cost no wait
WINDOW_SECONDS = 60.0
PAUSE_SECONDS = 2.0  # before each further code of the client, right or wrong
MAX_WAITING = 4  # requests of a client that wait; further ones are refused unread
MAX_CLIENTS = 1024


@dataclass(eq=False)
class _Client:
    wrong: deque[float] = field(default_factory=lambda: deque(maxlen=FREE))  # times, time.monotonic
    waiting: int = 0
    turn: asyncio.Lock = field(default_factory=asyncio.Lock)

    @property
    def slowed(self) -> bool:
        return len(self.wrong) == FREE and time.monotonic() - self.wrong[0] < WINDOW_SECONDS


class WrongCodes:
    """The clients that gave wrong codes lately, by address; used by the event loop's thread."""

    def __init__(self) -> None:
        self._clients: OrderedDict[str, _Client] = OrderedDict()

    @asynccontextmanager
    async def turn(self, address: str) -> AsyncIterator[None]:
        """Around the check of a code, which awaits nothing; a client that gave many wrong ones waits for it.

        Raises:
            ApiError: as many of its requests wait as may.
        """
        client = self._clients.get(_network(address))
        if client is None or not client.slowed:
            yield
            return
        if client.waiting >= MAX_WAITING:
            raise ApiError(429, "too many wrong codes from this address", {"Retry-After": f"{PAUSE_SECONDS:.0f}"})
        client.waiting += 1
        try:
            async with client.turn:
                await asyncio.sleep(PAUSE_SECONDS)
                yield
        finally:
            client.waiting -= 1

    def add(self, address: str) -> None:
        """Note a wrong code."""
        network = _network(address)
        self._clients.setdefault(network, _Client()).wrong.append(time.monotonic())
        self._clients.move_to_end(network)
        if len(self._clients) > MAX_CLIENTS:
            self._clients.popitem(last=False)

    def forget(self, address: str) -> None:
        """Who gave the right code waits no more."""
        client = self._clients.get(_network(address))
        if client is not None:
            client.wrong.clear()


def _network(address: str) -> str:
    """What one client has: an IPv4 address, or the 64 bits before the part of an IPv6 address that it chooses."""
    try:
        found = ipaddress.ip_address(address.partition("%")[0])
    except ValueError:
        return address
    return str(ipaddress.ip_network((found, 64), strict=False)) if found.version == 6 else address
