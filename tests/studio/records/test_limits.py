"""Absolute limits, and the record by day."""

from __future__ import annotations

import time
from dataclasses import replace
from pathlib import Path

from edgedrag.studio.records.limits import FEWEST, HOUR, Watched
from edgedrag.studio.records.monitor import Entry, Monitor
from edgedrag.studio.settings import Limits

PLENTY, LITTLE = 1e6, 1.0  # MB
ENTRY = Entry(1.5, "bad", "missed seam", 12.5, 1, 2, 3, 4, 5, 6, 20, 1, 1, 600, 400, 0, "embedded", "cpu", "int8")


def names(watched: Watched, now: float = 0.0, free: float = PLENTY, memory: float = LITTLE) -> set[str]:
    return {each.name for each in watched.exceeded(now, free, memory)}


def test_a_station_that_was_always_bad_is_not_well() -> None:
    """The drift alarm says nothing of it: 76% before, 76% now."""
    watched = Watched(Limits())
    for number in range(1000):
        watched.edit("bad" if number % 25 < 19 else "good", 0.2)
    (found,) = watched.exceeded(0.0, PLENTY, LITTLE)
    assert (found.name, found.value, found.limit) == ("bad_share", 0.76, 0.4)


def test_few_edits_say_nothing_and_the_newest_count() -> None:
    watched = Watched(Limits(edit_seconds=1.0))
    for _ in range(FEWEST - 1):
        watched.edit("bad", 9.0)
    assert not names(watched)
    watched.edit("bad", 9.0)
    assert names(watched) == {"bad_share", "edit_seconds"}
    for _ in range(50):
        watched.edit("doubtful", 0.5)
    assert not names(watched)


def test_errors_disk_and_memory() -> None:
    watched = Watched(Limits(errors_per_hour=2))
    for at in (0.0, 10.0, 20.0):
        watched.error(at)
    watched.error(20.0)
    assert [(each.name, each.value) for each in watched.exceeded(30.0, PLENTY, LITTLE)] == [("errors_per_hour", 4)]
    assert not names(watched, HOUR + 11), "two are longer ago than an hour"
    assert names(watched, 9e9, free=100.0) == {"disk_free_mb"}
    assert names(watched, 9e9, memory=5000.0) == {"memory_mb"}
    assert names(Watched(Limits(errors_per_hour=0)), 9e9) == set()


def test_the_record_by_day(tmp_path: Path) -> None:
    monitor = Monitor(tmp_path / "monitor.sqlite")
    noon = time.mktime((2026, 1, 31, 12, 0, 0, 0, 0, -1))
    for hours, verdict, reasons, landing in (
        (-24, "good", "", 1.0),
        (0, "bad", "missed seam", 9.0),
        (1, "bad", "missed", None),
        (2, "good", "", 2.0),
    ):
        monitor.add(replace(ENTRY, at=noon + hours * HOUR, verdict=verdict, reasons=reasons, landing_error_px=landing))
    monitor.add_error("ValueError: x").result()  # today
    today, newest, before = monitor.days(9).result()
    assert (today.edits, today.errors, today.seconds) == (0, 1, None)
    assert (newest.date, newest.edits, newest.good, newest.bad, newest.errors) == ("2026-01-31", 3, 1, 2, 0)
    assert newest.reasons == {"missed": 2, "seam": 1} and newest.landing_error_px == 5.5 and newest.seconds == 0.021
    assert (before.date, before.edits) == ("2026-01-30", 1)
    assert [day.date for day in monitor.days(2).result()] == [today.date, "2026-01-31"]
    monitor.close()


def test_an_empty_record_has_no_days(tmp_path: Path) -> None:
    monitor = Monitor(tmp_path / "monitor.sqlite")
    assert monitor.days(9).result() == []
    monitor.close()
