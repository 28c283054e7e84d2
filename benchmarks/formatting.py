"""The number format of everything that benchmarks print."""

from __future__ import annotations

import math


def number(value: float | None, decimals: int | None = None, significant: int = 6) -> str:
    """A number in positional notation, never with an exponent; "-" for None.

    Args:
        decimals: digits after the point; None gives as many as `significant` digits need, without trailing zeros.
    """
    if value is None or not math.isfinite(value):
        return "-"
    if decimals is not None:
        return f"{value:.{decimals}f}"
    leading = math.floor(math.log10(abs(value))) if value else 0
    text = f"{round(value, significant - 1 - leading):.{max(0, significant - 1 - leading)}f}"
    return text.rstrip("0").rstrip(".") if "." in text else text
