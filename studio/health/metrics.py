"""The metrics that Prometheus reads at /metrics."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    ProcessCollector,
    disable_created_metrics,
    generate_latest,
)
from prometheus_client.exposition import CONTENT_TYPE_LATEST

CONTENT_TYPE = CONTENT_TYPE_LATEST
SECONDS = (0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 30)


class Metrics:
    """Counters and gauges of one station."""

    def __init__(self, waiting: Callable[[], float], sessions: Callable[[], float], turn: Callable[[], float]):
        """The arguments are called for the gauges whenever these are read."""
        disable_created_metrics()
        self._registry = CollectorRegistry()
        make: dict[str, Any] = {"registry": self._registry, "namespace": "edgedrag"}
        self.edits = Counter("edits", "Finished edits.", ["verdict"], **make)
        self.previews = Counter("previews", "Preview frames made.", **make)
        self.busy = Counter("busy", "Requests answered busy.", **make)
        self.cancelled = Counter("cancelled", "Edits cancelled before they were done.", **make)
        self.wiped = Counter("wiped_sessions", "Sessions wiped because nobody touched them.", **make)
        self.errors = Counter("errors", "Requests that failed through the station's fault.", **make)
        self.edit_seconds = Histogram("edit_seconds", "From request to result.", buckets=SECONDS, **make)
        self.preview_seconds = Histogram("preview_seconds", "From request to frame.", buckets=SECONDS, **make)
        self.drift_alarm = Gauge("drift_alarm", "1 while the share of bad verdicts is up.", **make)
        Gauge("queue_jobs", "Jobs in the queue, the running one included.", **make).set_function(waiting)
        Gauge("sessions", "Visitors' sessions.", **make).set_function(sessions)
        Gauge("engine_turn_seconds", "How long the engine's current step lasts.", **make).set_function(turn)
        ProcessCollector(registry=self._registry)

    def text(self) -> bytes:
        """The exposition."""
        return generate_latest(self._registry)
