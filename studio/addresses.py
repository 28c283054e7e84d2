"""The addresses to open, printed when the station listens."""

from __future__ import annotations

import ipaddress
import socket
import sys
from contextlib import suppress

from edgedrag.studio.settings import Settings

ELSEWHERE = {4: "192.0.2.1", 6: "2001:db8::1"}  # of the ranges for documentation (RFC 5737, RFC 3849)


def print_addresses(settings: Settings, port: int) -> None:
    """On stdout: the visitors' page and the staff's; with the token on a terminal alone, as others read logs."""
    page = f"http://{_reachable(settings.host)}:{port}{settings.root_path}/"
    shown = f"#token={settings.token}" if settings.token is not None and sys.stdout.isatty() else ""
    code = settings.state / "staff-code"
    where = f"the code is in {code}" if code.exists() else "the code is the one that was set"
    with suppress(OSError, ValueError):  # nobody reads it
        print(f"visitors: {page}{shown}\nstaff: {page}staff ({where})", flush=True)


def _reachable(host: str) -> str:
    """The host of a link: for "all addresses", the one by which this device reaches others."""
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return host
    if address.is_unspecified:
        address = ipaddress.ip_address(_own_address(address.version))
    return f"[{address}]" if address.version == 6 else str(address)


def _own_address(version: int) -> str:
    family = socket.AF_INET6 if version == 6 else socket.AF_INET
    with suppress(OSError), socket.socket(family, socket.SOCK_DGRAM) as towards:
        towards.connect((ELSEWHERE[version], 9))  # of a datagram socket this sends nothing
        return str(towards.getsockname()[0])
    return "::1" if version == 6 else "127.0.0.1"
