"""The record by day: edits, verdicts, the most frequent reasons, times, errors."""

from __future__ import annotations

import sqlite3
from collections import Counter, defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field
from statistics import median

MOST_FREQUENT = 3  # reasons


@dataclass
class Day:
    """A day in the station's own time zone, as 2026-01-31. Times in seconds, landing errors in pixels, medians."""

    date: str
    edits: int = 0
    good: int = 0
    doubtful: int = 0
    bad: int = 0
    reasons: dict[str, int] = field(default_factory=dict)  # how often each of the most frequent was given, by code
    seconds: float | None = None
    landing_error_px: float | None = None
    errors: int = 0


def days(database: sqlite3.Connection, count: int) -> list[Day]:
    """The newest days that have an edit or an error, the newest first."""
    day = "date(at, 'unixepoch', 'localtime')"
    newest = f"SELECT {day} AS day FROM edits UNION SELECT {day} FROM errors ORDER BY day DESC LIMIT ?"
    found = {name: Day(name) for (name,) in database.execute(newest, (count,)) if name is not None}
    if not found:
        return []
    first = (min(found),)
    rows = defaultdict(list)
    columns = "verdict, reasons, (wait_ms + total_ms) / 1000, landing_error_px"
    for name, *row in database.execute(f"SELECT {day}, {columns} FROM edits WHERE {day} >= ?", first):
        rows[name].append(row)
    for name, edits in rows.items():
        _sum_up(found[name], edits)
    for name, errors in database.execute(f"SELECT {day}, count(*) FROM errors WHERE {day} >= ? GROUP BY 1", first):
        found[name].errors = errors
    return list(found.values())


def _sum_up(day: Day, edits: list[list]) -> None:
    verdicts, reasons, seconds, landing = zip(*edits)
    counts = Counter(verdicts)
    day.edits, day.good, day.doubtful, day.bad = len(edits), counts["good"], counts["doubtful"], counts["bad"]
    day.reasons = dict(Counter(code for codes in reasons for code in (codes or "").split()).most_common(MOST_FREQUENT))
    day.seconds, day.landing_error_px = _median(seconds), _median(landing)


def _median(values: Iterable[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return round(median(known), 3) if known else None
