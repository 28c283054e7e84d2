"""A busy machine is said first, small samples have no median, and `ab` says what a difference of 5% would take."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from edgedrag.benchmarks.latency import compare
from edgedrag.benchmarks.latency.early_stopping import fewest_queries, median
from edgedrag.benchmarks.latency.machine_load import MachineLoad, cpu_times, first_line, is_busy
from edgedrag.benchmarks.latency.report import as_html, as_text
from edgedrag.benchmarks.latency.series import figures


def written(root: Path, user: int, idle: int, stolen: int, mhz: float) -> None:
    """A system that has run for so many ticks."""
    (root / "proc").mkdir(exist_ok=True)
    (root / "proc" / "stat").write_text(f"cpu  {user} 0 0 {idle} 0 0 0 {stolen} 0 0\ncpu0 1 2 3\n")
    (root / "proc" / "cpuinfo").write_text(f"cpu MHz\t\t: {mhz}\n")


def test_shares_are_those_of_others(tmp_path: Path) -> None:
    written(tmp_path, 1000, 1000, 0, 2000.0)
    machine = MachineLoad(tmp_path)
    machine.sample()
    written(tmp_path, 1000 + 600_000, 1000 + 300_000, 100_000, 2500.0)
    machine.sample()
    found = machine.summary()
    assert found["others_share"] == pytest.approx(0.6, abs=0.01), "hardly any of it was this process"
    assert found["stolen_share"] == pytest.approx(0.1) and found["clock_drift"] == pytest.approx(0.25)
    assert found["busy"]
    line = first_line(found)
    assert line is not None and "60%" in line and "10% was stolen" in line and "drifted by 25%" in line


def test_a_system_without_these_files_is_not_called_busy_or_quiet(tmp_path: Path) -> None:
    assert cpu_times(tmp_path) is None
    assert is_busy(None, 2, None, None, None) is None and first_line(None) is None


@pytest.mark.parametrize(
    ("known", "busy"),
    [((0.4, 2, 0.02, 0.0, 0.01), False), ((1.5, 2, 0.0, 0.0, 0.0), True), ((0.1, 2, 0.2, 0.0, 0.0), True),
     ((0.1, 2, 0.0, 0.2, 0.0), True), ((0.1, 2, 0.0, 0.0, 0.2), True), ((None, 2, None, 0.0, None), False)],
)  # fmt: skip
def test_any_of_them_above_its_limit_is_busy(known: Any, busy: bool) -> None:
    assert is_busy(*known) is busy


def test_a_busy_machine_is_the_first_line() -> None:
    machine = {"load_before": 14.0, "cpus": 2, "others_share": 0.8, "stolen_share": 0.0, "clock_drift": None}
    report = {
        "complete": True, "context": None, "runs": [], "cold_start": {"n": 0}, "peers": None, "scenario": "x",
        "memory": {}, "machine": {**machine, "busy": True},
    }  # fmt: skip
    assert as_text([report]).splitlines()[0].startswith("BUSY MACHINE: load 14 on 2 CPUs")
    assert "BUSY MACHINE" in as_html([report]).partition("<h2>")[0]
    quiet = {**report, "machine": {**machine, "busy": False}}
    assert "BUSY" not in as_text([quiet])
    both = as_text([quiet, report])
    assert both.splitlines()[0].count("BUSY") == 1 and "None" in both.splitlines()[0], "it says which report"


def test_a_median_needs_as_many_queries_as_its_percentile() -> None:
    least = fewest_queries(50)
    assert median([1.0] * (least - 1)) is None and median([1.0] * least) == 1.0
    few = figures([[1.0, 2.0, 3.0], [2.0] * 6])
    assert few["n"] == 9 and few["median_ms"] is None and few["percentiles"]["p50"]["ms"] is None
    many = figures([[1.0] * least])
    assert many["median_ms"] == many["percentiles"]["p50"]["ms"] == 1.0


def row(low: float, high: float) -> dict[str, Any]:
    return {
        "size": "512x512", "steps": 1, "kind": "drag", "n": [9, 9], "median_ms": [None, None], "ratio": 1.0,
        "interval": [low, high], "verdict": "no difference shown", "reason": None,
    }  # fmt: skip


def test_ab_says_what_a_difference_of_5_percent_takes() -> None:
    assert compare.seconds_for([row(1 / 1.05, 1.05)], 20.0) == pytest.approx(20.0, abs=0.1)
    assert compare.seconds_for([row(1 / 1.1025, 1.1025)], 20.0) == pytest.approx(80.0, abs=0.3)
    assert compare.seconds_for([{**row(1, 1), "interval": None}], 20.0) is None
    found = {
        "complete": True, "in_turns": True, "verdict": "no difference shown", "differs": {}, "seconds": 20.0,
        "rows": [row(1 / 1.1025, 1.1025)], "seconds_for_5_percent": 80.0,
    }  # fmt: skip
    text = compare.describe(found)
    assert "about --seconds 80, or more" in text
    drag = next(line for line in text.splitlines() if line.startswith("512x512"))
    assert drag.split()[3:5] == ["-", "-"], "no median of nine"
    assert "would show in this run" in compare.describe({**found, "seconds_for_5_percent": 12.0})
