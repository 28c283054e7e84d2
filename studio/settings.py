"""A station's settings, checked before anything is opened."""

from __future__ import annotations

import ipaddress
import re
from dataclasses import dataclass
from pathlib import Path

from edgedrag.runtime.errors import InputError

ROOT_PATH = re.compile(r"(/[A-Za-z0-9._~-]+)*")
TOKEN = re.compile(r"[A-Za-z0-9._~-]{16,200}")  # what a header, a WebSocket's protocol and a link can carry


@dataclass(frozen=True)
class Settings:
    """One station.

    Attributes:
        token: what a visitor's page must send; None on loopback alone.
        root_path: before the path of every address, as "/retouch", where a proxy serves the station below one.
        state: folder of the records, and of what staff choose to keep.
        staff_code: opens the staff page; made at the first start and kept in `state` where None.
        idle_seconds: a session without input for so long is wiped.
        queue: jobs that may wait for the worker; further ones are answered "busy".
        upload_mb, max_megapixels: the largest photo, as a file and decoded.
        photo_megapixels: of all sessions together; photos beyond are answered "busy".
        hang_seconds: the station restarts itself where one step takes longer.
        mark: saved pictures that were edited say so in their XMP data.
        steps, seed: of every edit; the bundle's default where `steps` is None.
    """

    host: str = "127.0.0.1"
    port: int = 8000
    token: str | None = None
    root_path: str = ""
    state: Path = Path("state")
    staff_code: str | None = None
    idle_seconds: float = 120.0
    queue: int = 32
    upload_mb: float = 32.0
    max_megapixels: float = 100.0
    photo_megapixels: float = 400.0
    hang_seconds: float = 60.0
    mark: bool = True
    steps: int | None = None
    seed: int = 0

    def check(self) -> None:
        """Raise InputError where a value is out of range, or others could reach the station without a token."""
        if not 0 <= self.port < 65536:
            raise InputError(f"--port {self.port}: give 0 to 65535")
        for option, value in (("--idle", self.idle_seconds), ("--hang", self.hang_seconds)):
            if not 1 <= value <= 86400:
                raise InputError(f"{option} {value:g}: give 1 to 86400 seconds")
        if not 1 <= self.queue <= 1024:
            raise InputError(f"--queue {self.queue}: give 1 to 1024")
        if not 0 < self.upload_mb <= 1024:
            raise InputError(f"--upload-mb {self.upload_mb:g}: give up to 1024")
        for option, secret in (("--token", self.token), ("--staff-code", self.staff_code)):
            if secret is not None and not TOKEN.fullmatch(secret):
                raise InputError(f"{option}: give 16 to 200 of the characters A-Z a-z 0-9 . _ ~ -")
        if not ROOT_PATH.fullmatch(self.root_path):
            raise InputError(f"--root-path {self.root_path}: give a path as /retouch, without a slash at its end")
        if self.token is None and not self.loopback:
            raise InputError(
                f"--host {self.host}: others can reach this address, so give --token too (16 characters or more), "
                "or stay on 127.0.0.1"
            )

    @property
    def loopback(self) -> bool:
        """Whether only this device can reach the address."""
        try:
            return self.host == "localhost" or ipaddress.ip_address(self.host).is_loopback
        except ValueError:
            return False
