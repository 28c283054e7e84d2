"""The number format of benchmarks."""

from __future__ import annotations

import pytest

from edgedrag.benchmarks.formatting import number


@pytest.mark.parametrize(
    ("value", "text"),
    [(12190.4, "12190.4"), (1.2e-5, "0.000012"), (24.1234, "24.1234"), (45.0, "45"), (0, "0"), (-3.5, "-3.5")],
)
def test_positional_notation(value: float, text: str) -> None:
    assert number(value) == text


def test_significant_digits_and_decimals() -> None:
    assert number(12190.4, significant=4) == "12190"
    assert number(0.5, 2) == "0.50"


@pytest.mark.parametrize("value", [None, float("nan"), float("inf")])
def test_missing_values_are_a_dash(value: float | None) -> None:
    assert number(value) == number(value, 1) == "-"
