"""Runs a station until it gets SIGTERM or SIGINT."""

from __future__ import annotations

from collections.abc import Callable

import uvicorn

from edgedrag.runtime.errors import InputError
from edgedrag.runtime.session.runtime import Runtime
from edgedrag.studio.addresses import print_addresses
from edgedrag.studio.api.app import make_app
from edgedrag.studio.api.deadlines import TimedProtocol
from edgedrag.studio.health import logs, watchdog
from edgedrag.studio.settings import Settings
from edgedrag.studio.state_folder import clear, held, make_state_folder, staff_code
from edgedrag.studio.station import Station

MAX_CONNECTIONS = 512
MAX_MESSAGE = 64 << 10  # bytes, of a WebSocket's message from a page


class Server(uvicorn.Server):
    """Tells systemd when it listens, and calls `done` after its shutdown, before the signal ends the process.

    `listening` is called with the port.
    """

    def __init__(self, config: uvicorn.Config, listening: Callable[[int], None], done: Callable[[], None]):
        super().__init__(config)
        self._listening, self._done = listening, done

    async def startup(self, sockets: list | None = None) -> None:
        await super().startup(sockets)
        if self.started:
            port = self.servers[0].sockets[0].getsockname()[1] if self.servers else self.config.port
            logs.log("listening", host=self.config.host, port=port)
            self._listening(port)
            watchdog.notify("READY=1")

    async def shutdown(self, sockets: list | None = None) -> None:
        await super().shutdown(sockets)
        self._done()


def serve(runtime: Runtime, settings: Settings, done: Callable[[], None] = lambda: None) -> None:
    """Serve until SIGTERM or SIGINT.

    Args:
        done: called after the last connection is closed, before the signal ends the process.

    Raises:
        InputError: a state folder that cannot be written to, a port in use.
    """
    logs.set_up()
    make_state_folder(settings.state)
    with held(settings.state):
        _serve(runtime, prepared(settings), done)


def _serve(runtime: Runtime, settings: Settings, done: Callable[[], None]) -> None:
    station = Station(runtime, settings)
    watchdog.watch(station.worker, settings.hang_seconds)
    config = uvicorn.Config(
        make_app(station),
        host=settings.host,
        port=settings.port,
        log_config=None,
        access_log=False,
        server_header=False,
        http=TimedProtocol,
        proxy_headers=settings.token is not None,  # else there is no proxy, and the addresses are what they seem
        ws="websockets-sansio",
        ws_max_size=MAX_MESSAGE,
        ws_per_message_deflate=False,  # motion fields on loopback: compressing costs more than it saves
        limit_concurrency=MAX_CONNECTIONS,
        timeout_graceful_shutdown=3,
    )
    try:
        Server(config, lambda port: print_addresses(settings, port), done).run()
    except SystemExit:
        raise InputError(f"--port {settings.port}: cannot listen on {settings.host}; is it in use?") from None


def prepared(settings: Settings) -> Settings:
    """Settings with a staff code; the state folder exists and is cleared of what a power cut left."""
    make_state_folder(settings.state)
    clear(settings.state)
    return settings.model_copy(update={"staff_code": settings.staff_code or staff_code(settings.state / "staff-code")})
