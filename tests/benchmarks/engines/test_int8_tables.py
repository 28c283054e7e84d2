"""The tables of docs/int8.md are what the command writes from the committed reports."""

from __future__ import annotations

import pytest
from conftest import REPOSITORY

from edgedrag.benchmarks.engines.int8_tables import VARIANTS, rewritten
from edgedrag.runtime.errors import InputError

RESULTS = REPOSITORY / "benchmarks" / "results"


def test_the_page_is_as_written_from_the_reports() -> None:
    page = (REPOSITORY / "docs" / "int8.md").read_text()
    assert rewritten(page, RESULTS) == page, "run: python -m edgedrag.benchmarks.engines.int8_tables"
    assert all(title in page for title in VARIANTS.values())


def test_a_page_without_the_places_is_refused() -> None:
    with pytest.raises(InputError, match="not there once"):
        rewritten("# INT8\n", RESULTS)
