"""Which answer of a hold moves, and how: the way that a drag takes by itself, and those that candidates take."""

from __future__ import annotations

from dataclasses import dataclass, replace

from edgedrag.runtime.drag.motion_names import BEND_REACH_IN_MASK, MotionName


@dataclass(frozen=True)
class Variant:
    """One way to answer a drag.

    Attributes:
        motion: of what is held.
        answer: of the hold, which moves; of hold.NAMES.
        reach: of a bend, as of `motion.move_held`; None: the usual way to bend, in a given mask `mask_motion`'s.
    """

    motion: MotionName
    answer: str
    reach: float | None = None


# In the order in which they are offered: the first is right most often, each next one most often where those before it
# are wrong; docs/quality.md.
VARIANTS = (
    Variant("bend", "thing"),
    Variant("whole", "group"),
    Variant("bend", "part"),
    Variant("whole", "thing"),
    Variant("stretch", "thing"),
    Variant("whole", "part"),
)
VARIANTS_IN_MASK = (
    Variant("bend", "group"),
    Variant("whole", "group"),
    Variant("bend", "group", 0.5),
    Variant("bend", "group", 1.0),
    Variant("stretch", "group"),
    Variant("bend", "group", BEND_REACH_IN_MASK),
)
MAX_CANDIDATES = len(VARIANTS)
ANSWER = VARIANTS[0].answer  # that moves where none is asked for


def variants(in_mask: bool) -> tuple[Variant, ...]:
    """The ways to answer a drag in a given mask, or without."""
    return VARIANTS_IN_MASK if in_mask else VARIANTS


def usual_variant(in_mask: bool, motion: MotionName) -> Variant:
    """The way that a drag takes by itself, or the same with another motion."""
    usual = variants(in_mask)[0]
    return usual if motion == "auto" else replace(usual, motion=motion)
