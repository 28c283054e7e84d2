"""A trace file: spans as they happen, in Chrome's trace event format, its form of an array.

What a thread did is written when its outermost span ends, so memory does not grow, and nothing is written within a
span. The format lets the closing bracket be missing: the file can be opened at any time, and after a crash.
"""

from __future__ import annotations

import json
import os
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from edgedrag.runtime import trace
from edgedrag.runtime.errors import EdgedragError, InputError
from edgedrag.runtime.files import check_file
from edgedrag.runtime.trace import Event

LIMIT_BYTES = 512 * 2**20  # of a file; what comes later is left out, and viewers open no more than a few times that


class TraceFile:
    """A sink, see `trace.Sink`, that writes a file.

    Attributes:
        fault: why the file could not be written to its end; None while all is well.
    """

    def __init__(self, file: Path, process: str, warn: Callable[[str], None] = lambda text: None):
        """Open a file in the place of what is there.

        Args:
            process: its name in the trace.
            warn: called once where the file cannot be written any more.

        Raises:
            InputError: the folder is not there, not writable or full; nothing is left behind.
        """
        check_file(file)
        self.file, self._warn = file, warn
        self.fault: str | None = None
        self._lock = threading.Lock()
        self._depth = threading.local()
        self.pending: list[Event] = []
        self._named: set[tuple[int, int]] = set()  # tracks, by process and thread
        self._bytes = 0
        try:
            if file.is_file() and _first_byte(file) not in (b"", b"["):
                raise InputError(f"{file}: is there, and is no trace; name another file")
            # Unbuffered: what was written is in the system's hands, whatever becomes of this process.
            self._out = open(file, "wb", buffering=0)
        except OSError as error:
            raise InputError(f"{file}: the trace cannot be written ({error.strerror})") from None
        self._write(b"[\n" + json.dumps(trace.process_name(os.getpid(), process)).encode())
        if self.fault is not None:
            raise InputError(self.fault)

    def begin(self) -> None:
        self._depth.value = getattr(self._depth, "value", 0) + 1

    def end(self, event: Event) -> None:
        self._depth.value -= 1
        with self._lock:
            self._take(event, threading.current_thread().name)
            if self._depth.value == 0:
                self._flush()

    def add(self, event: Event) -> None:
        with self._lock:
            self._take(event, threading.current_thread().name)
            if not getattr(self._depth, "value", 0):
                self._flush()

    def close(self) -> None:
        """Write what is left and the closing bracket; the file is whole then, or gone where it could not be written."""
        with self._lock:
            if self._out.closed:
                return
            self._flush()
            self._write(b"\n]\n")
            self._out.close()

    def remove(self) -> None:
        """Close and delete the file, if it is one: not a device."""
        self._out.close()
        if self.file.is_file():
            with suppress(OSError):
                self.file.unlink()

    def _take(self, event: Event, thread: str) -> None:
        track = (event["pid"], event["tid"])
        if track not in self._named:
            self._named.add(track)
            self.pending.append({**trace.track_name(event["tid"], thread), "pid": event["pid"]})
        self.pending.append(event)

    def _flush(self) -> None:
        lines = b"".join(b",\n" + json.dumps(event).encode() for event in self.pending)
        self.pending.clear()
        if self._bytes < LIMIT_BYTES:
            self._write(lines)

    def _write(self, data: bytes) -> None:
        if self._out.closed:
            return
        try:
            view = memoryview(data)
            while view:
                view = view[self._out.write(view) :]
            self._bytes += len(data)
        except OSError as error:
            self.fault = f"{self.file}: the trace cannot be written ({error.strerror})"
            self.remove()
            self._warn(self.fault)


def _first_byte(file: Path) -> bytes:
    with file.open("rb") as opened:
        return opened.read(1)


@contextmanager
def tracing(
    file: Path | None, process: str, warn: Callable[[str], None] = lambda text: None
) -> Iterator[Callable[[], None]]:
    """Record what happens inside a `with` statement to a file; nothing where it is None.

    It gives a function that ends the recording early, where a signal is about to end the process. An interrupted
    recording is whole up to there; of work that failed there is no trace.

    Raises:
        InputError: the file cannot be written: before the work begins, or when it is done.
    """
    if file is None:
        yield lambda: None
        return
    sink = TraceFile(file, process, warn)
    trace.attach(sink)
    try:
        yield sink.close
    except EdgedragError:
        trace.detach(sink)
        sink.remove()
        raise
    except BaseException:
        trace.detach(sink)
        sink.close()
        raise
    trace.detach(sink)
    sink.close()
    if sink.fault is not None:
        raise InputError(f"{sink.fault}; the results are complete")
