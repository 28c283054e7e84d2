"""Where each edit is recorded: the local record, the metrics, the log, the drift alarm, bad edits for review."""

from __future__ import annotations

import logging
import shutil
import time
from collections import deque
from collections.abc import Callable
from dataclasses import asdict

from prometheus_client import CollectorRegistry, generate_latest

import edgedrag
from edgedrag.runtime.releases.install import release_name
from edgedrag.runtime.session.runtime import Runtime
from edgedrag.studio.editing.sessions import EditParameters, FinishedEdit, Session
from edgedrag.studio.health.logs import log, short
from edgedrag.studio.health.memory import resident_mb
from edgedrag.studio.health.metrics import Metrics
from edgedrag.studio.records.drift import BEFORE, RECENT, Drift, drift
from edgedrag.studio.records.limits import Exceeded, Watched
from edgedrag.studio.records.monitor import MAX_ERRORS, Entry, Monitor
from edgedrag.studio.records.review import Review
from edgedrag.studio.settings import Settings


class Records:
    """The station's records; used by the event loop's thread."""

    def __init__(self, runtime: Callable[[], Runtime], settings: Settings, metrics: Metrics):
        """`runtime` gives what serves now."""
        self._folder, self._station = settings.state, settings.station_name
        self.monitor = Monitor(self._folder / "monitor.sqlite")
        self.review = Review(self._folder / "kept")
        self._runtime, self._metrics = runtime, metrics
        self._described: Runtime | None = None
        self._verdicts = deque(self.monitor.verdicts(RECENT + BEFORE).result(), maxlen=RECENT + BEFORE)
        self.drift: Drift = drift(self._verdicts)
        metrics.drift_alarm.set(self.drift.alarm)
        self.watched = Watched(settings.limits)
        for edit in reversed(self.monitor.edits(RECENT).result()):
            self.watched.edit(edit["verdict"], (edit["wait_ms"] + edit["total_ms"]) / 1e3)
        for error in reversed(self.monitor.errors(MAX_ERRORS).result()):
            self.watched.error(error["at"])

    @property
    def disk_free_mb(self) -> float:
        """Free space of the state folder."""
        return shutil.disk_usage(self._folder).free / 1e6

    def exceeded(self) -> list[Exceeded]:
        """The limits that are exceeded now."""
        return self.watched.exceeded(time.time(), self.disk_free_mb, resident_mb())

    def metrics_text(self) -> bytes:
        """For Prometheus."""
        return generate_latest(self.metrics_now())

    def metrics_now(self) -> CollectorRegistry:
        """All metrics as they are now, with the bundle that serves now."""
        runtime = self._runtime()
        if runtime is not self._described:
            self._metrics.describe(
                station=self._station,
                version=edgedrag.__version__,
                bundle=runtime.bundle.name,
                release=release_name(runtime.bundle),
                backend=runtime.backend.name,
                precision=runtime.precision,
            )
            self._described = runtime
        names = {each.name for each in self.exceeded()}
        return self._metrics.refreshed(names, self.watched.bad_share, self.disk_free_mb)

    def write(self, session: Session, parameters: EditParameters, edited: FinishedEdit, seconds: float) -> None:
        """Record an edit; `seconds` from request to result."""
        edit, runtime = edited.edit, session.runtime or self._runtime()
        height, width = edited.before.shape[:2]
        entry = Entry(
            at=round(time.time(), 3),
            verdict=edit.checks.verdict,
            reasons=" ".join(reason.code.value for reason in edit.checks.reasons),
            landing_error_px=edit.checks.landing_error_px,
            wait_ms=round(max(seconds * 1e3 - edit.timings["total"], 0.0), 2),
            reference_ms=edit.timings["reference"],
            drag_ms=edit.timings["drag"],
            denoise_ms=edit.timings["denoise"],
            decode_ms=edit.timings["decode"],
            composite_ms=edit.timings["composite"],
            total_ms=edit.timings["total"],
            steps=edit.steps,
            drags=len(parameters.drags),
            width=width,
            height=height,
            own_mask=int(edited.painted),
            bundle=runtime.bundle.name,
            backend=edit.backend,
            precision=edit.precision,
        )
        self.monitor.add(entry)
        self._metrics.edits.labels(entry.verdict).inc()
        self._metrics.edit_seconds.observe(seconds)
        for code in entry.reasons.split():
            self._metrics.reasons.labels(code).inc()
        if entry.landing_error_px is not None:
            self._metrics.landing_error.observe(entry.landing_error_px)
        log("edit", session=short(session.id), verdict=entry.verdict, reasons=entry.reasons, ms=entry.total_ms)
        if entry.verdict == "bad":
            self.review.offer(
                edited.before, edit.image, edit.mask, parameters.drags, parameters.seed, edit.checks.reasons
            )
        before = {each.name for each in self.exceeded()}
        self.watched.edit(entry.verdict, seconds)
        for each in self.exceeded():
            if each.name not in before:
                log("a limit is exceeded", logging.WARNING, **asdict(each))
        self._watch(entry.verdict)

    def failed(self, what: str) -> None:
        """Record an error of the station."""
        self._metrics.errors.inc()
        self.watched.error(time.time())
        self.monitor.add_error(what)

    def _watch(self, verdict: str) -> None:
        self._verdicts.append(verdict)
        was, self.drift = self.drift, drift(self._verdicts)
        self._metrics.drift_alarm.set(self.drift.alarm)
        if self.drift.alarm and not was.alarm:
            shares = {"recent_share": self.drift.recent_share, "before_share": self.drift.before_share}
            log("bad verdicts are on the rise", logging.WARNING, **shares)
