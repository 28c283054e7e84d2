"""The table of docs/latency.md is what the command writes from the committed reports."""

from __future__ import annotations

import pytest
from conftest import REPOSITORY

from edgedrag.benchmarks.latency.compare import read_report
from edgedrag.benchmarks.latency.figures_table import (
    BEGIN,
    REPORTS,
    SUMMARY,
    alone,
    before_after,
    loadgen,
    rewritten,
    summary,
)
from edgedrag.runtime.errors import InputError

RESULTS = REPOSITORY / "benchmarks" / "results"


def test_the_page_is_as_written_from_the_reports() -> None:
    page = (REPOSITORY / "docs" / "latency.md").read_text()
    assert rewritten(page, RESULTS) == page, "run: python -m edgedrag.benchmarks.latency.figures_table"
    reports = [read_report(RESULTS / name) for name in REPORTS]
    assert SUMMARY.findall((REPOSITORY / "README.md").read_text()) == [summary(reports[0])]
    assert all(report["complete"] for report in reports)
    assert [report["context"]["precision"] for report in reports] == ["int8", "fp32"]


def test_a_page_without_the_place_is_refused() -> None:
    with pytest.raises(InputError, match="0 times"):
        rewritten(f"# Latency\n{BEGIN}\n", RESULTS)


def test_a_peer_alone_is_said_with_its_conditions() -> None:
    rows = {"edgedrag": {"n": 3}, "diffusers-sd15": {"n": 3, "ratio": 312.4, "interval": [290.2, 336.3]}}
    report = {"context": {"precision": "int8"}, "peers": {"size": "512x512", "steps": 1, "rows": rows}}
    text = alone(report)
    assert "Stable Diffusion 1.5" in text and "312x (290 to 336)" in text and "1 step, 3 drags" in text


def test_before_and_after_is_a_table_with_intervals() -> None:
    row = {"size": "512x512", "kind": "start", "median_ms": [822.4, 401.0], "ratio": 0.4876, "interval": [0.47, 0.506]}
    few = {**row, "kind": "first_drag", "median_ms": [None, None], "ratio": None, "interval": None}
    report = {"a": {"source": "v7.0"}, "b": {"precision": "int8"}, "rows": [row, few]}
    text = " ".join("\n".join(before_after(report)).split())
    assert "`v7.0`" in text and "| start | 822.4 | 401.0 | 0.49 (0.47 to 0.51) |" in text
    assert "| first drag | - | - | - |" in text


def test_loadgens_percentiles_stand_beside_edgedrags() -> None:
    compared = {"p50": {"log_ms": 90.04, "own_ms": 89.96}, "p90": {"log_ms": 101.0, "own_ms": 100.9}}
    run = {"scenario": "server", "driver": "LoadGen 6.0.17", "latency": {"n": 64}, "compared": compared}
    text = loadgen([{"mlperf": [run]}])
    assert "LoadGen 6.0.17" in text and "server, 64 drags: p50 90.0 and 90.0 ms, p90 101.0 and 100.9 ms" in text
