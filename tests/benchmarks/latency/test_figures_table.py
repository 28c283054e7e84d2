"""The table of docs/latency.md is what the command writes from the committed reports."""

from __future__ import annotations

import pytest
from conftest import REPOSITORY

from edgedrag.benchmarks.latency.compare import read_report
from edgedrag.benchmarks.latency.figures_table import BEGIN, REPORTS, rewritten
from edgedrag.runtime.errors import InputError

RESULTS = REPOSITORY / "benchmarks" / "results"


def test_the_page_is_as_written_from_the_reports() -> None:
    page = (REPOSITORY / "docs" / "latency.md").read_text()
    reports = [read_report(RESULTS / name) for name in REPORTS]
    assert rewritten(page, reports) == page, "run: python -m edgedrag.benchmarks.latency.figures_table"
    assert all(report["complete"] for report in reports)
    assert [report["context"]["precision"] for report in reports] == ["int8", "fp32"]


def test_a_page_without_the_place_is_refused() -> None:
    reports = [read_report(RESULTS / name) for name in REPORTS]
    with pytest.raises(InputError, match="0 times"):
        rewritten(f"# Latency\n{BEGIN}\n", reports)
