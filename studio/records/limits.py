"""Absolute limits: what is wrong now, however long it has been so. The drift alarm sees changes alone."""

from __future__ import annotations

import math
from collections import deque
from dataclasses import dataclass
from statistics import median

from edgedrag.studio.records.drift import RECENT
from edgedrag.studio.settings import Limits

FEWEST = 20  # edits, before anything is said about them
HOUR = 3600.0
MOST_ERRORS = 1000  # that are counted


@dataclass(frozen=True)
class Exceeded:
    """A limit by the name of its setting, the figure that is beyond it, and the limit."""

    name: str
    value: float
    limit: float


class Watched:
    """The newest edits and errors, and what the limits say of them."""

    def __init__(self, limits: Limits):
        self.limits = limits
        self._edits: deque[tuple[bool, float]] = deque(maxlen=RECENT)  # whether bad; seconds
        self._errors: deque[float] = deque(maxlen=max(MOST_ERRORS, limits.errors_per_hour + 1))  # Unix seconds

    def edit(self, verdict: str, seconds: float) -> None:
        """Note an edit; `seconds` from request to result."""
        self._edits.append((verdict == "bad", seconds))

    def error(self, at: float) -> None:
        """Note an error, at a Unix time."""
        self._errors.append(at)

    @property
    def bad_share(self) -> float:
        """Of the newest edits; not a number where there are none."""
        return sum(bad for bad, _ in self._edits) / len(self._edits) if self._edits else math.nan

    def exceeded(self, now: float, disk_free_mb: float, memory_mb: float) -> list[Exceeded]:
        """What is beyond its limit."""
        figures: dict[str, float] = {
            "errors_per_hour": sum(now - at < HOUR for at in self._errors),
            "memory_mb": memory_mb,
        }
        if len(self._edits) >= FEWEST:
            figures["bad_share"] = round(self.bad_share, 4)
            figures["edit_seconds"] = round(median(seconds for _, seconds in self._edits), 3)
        limits = dict(self.limits)
        found = [Exceeded(name, value, limits[name]) for name, value in figures.items() if value > limits[name]]
        if disk_free_mb < self.limits.disk_free_mb:
            found.append(Exceeded("disk_free_mb", round(disk_free_mb), self.limits.disk_free_mb))
        return found
