"""Several answers to one drag: which are made, and in which order they are offered."""

from __future__ import annotations

from collections.abc import Callable, Generator
from dataclasses import dataclass

import numpy as np

from edgedrag.runtime.drag.drags import Drags
from edgedrag.runtime.drag.motion import MotionName
from edgedrag.runtime.errors import InputError
from edgedrag.runtime.photo.picture import Source
from edgedrag.runtime.session.edit import Edit, Progress
from edgedrag.runtime.session.request import ANSWER, Asked, whole_number


@dataclass(frozen=True)
class Variant:
    """One way to answer a drag.

    Attributes:
        motion: of what is held.
        answer: of the hold, which moves; of hold.NAMES.
        seed: added to the seed that was asked for.
    """

    motion: MotionName = "auto"
    answer: str = ANSWER
    seed: int = 0

    def of(self, drags: Drags, mask: Source | None) -> Asked:
        """A drag answered in this way."""
        return Asked(drags, mask, self.motion, self.answer)


VARIANTS = (
    Variant("bend", "thing"),
    Variant("whole", "thing"),
    Variant("bend", "part"),
    Variant("stretch", "thing"),
    Variant("whole", "group"),
    Variant("bend", "group"),
)  # in the order in which they are right most often, docs/quality.md
MAX_CANDIDATES = len(VARIANTS)


def make_candidates(edit: Callable[[Variant], Edit], count: int, by_seed: bool) -> list[Edit]:
    """Up to `count` edits that differ, the one most likely worth keeping first.

    Args:
        edit: makes a variant; changes nothing.
        count: 1 to MAX_CANDIDATES; InputError otherwise.
        by_seed: whether the variants are seeds, since nothing else differs.
    """
    if not 1 <= whole_number("count", count) <= MAX_CANDIDATES:
        raise InputError(f"count: {count} is not from 1 to {MAX_CANDIDATES}")
    edits: list[Edit] = []
    for variant in [Variant(seed=n) for n in range(MAX_CANDIDATES)] if by_seed else VARIANTS:
        made = edit(variant)
        if not any(np.array_equal(made.image, other.image) for other in edits):
            edits.append(made)
        if len(edits) == count:
            break
    return sorted(edits, key=lambda edit: edit.checks.risk)


def run_to_end(steps: Generator[Progress, None, Edit]) -> Edit:
    """The edit that a generator of progress returns."""
    while True:
        try:
            next(steps)
        except StopIteration as finished:
            return finished.value
