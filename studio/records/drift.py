"""The drift alarm: has the share of bad verdicts risen?

The newest edits are compared with those before them. A camera out of focus, a new kind of goods or a
damaged bundle shows here first.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass

RECENT = 50  # edits that are compared
BEFORE = 500  # with so many before them, at most
FEWEST_BEFORE = 50  # with fewer there is nothing to compare with
RISE = 0.10  # smaller rises of the share are no alarm
SIGMAS = 3.0  # nor are those that chance explains: one false alarm in 740 comparisons


@dataclass(frozen=True)
class Drift:
    """The share of bad verdicts lately and before, None where there are too few edits, and the alarm."""

    recent_share: float | None
    before_share: float | None
    alarm: bool


def drift(verdicts: Iterable[str]) -> Drift:
    """Judge a sequence of verdicts, the oldest first."""
    bad = [verdict == "bad" for verdict in verdicts][-(RECENT + BEFORE) :]
    recent, before = bad[-RECENT:], bad[:-RECENT]
    if len(before) < FEWEST_BEFORE:
        return Drift(sum(recent) / len(recent) if recent else None, None, False)
    now, then = sum(recent) / len(recent), sum(before) / len(before)
    pooled = sum(bad) / len(bad)
    spread = math.sqrt(pooled * (1 - pooled) * (1 / len(recent) + 1 / len(before)))
    return Drift(round(now, 4), round(then, 4), now - then >= RISE and now - then > SIGMAS * spread)
