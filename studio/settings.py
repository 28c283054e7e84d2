"""A station's settings: what they are, their ranges, and where others could reach it without a token."""

from __future__ import annotations

import ipaddress
import re
import socket
from pathlib import Path
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from edgedrag.runtime.errors import InputError

TOKEN = re.compile(r"[A-Za-z0-9._~-]{16,200}")  # what a header, a WebSocket's protocol and a link can carry
Seconds = Annotated[float, Field(ge=1, le=86400)]


class Limits(BaseModel):
    """Figures beyond which the staff page and `/metrics` say that something is wrong."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    bad_share: float = Field(default=0.4, ge=0, le=1, description="Share of bad verdicts among the newest 50 edits.")
    edit_seconds: float = Field(default=5.0, gt=0, description="Median of the newest 50 edits, from request to result.")
    errors_per_hour: int = Field(default=3, ge=0, description="Requests that failed through the station's fault.")
    disk_free_mb: float = Field(default=500.0, ge=0, description="Free space of the state folder; less is wrong.")
    memory_mb: float = Field(default=4000.0, gt=0, description="Resident memory of the station.")


class PublicSettings(BaseModel):
    """All settings but secrets, which have files of their own; a settings file may hold each of them."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    host: str = Field(default="127.0.0.1", description="Address to listen on; one that others can reach needs a token.")
    port: int = Field(default=8000, ge=0, le=65535, description="0 takes a free one.")
    token_file: Path | None = Field(default=None, description="Holds the token that pages must show.")
    root_path: str = Field(
        default="", pattern=r"^(/[A-Za-z0-9._~-]+)*$", description="Where a proxy serves the station, as /retouch."
    )
    state: Path = Field(default=Path("state"), description="Folder of the records, and of what staff choose to keep.")
    idle_seconds: Seconds = Field(default=120.0, description="A session without input for so long is wiped.")
    queue: int = Field(default=32, ge=1, le=1024, description="Requests that may wait; further ones are answered busy.")
    upload_mb: float = Field(default=32.0, gt=0, le=1024, description="The largest photo, as a file.")
    max_megapixels: float = Field(default=100.0, gt=0, description="The largest photo, decoded.")
    photo_megapixels: float = Field(default=400.0, gt=0, description="Of all sessions together.")
    hang_seconds: Seconds = Field(default=60.0, description="The station restarts itself where one step takes longer.")
    share_address: str | None = Field(
        default=None,
        pattern=r"^https?://[^/\s]+(/\S*)?$",
        description="Where visitors' devices reach the station, as http://192.168.1.20:8000; no links where not set.",
    )
    station: str | None = Field(
        default=None,
        pattern=r"^[A-Za-z0-9._-]{1,64}$",
        description="Its name among other stations, in the metrics; the device's host name where not set.",
    )
    push_gateway: str | None = Field(
        default=None,
        pattern=r"^https?://[^/\s]+(/\S*)?$",
        description="Prometheus's Pushgateway that gets the metrics every minute; none where not set.",
    )
    mark: bool = Field(default=True, description="Saved pictures that were edited say so in their XMP data.")
    steps: int | None = Field(
        default=None, ge=1, le=1000, description="Of every edit; the bundle's default where not set."
    )
    seed: int = Field(default=0, ge=0, lt=2**63, description="Of every edit.")
    limits: Limits = Limits()


class Settings(PublicSettings):
    """One station."""

    token: str | None = Field(default=None, repr=False, description="What a page must send; None on loopback alone.")
    staff_code: str | None = Field(
        default=None, repr=False, description="For /staff; made and kept in `state` where None."
    )

    def shown(self) -> dict[str, Any]:
        """All but the secrets, as JSON."""
        return self.model_dump(mode="json", exclude={"token", "staff_code"})

    @property
    def station_name(self) -> str:
        """What this station is called in the metrics."""
        return self.station or socket.gethostname()

    @property
    def loopback(self) -> bool:
        """Whether only this device can reach the address."""
        try:
            return self.host == "localhost" or ipaddress.ip_address(self.host).is_loopback
        except ValueError:
            return False


OPTIONS = {"idle_seconds": "--idle", "hang_seconds": "--hang"}  # that have another name than their setting


def make_settings(**values: Any) -> Settings:
    """Checked settings.

    Raises:
        InputError: a value is out of range, or others could reach the station without a token. Names its option.
    """
    try:
        settings = Settings(**values)
    except ValidationError as error:
        name, why = problem(error)
        raise InputError(f"{OPTIONS.get(name, '--' + name.replace('_', '-'))}: {why}") from None
    for option, secret in (("--token", settings.token), ("--staff-code", settings.staff_code)):
        if secret is not None and not TOKEN.fullmatch(secret):
            raise InputError(f"{option}: give 16 to 200 of the characters A-Z a-z 0-9 . _ ~ -")
    if settings.token is None and not settings.loopback:
        raise InputError(
            f"--host {settings.host}: others can reach this address, so give --token-file too (a token has 16 "
            "characters or more), or stay on 127.0.0.1"
        )
    return settings


def problem(error: ValidationError) -> tuple[str, str]:
    """The first value that is wrong: its name and why."""
    first = error.errors(include_url=False)[0]
    name = ".".join(str(part) for part in first["loc"])
    if first["type"] == "extra_forbidden":
        return name, "there is no such setting; docs/studio.md lists them"
    return name, f"{first['input']!r:.80}: {first['msg']}"
