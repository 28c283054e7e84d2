"""Spans: what ran, when, on which thread or device. Timings, trace files and profilers' ranges all come from them.

A span becomes an event of Chrome's trace event format (https://chromium.googlesource.com/catapult, "Trace Event
Format"), which Perfetto and chrome://tracing open. While nothing records, a span does nothing.
"""

from __future__ import annotations

import functools
import importlib
import importlib.util
import os
import threading
import time
from collections.abc import Callable, Iterable, Iterator, MutableMapping
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import Any, Protocol

Event = dict[str, Any]

# Above the largest thread id that Linux gives out (2^22), so that no thread shares the device's track.
DEVICE_TRACK = 2**22 + 1


class Sink(Protocol):
    """What spans go to, from any thread."""

    def begin(self) -> None:
        """A span begins on this thread."""
        ...

    def end(self, event: Event) -> None:
        """The span that began last on this thread is over."""
        ...

    def add(self, event: Event) -> None:
        """An event that is not on a thread's track."""
        ...


_sinks: tuple[Sink, ...] = ()
_lock = threading.Lock()


def attach(sink: Sink) -> None:
    """Let a sink get every span from now on."""
    global _sinks
    with _lock:
        _sinks = (*_sinks, sink)


def detach(sink: Sink) -> None:
    global _sinks
    with _lock:
        _sinks = tuple(s for s in _sinks if s is not sink)


def is_on() -> bool:
    """Whether anything records."""
    return bool(_sinks)


class Span:
    """A piece of work on one thread; use it in a `with` statement, several times if it goes on later."""

    __slots__ = ("_began", "_nvtx", "_recorded", "_sums", "args", "category", "name")

    def __init__(self, name: str, category: str, args: dict[str, Any], sums: MutableMapping[str, float] | None = None):
        self.name, self.category, self.args, self._sums = name, category, args, sums

    def __enter__(self) -> Span:
        self._recorded = _sinks
        self._nvtx = load_nvtx()
        for sink in self._recorded:
            sink.begin()
        if self._nvtx is not None:
            self._nvtx.push_range(self.name, domain="edgedrag", category=self.category)
        self._began = time.perf_counter_ns()
        return self

    def __exit__(self, *_: object) -> None:
        ended = time.perf_counter_ns()
        if self._nvtx is not None:
            self._nvtx.pop_range(domain="edgedrag")
        if self._sums is not None:
            self._sums[self.name] = self._sums.get(self.name, 0.0) + (ended - self._began) / 1e6
        if self._recorded:
            event = complete(self.name, self.category, self._began, ended, threading.get_native_id(), self.args)
            for sink in self._recorded:
                sink.end(event)


_OFF: AbstractContextManager[None] = nullcontext()


def span(name: str, category: str, **args: Any) -> AbstractContextManager[Any]:
    """Record the work inside a `with` statement, where anything records.

    Args:
        category: "stage", "graph", "step", "copy", "composite", "check", "encode" and the like.
        args: shown with the span; nothing that a person brought.
    """
    return Span(name, category, args) if _sinks or load_nvtx() is not None else _OFF


def timed(sums: MutableMapping[str, float], name: str, category: str, **args: Any) -> Span:
    """Like `span`, and measured even where nothing records: its milliseconds are added to `sums[name]`."""
    return Span(name, category, args, sums)


@contextmanager
def _waited_for(name: str, category: str, wait: Callable[[], None]) -> Iterator[None]:
    wait()
    began = time.perf_counter_ns()
    yield
    wait()
    event = complete(name, category, began, time.perf_counter_ns(), DEVICE_TRACK, {})
    for sink in _sinks:
        sink.add(event)


def on_device(name: str, category: str, wait: Callable[[], None]) -> AbstractContextManager[None]:
    """Record work that is put on a device's stream, on the device's track.

    While something records, the stream is empty when it begins and when it ends: the span is all of the device's time,
    and the wait of the host is in the host's span.

    Args:
        wait: returns when the stream is empty.
    """
    return _waited_for(name, category, wait) if _sinks else _OFF


def waited(name: str, category: str, began: int, **args: Any) -> None:
    """Record a wait that began at `began` (`time.perf_counter_ns`) and ends now; such waits may overlap.

    They are asynchronous events, each on a track of its own.
    """
    if not _sinks:
        return
    ended = time.perf_counter_ns()
    shared = {"name": name, "cat": category, "id": f"{began:x}", "pid": os.getpid(), "tid": threading.get_native_id()}
    for sink in _sinks:
        sink.add({**shared, "ph": "b", "ts": began / 1e3, "args": args})
        sink.add({**shared, "ph": "e", "ts": ended / 1e3})


def complete(name: str, category: str, began: int, ended: int, track: int, args: dict[str, Any]) -> Event:
    """A complete event, "X"; times in nanoseconds, in the event in microseconds."""
    return {
        "name": name,
        "cat": category,
        "ph": "X",
        "ts": began / 1e3,
        "dur": (ended - began) / 1e3,
        "pid": os.getpid(),
        "tid": track,
        "args": args,
    }


def forward(events: Iterable[Event], process: str) -> None:
    """Hand on what another process recorded.

    Args:
        process: its name.
    """
    listed = list(events)
    names = [process_name(pid, process) for pid in sorted({event["pid"] for event in listed})]
    for sink in _sinks:
        for event in (*names, *listed):
            sink.add(event)


def process_name(pid: int, name: str) -> Event:
    """The metadata event that names a process."""
    return {"name": "process_name", "ph": "M", "pid": pid, "tid": pid, "args": {"name": name}}


def track_name(track: int, thread: str) -> Event:
    """The metadata event that names a thread's track, or the device's."""
    name = "device" if track == DEVICE_TRACK else thread
    return {"name": "thread_name", "ph": "M", "pid": os.getpid(), "tid": track, "args": {"name": name}}


class Recorded:
    """A sink that keeps events in memory, in the order in which they ended: `events`."""

    def __init__(self) -> None:
        self.events: list[Event] = []

    def begin(self) -> None: ...

    def end(self, event: Event) -> None:
        self.events.append(event)

    add = end


@contextmanager
def recording() -> Iterator[list[Event]]:
    """The events of the work inside a `with` statement."""
    sink = Recorded()
    attach(sink)
    try:
        yield sink.events
    finally:
        detach(sink)


@functools.cache
def load_nvtx() -> Any:
    """NVIDIA's ranges, for Nsight; None where `nvtx` is not installed or does not load."""
    found = importlib.util.find_spec("nvtx")
    if found is None or found.origin is None:  # no origin: a folder of that name, not the package
        return None
    try:
        return importlib.import_module("nvtx")
    except (ImportError, OSError):
        return None
