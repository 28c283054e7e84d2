"""Why a result is doubtful or bad, as data: a code and its values, worded where a person reads it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum


class ReasonCode(str, Enum):
    """What is wrong with a result. The values are stable: scripts, records and translations use them.

    BENT is in records of versions up to 7.0 alone; STRETCHED is given since.
    """

    NOT_NUMBERS = "not_numbers"
    FLAT = "flat"
    NO_TEXTURE = "no_texture"
    OUTSIDE_MASK = "outside_mask"
    MISSED = "missed"
    BLURRED = "blurred"
    TORN = "torn"
    STRETCHED = "stretched"
    BENT = "bent"
    FOLDED = "folded"
    FILLED = "filled"
    SEAM = "seam"


ENGLISH = {
    ReasonCode.NOT_NUMBERS: "the generator returned values that are not numbers; the photo was kept there",
    ReasonCode.FLAT: "the edited region is one flat colour",
    ReasonCode.NO_TEXTURE: "the handles lie on flat colour, so it cannot be seen where they went",
    ReasonCode.OUTSIDE_MASK: "the target lies outside the mask, so what moves ends at the mask's edge",
    ReasonCode.MISSED: "the handle's content is {pixels} px from its target",
    ReasonCode.BLURRED: "the edited region is blurred",
    ReasonCode.TORN: "the content is torn, or has edges that the photo has not",
    ReasonCode.STRETCHED: "the content is bent or stretched out of shape",
    ReasonCode.BENT: "the content is bent, as rigid things are not",
    ReasonCode.FOLDED: "the content folds over itself",
    ReasonCode.FILLED: "much of the ground behind what moved had to be invented",
    ReasonCode.SEAM: "a seam shows at the mask's edge",
}


@dataclass(frozen=True)
class Reason:
    """One reason; `str(reason)` is its English sentence.

    Attributes:
        values: what the sentence names; MISSED has `pixels`, how far the worst drag's content lies from its
            target, whole pixels of the photo.
        box: where it is at its worst: left, top, right and bottom (both excluded) in pixels of the photo; None where
            that cannot be said. Not compared.
    """

    code: ReasonCode
    values: Mapping[str, int] = field(default_factory=dict, hash=False)
    box: tuple[int, int, int, int] | None = field(default=None, compare=False)

    def __str__(self) -> str:
        return ENGLISH[self.code].format_map(self.values)
