"""Where each edit is recorded: the local record, the metrics, the log, the drift alarm, bad edits for review."""

from __future__ import annotations

import logging
import time
from collections import deque
from pathlib import Path

from edgedrag.runtime.session.runtime import Runtime
from edgedrag.studio.editing.sessions import EditParameters, FinishedEdit, Session
from edgedrag.studio.health.logs import log, short
from edgedrag.studio.health.metrics import Metrics
from edgedrag.studio.records.drift import BEFORE, RECENT, Drift, drift
from edgedrag.studio.records.monitor import Entry, Monitor
from edgedrag.studio.records.review import Review


class Records:
    """The station's records; used by the event loop's thread."""

    def __init__(self, runtime: Runtime, folder: Path, metrics: Metrics):
        self.monitor = Monitor(folder / "monitor.sqlite")
        self.review = Review(folder / "kept")
        self._runtime, self._metrics = runtime, metrics
        self._verdicts = deque(self.monitor.verdicts(RECENT + BEFORE).result(), maxlen=RECENT + BEFORE)
        self.drift: Drift = drift(self._verdicts)
        metrics.drift_alarm.set(self.drift.alarm)

    def write(self, session: Session, parameters: EditParameters, edited: FinishedEdit, seconds: float) -> None:
        """Record an edit; `seconds` from request to result."""
        edit, runtime = edited.edit, session.runtime or self._runtime
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
        log("edit", session=short(session.id), verdict=entry.verdict, reasons=entry.reasons, ms=entry.total_ms)
        if entry.verdict == "bad":
            self.review.offer(
                edited.before, edit.image, edit.mask, parameters.drags, parameters.seed, edit.checks.reasons
            )
        self._watch(entry.verdict)

    def failed(self, what: str) -> None:
        """Record an error of the station."""
        self._metrics.errors.inc()
        self.monitor.add_error(what)

    def _watch(self, verdict: str) -> None:
        self._verdicts.append(verdict)
        was, self.drift = self.drift, drift(self._verdicts)
        self._metrics.drift_alarm.set(self.drift.alarm)
        if self.drift.alarm and not was.alarm:
            shares = {"recent_share": self.drift.recent_share, "before_share": self.drift.before_share}
            log("bad verdicts are on the rise", logging.WARNING, **shares)
