"""Restarts a station whose worker hangs, and sends systemd its watchdog messages while it does not."""

from __future__ import annotations

import logging
import os
import socket
import sys
import threading
import time
from collections.abc import Callable

from edgedrag.studio.editing.worker import Worker
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
            log("systemd cannot be notified", logging.WARNING, reason=str(error))


def restart() -> None:
    """Replace this process by a new one of the same command, which also ends hung native code."""
    sys.stderr.flush()
    os.execv(sys.executable, sys.orig_argv if os.path.isabs(sys.orig_argv[0]) else [sys.executable, *sys.orig_argv[1:]])


def watch(worker: Worker, hang_seconds: float, give_up: Callable[[], None] = restart) -> threading.Thread:
    """Watch a worker from a thread of its own; `give_up` is called where a turn lasts too long."""

    def run() -> None:
        while worker.turn_seconds < hang_seconds:
            notify("WATCHDOG=1")
            time.sleep(min(CHECK_SECONDS, hang_seconds / 4))
        log("the engine hangs; restarting", logging.ERROR, seconds=round(worker.turn_seconds, 1))
        give_up()

    thread = threading.Thread(target=run, name="watchdog", daemon=True)
    thread.start()
    return thread
