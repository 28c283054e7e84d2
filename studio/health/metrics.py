"""The metrics that Prometheus reads at /metrics, named by its conventions: base units, _total for counters."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, get_args

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    ProcessCollector,
    disable_created_metrics,
)
from prometheus_client.exposition import CONTENT_TYPE_LATEST

from edgedrag.runtime.drag.checks import Verdict
from edgedrag.studio.settings import Limits

CONTENT_TYPE = CONTENT_TYPE_LATEST
SECONDS = (0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 30)
PIXELS = (1, 2, 4, 8, 16, 32, 64)
BUILD_LABELS = ("station", "version", "bundle", "release", "backend", "precision")


class Metrics:
    """Counters and gauges of one station."""

    def __init__(self, waiting: Callable[[], float], sessions: Callable[[], float], turn: Callable[[], float]):
        """The arguments are called for the gauges whenever these are read."""
        disable_created_metrics()
        self._registry = CollectorRegistry()
        make: dict[str, Any] = {"registry": self._registry, "namespace": "edgedrag"}
        self.edits = Counter("edits_total", "Finished edits.", ["verdict"], **make)
        for verdict in get_args(Verdict):
            self.edits.labels(verdict)  # there from the start, so that shares of them can be asked for
        self.reasons = Counter("edit_reasons_total", "Why edits were doubtful or bad.", ["reason"], **make)
        self.previews = Counter("previews_total", "Preview frames made.", **make)
        self.busy = Counter("busy_answers_total", "Requests answered busy.", **make)
        self.cancelled = Counter("edits_cancelled_total", "Edits cancelled before they were done.", **make)
        self.wiped = Counter("sessions_wiped_total", "Sessions wiped because nobody touched them.", **make)
        self.errors = Counter("errors_total", "Requests that failed through the station's fault.", **make)
        self.edit_seconds = Histogram("edit_duration_seconds", "From request to result.", buckets=SECONDS, **make)
        self.preview_seconds = Histogram("preview_duration_seconds", "From request to frame.", buckets=SECONDS, **make)
        self.landing_error = Histogram(
            "edit_landing_error_pixels", "How far the content lies from its target.", buckets=PIXELS, **make
        )
        self.drift_alarm = Gauge("drift_alarm", "1 while the share of bad verdicts is up.", **make)
        self._bad_share = Gauge("recent_edits_bad_ratio", "Share of bad verdicts among the newest 50 edits.", **make)
        self._exceeded = Gauge("limit_exceeded", "1 while a figure is beyond its limit.", ["limit"], **make)
        self._free = Gauge("state_free_bytes", "Free space of the state folder.", **make)
        self._build = Gauge("build_info", "What runs here.", BUILD_LABELS, **make)
        Gauge("queue_jobs", "Jobs in the queue, the running one included.", **make).set_function(waiting)
        Gauge("sessions", "Visitors' sessions.", **make).set_function(sessions)
        Gauge("engine_turn_seconds", "How long the engine's current step lasts.", **make).set_function(turn)
        ProcessCollector(registry=self._registry)

    def describe(self, **labels: str) -> None:
        """What runs here from now on, by BUILD_LABELS; other metrics are joined with it by their instance."""
        self._build.clear()
        self._build.labels(**labels).set(1)

    def refreshed(self, exceeded: set[str], bad_share: float, disk_free_mb: float) -> CollectorRegistry:
        """All metrics as they are now.

        Args:
            exceeded: names of the limits that are exceeded now.
            bad_share: of the newest edits; 0 is written where it is not a number.
        """
        for name in Limits.model_fields:
            self._exceeded.labels(name).set(name in exceeded)
        self._bad_share.set(0 if math.isnan(bad_share) else bad_share)
        self._free.set(disk_free_mb * 1e6)
        return self._registry
