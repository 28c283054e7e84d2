"""Several answers to one drag: which are made, and in which order they are offered."""

from __future__ import annotations

from collections.abc import Callable, Generator, Sequence
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
        answer: of the hold, which moves; of hold.NAMES. In a given mask it is always the same.
        reach: of a bend, see `motion.move_held`; the usual one where None.
        seed: added to the seed that was asked for.
    """

    motion: MotionName = "auto"
    answer: str = ANSWER
    reach: float | None = None
    seed: int = 0

    def of(self, drags: Drags, mask: Source | None) -> Asked:
        """A drag answered in this way."""
        return Asked(drags, mask, self.motion, self.answer, self.reach)


# In the order in which they are offered: the first is right most often and what a drag does by itself, each next one is
# right most often where those before it are wrong; docs/quality.md.
VARIANTS = (
    Variant("bend", "thing"),
    Variant("whole", "group"),
    Variant("bend", "part"),
    Variant("whole", "thing"),
    Variant("stretch", "thing"),
    Variant("whole", "part"),
)
VARIANTS_IN_MASK = (
    Variant("bend"),
    Variant("whole"),
    Variant("bend", reach=0.5),
    Variant("bend", reach=1.0),
    Variant("stretch"),
)
BY_SEED = tuple(Variant(seed=number) for number in range(6))
MAX_CANDIDATES = len(VARIANTS)


def variants(moves_held: bool, in_mask: bool) -> tuple[Variant, ...]:
    """The ways to answer a drag, by a bundle that moves what is held or not, in a given mask or not."""
    if not moves_held:
        return BY_SEED
    return VARIANTS_IN_MASK if in_mask else VARIANTS


def make_candidates(edit: Callable[[Variant], Edit], among: Sequence[Variant], count: int) -> list[Edit]:
    """The first `count` edits that differ, in the order of their variants.

    Args:
        edit: makes a variant; changes nothing.
        count: 1 to MAX_CANDIDATES; InputError otherwise.
    """
    if not 1 <= whole_number("count", count) <= MAX_CANDIDATES:
        raise InputError(f"count: {count} is not from 1 to {MAX_CANDIDATES}")
    edits: list[Edit] = []
    for variant in among:
        made = edit(variant)
        if not any(np.array_equal(made.image, other.image) for other in edits):
            edits.append(made)
        if len(edits) == count:
            break
    return edits


def run_to_end(steps: Generator[Progress, None, Edit]) -> Edit:
    """The edit that a generator of progress returns."""
    while True:
        try:
            next(steps)
        except StopIteration as finished:
            return finished.value
