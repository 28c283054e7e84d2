"""A station in its own process, shared by tests, benchmark and screenshots."""

from __future__ import annotations

import json
import os
import queue
import signal
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

READY_SECONDS = 120


class Kiosk:
    """`edgedrag studio` on a free port; a context manager."""

    def __init__(self, state: Path, *options: str, program: tuple[str, ...] = ("-m", "edgedrag", "studio")):
        command = [sys.executable, *program, "--port", "0", "--state", str(state), *options]
        self.lines: list[dict[str, Any]] = []
        self._news: queue.Queue[dict[str, Any]] = queue.Queue()
        self.process = subprocess.Popen(command, stderr=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True)
        threading.Thread(target=self._read, daemon=True).start()
        try:
            self.port = self.wait_for("listening")["port"]
        except BaseException:
            self.kill()
            raise
        self.state = state
        self.url = f"http://127.0.0.1:{self.port}"

    def _read(self) -> None:
        assert self.process.stderr is not None
        for text in self.process.stderr:
            try:
                line = json.loads(text)
            except ValueError:
                line = {"event": text.strip()}
            self.lines.append(line)
            self._news.put(line)
        self._news.put({"event": "gone"})

    def wait_for(self, event: str, seconds: float = READY_SECONDS) -> dict[str, Any]:
        """The next log line of an event. Raises AssertionError if the process ends, queue.Empty on a timeout."""
        while True:
            line = self._news.get(timeout=seconds)
            if line["event"] == event:
                return line
            assert line["event"] != "gone", self.lines

    @property
    def staff(self) -> dict[str, str]:
        """The request header with the staff code."""
        return {"Authorization": f"Bearer {(self.state / 'staff-code').read_text().strip()}"}

    def kill(self) -> None:
        """End the process without warning, like a power failure."""
        os.kill(self.process.pid, signal.SIGKILL)
        self.process.wait()

    def __enter__(self) -> Kiosk:
        return self

    def __exit__(self, *_: object) -> None:
        if self.process.poll() is None:
            self.process.terminate()
            try:
                self.process.wait(timeout=20)
            except subprocess.TimeoutExpired:
                self.kill()
