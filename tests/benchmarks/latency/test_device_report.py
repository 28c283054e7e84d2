"""A device's reports in one file: merged, each once, with the plot of quality against latency, readable in print."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from conftest import REPOSITORY

from edgedrag.benchmarks.latency.device_report import Reports, as_text, read_reports, write
from edgedrag.runtime.errors import InputError

LATENCY = REPOSITORY / "benchmarks" / "results" / "latency_fp32_61.json"


def accuracy(device: str, ms: float | None = 30.0) -> dict[str, Any]:
    row = {
        "backend": "cpu", "precision": "fp32", "steps": 1, "reference": True, "psnr_db": None, "worst_psnr_db": None,
        "stlpips": None, "worst_stlpips": None, "verdicts": {"good": 18, "doubtful": 1, "bad": 1}, "median_ms": ms,
    }  # fmt: skip
    other = {
        **row, "precision": "int8", "reference": False, "psnr_db": 38.0, "worst_psnr_db": 21.0, "stlpips": 0.003,
        "worst_stlpips": 0.02, "median_ms": None if ms is None else 20.0,
    }  # fmt: skip
    context = {"device": device, "cpus": 2, "bundle": "embedded", "bundle_version": "7.0.0"}
    return {
        "format": "edgedrag-accuracy", "format_version": 1, "context": context, "photos": 20, "rows": [row, other],
        "absent": {},
    }  # fmt: skip


def written(folder: Path, name: str, report: dict[str, Any]) -> Path:
    file = folder / f"{name}.json"
    file.write_text(json.dumps(report))
    return file


def test_files_merge_and_hold_each_report_once(tmp_path: Path) -> None:
    files = [LATENCY, written(tmp_path, "one", accuracy("one"))]
    write(read_reports(files), tmp_path / "device1")
    write(read_reports([written(tmp_path, "two", accuracy("two"))]), tmp_path / "device2")
    fleet = read_reports([tmp_path / "device1.json", tmp_path / "device2.json", LATENCY])
    assert (len(fleet.latency), len(fleet.accuracy)) == (1, 2)
    assert fleet.latency[0] == json.loads(LATENCY.read_text()), "a report is in the file as it was"
    again = fleet.as_json()
    write(fleet, tmp_path / "fleet")
    assert read_reports([tmp_path / "fleet.json"]).as_json() == again


def test_the_page_has_both_and_prints(tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    write(read_reports([LATENCY, written(tmp_path, "one", accuracy("one"))]), tmp_path / "device")
    page = (tmp_path / "device.html").read_text()
    assert page.index("Quality against latency") < page.index("Cumulative distribution") < page.index("Overview")
    assert "@media print" in page and "src=" not in page and 'href="http' not in page, "one file, without others"
    text = (tmp_path / "device.md").read_text()
    rows = [line for line in text.splitlines() if line.startswith("| one, 2 CPUs")]
    assert "reference" in rows[0] and "18 / 1 / 1" in rows[0] and "38.0 (21.0)" in rows[1]


def test_a_time_without_a_median_is_not_drawn(tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    write(read_reports([written(tmp_path, "one", accuracy("one", None))]), tmp_path / "device")
    assert "<svg" in (tmp_path / "device.html").read_text()


def test_a_busy_machine_is_said_first() -> None:
    report = json.loads(LATENCY.read_text())
    report["machine"] = {
        "load_before": 9.0, "cpus": 2, "others_share": 0.5, "stolen_share": 0.0, "clock_drift": 0.0, "busy": True
    }  # fmt: skip
    assert as_text(Reports(latency=[report])).startswith("BUSY MACHINE")
    assert "| busy" in as_text(Reports(latency=[report])) and "not known" in as_text(
        Reports([json.loads(LATENCY.read_text())])
    )


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("{", "not JSON"),
        ("[]", "not a report"),
        ('{"format": "edgedrag-plan"}', "not a report"),
        ('{"format": "edgedrag-latency", "format_version": 1}', "measure again"),
        ('{"format": "edgedrag-device", "format_version": 1}', "no list of reports"),
        ('{"format": "edgedrag-device", "format_version": 1, "reports": [3]}', "not a report"),
    ],
)
def test_other_files_are_refused(content: str, message: str, tmp_path: Path) -> None:
    file = tmp_path / "x.json"
    file.write_text(content)
    with pytest.raises(InputError, match=message):
        read_reports([file])


def test_the_command_writes_three_files(tmp_path: Path, edit_cli: Callable[..., Any]) -> None:
    done = edit_cli("bench", "report", LATENCY, "-o", tmp_path / "kiosk.json")
    assert done.returncode == 0, done.stderr
    assert {file.name for file in tmp_path.iterdir()} >= {"kiosk.json", "kiosk.md", "kiosk.html"}
    assert "1 of latency" in done.stdout
