"""What a station writes down, when it raises the alarm, and what staff may keep."""

from __future__ import annotations

import csv
import io
from pathlib import Path

import numpy as np
import pytest

import edgedrag
from edgedrag.runtime.drag.reasons import Reason, ReasonCode
from edgedrag.runtime.session.jobs import Job, read_jobs, run_job
from edgedrag.studio.records.drift import drift
from edgedrag.studio.records.monitor import Entry, Monitor
from edgedrag.studio.records.review import MAX_HELD, Review

ENTRY = Entry(1.5, "bad", "missed seam", 12.5, 1, 2, 3, 4, 5, 6, 20, 1, 1, 600, 400, 0, "embedded", "cpu", "int8")
DRAG = [((265.0, 240.0), (245.0, 250.0))]


def test_the_record_comes_back_and_goes_out_as_csv(tmp_path: Path) -> None:
    monitor = Monitor(tmp_path / "monitor.sqlite")
    monitor.add(ENTRY)
    monitor.add_error("ValueError: broken")
    assert monitor.verdicts(10).result() == ["bad"]
    rows = list(csv.DictReader(io.StringIO(monitor.as_csv().result())))
    assert rows[0]["landing_error_px"] == "12.5" and rows[0]["reasons"] == "missed seam"
    monitor.close()
    again = Monitor(tmp_path / "monitor.sqlite")
    assert again.edits(10).result()[0]["total_ms"] == 20 and again.errors().result()[0]["what"] == "ValueError: broken"
    again.close()


@pytest.mark.parametrize("damage", [b"no database at all" * 100, b""])
def test_a_damaged_record_is_put_aside(tmp_path: Path, damage: bytes) -> None:
    file = tmp_path / "monitor.sqlite"
    file.write_bytes(damage)
    monitor = Monitor(file)
    monitor.add(ENTRY)
    assert len(monitor.edits(10).result()) == 1
    monitor.close()
    assert (tmp_path / "monitor.damaged").exists() == bool(damage)


def test_the_alarm_is_for_rises_that_chance_does_not_explain() -> None:
    steady = ["bad", *["good"] * 9] * 30
    assert not drift(steady).alarm and drift(steady).recent_share == 0.1
    assert drift([*steady, *["bad"] * 25, *["good"] * 25]).alarm
    assert not drift([*steady, *["bad"] * 8, *["good"] * 42]).alarm, "16% after 10% may be chance"
    assert not drift(["bad"] * 90).alarm, "always bad is no rise"
    assert drift([]).recent_share is None and not drift(["bad"] * 60).alarm


def test_bad_edits_are_held_only_when_staff_want_and_written_only_when_they_choose(
    tmp_path: Path, cat: np.ndarray, runtime: edgedrag.Runtime
) -> None:
    mask = np.zeros(cat.shape[:2], bool)
    mask[200:280, 210:290] = True
    review = Review(tmp_path / "kept")
    review.offer(cat, cat, mask, DRAG, 3, (Reason(ReasonCode.MISSED, {"pixels": 12}),))
    assert not review.held(), "pixels are off"
    review.turn_pixels(True)
    for _ in range(MAX_HELD + 3):
        review.offer(cat, cat[::-1], mask, DRAG, 3, (Reason(ReasonCode.MISSED, {"pixels": 12}),))
    assert len(review.held()) == MAX_HELD and not list(tmp_path.rglob("*.png"))
    names = [edit.name for edit in review.held()[:2]]
    jobs, _ = (review.keep(name) for name in names)
    assert review.kept() == 2 and len(review.held()) == MAX_HELD - 2
    listed = list(read_jobs(jobs, tmp_path, None, 0, 100))
    assert [name for name, _ in listed] == names
    job = listed[0][1]
    assert isinstance(job, Job) and job.seed == 3 and np.array_equal(edgedrag.load_picture(job.photo).pixels, cat)
    assert run_job(runtime, job)["outside_exact"]
    review.turn_pixels(False)
    assert not review.held()
