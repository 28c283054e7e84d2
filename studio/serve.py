"""Runs a station until it gets SIGTERM or SIGINT."""

from __future__ import annotations

import dataclasses
import os
import secrets
import shutil
from collections.abc import Callable
from pathlib import Path

import uvicorn

from edgedrag.runtime.errors import InputError
from edgedrag.runtime.files import write_aside
from edgedrag.runtime.session.runtime import Runtime
from edgedrag.studio.api.app import make_app
from edgedrag.studio.health import logs, watchdog
from edgedrag.studio.settings import Settings
from edgedrag.studio.station import Station

MAX_CONNECTIONS = 512
MAX_MESSAGE = 64 << 10  # bytes, of a WebSocket's message from a page


class Server(uvicorn.Server):
    """Tells systemd when it listens, and calls `done` after its shutdown, before the signal ends the process."""

    def __init__(self, config: uvicorn.Config, done: Callable[[], None]):
        super().__init__(config)
        self._done = done

    async def startup(self, sockets: list | None = None) -> None:
        await super().startup(sockets)
        if self.started:
            port = self.servers[0].sockets[0].getsockname()[1] if self.servers else self.config.port
            logs.log("listening", host=self.config.host, port=port)
            watchdog.notify("READY=1")

    async def shutdown(self, sockets: list | None = None) -> None:
        await super().shutdown(sockets)
        self._done()


def serve(runtime: Runtime, settings: Settings, done: Callable[[], None] = lambda: None) -> None:
    """Serve until SIGTERM or SIGINT.

    Args:
        done: called after the last connection is closed, before the signal ends the process.

    Raises:
        InputError: invalid settings, a state folder that cannot be written to, a port in use.
    """
    settings = prepared(settings)
    logs.set_up()
    station = Station(runtime, settings)
    watchdog.watch(station.worker, settings.hang_seconds)
    config = uvicorn.Config(
        make_app(station),
        host=settings.host,
        port=settings.port,
        log_config=None,
        access_log=False,
        server_header=False,
        ws="websockets-sansio",
        ws_max_size=MAX_MESSAGE,
        ws_per_message_deflate=False,  # motion fields on loopback: compressing costs more than it saves
        limit_concurrency=MAX_CONNECTIONS,
        timeout_graceful_shutdown=3,
    )
    try:
        Server(config, done).run()
    except SystemExit:
        raise InputError(f"--port {settings.port}: cannot listen on {settings.host}; is it in use?") from None


def prepared(settings: Settings) -> Settings:
    """Checked settings with a staff code; the state folder exists and is cleared of what a power cut left."""
    settings.check()
    folder = settings.state
    try:
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        if not os.access(folder, os.W_OK | os.X_OK):
            raise OSError("not writable")
        _clear(folder)
    except OSError as error:
        raise InputError(f"{folder}: cannot be used for the station's records ({error.strerror or error})") from None
    return dataclasses.replace(settings, staff_code=settings.staff_code or _staff_code(folder / "staff-code"))


def _clear(folder: Path) -> None:
    """Remove half-written files, and pairs that no job names: the power went while they were written."""
    for aside in (*folder.glob(".*.*"), *folder.glob("kept/.*.*")):
        aside.unlink()
    jobs = folder / "kept" / "jobs.jsonl"
    named = jobs.read_text(encoding="utf-8") if jobs.exists() else ""
    for pair in folder.glob("kept/pairs/*"):
        if f'"pairs/{pair.name}/before.png"' not in named:
            shutil.rmtree(pair)


def _staff_code(file: Path) -> str:
    """The code in a file of the state folder, made at the first start; only its owner can read it."""
    if not file.exists():
        write_aside(file, (secrets.token_urlsafe(12) + "\n").encode())
        file.chmod(0o600)
    return file.read_text(encoding="utf-8").strip()
