"""The reasons of a verdict as short codes, for pages that speak other languages."""

from __future__ import annotations

import re
from collections.abc import Sequence

CODES = {
    "not_numbers": r"values that are not numbers",
    "flat": r"one flat colour",
    "no_texture": r"lie on flat colour",
    "missed": r"px from its target",
    "blurred": r"is blurred",
    "stretched": r"stretched out of shape",
    "seam": r"a seam shows",
}


def codes(reasons: Sequence[str]) -> list[str]:
    """A code for each reason, "other" for one that is not known here."""
    return [
        next((code for code, pattern in CODES.items() if re.search(pattern, reason)), "other") for reason in reasons
    ]
