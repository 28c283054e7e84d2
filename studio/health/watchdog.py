"""Restarts a station whose engine hangs, and tells systemd that all is well while it is."""

from __future__ import annotations

import logging
import os
import socket
import sys
import threading
import time
from collections.abc import Callable

from edgedrag.studio.editing.worker import Engine
from edgedrag.studio.health.logs import log

CHECK_SECONDS = 1.0


def notify(state: str) -> None:
    """Tell systemd ("READY=1", "WATCHDOG=1"); nothing where it did not start us."""
    address = os.environ.get("NOTIFY_SOCKET")
    if not address:
        return
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as to:
        try:
            to.sendto(state.encode(), "\0" + address[1:] if address.startswith("@") else address)
        except OSError as error:
            log("systemd cannot be told", logging.WARNING, reason=str(error))


def restart() -> None:
    """Begin this process anew, in place: whatever hangs in it, in Python or native code, is gone."""
    sys.stderr.flush()
    os.execv(sys.executable, sys.orig_argv if os.path.isabs(sys.orig_argv[0]) else [sys.executable, *sys.orig_argv[1:]])


def watch(engine: Engine, hang_seconds: float, give_up: Callable[[], None] = restart) -> threading.Thread:
    """Watch an engine from a thread of its own; `give_up` is called where a step lasts too long."""

    def run() -> None:
        while engine.turn_seconds < hang_seconds:
            notify("WATCHDOG=1")
            time.sleep(min(CHECK_SECONDS, hang_seconds / 4))
        log("the engine hangs; restarting", logging.ERROR, seconds=round(engine.turn_seconds, 1))
        give_up()

    thread = threading.Thread(target=run, name="watchdog", daemon=True)
    thread.start()
    return thread
