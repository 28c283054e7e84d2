"""How likely a result is not worth keeping, by a logistic regression on its measures; the model is `verdict.json`.

Fitted on edits that people judged, and on spoilt copies of good ones: `python -m edgedrag.benchmarks.quality.verdicts`
makes the file. Each measure speaks by its logarithm and never in favour of a result.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from functools import cache
from pathlib import Path
from typing import Any

from edgedrag.runtime.drag.reasons import ReasonCode

FILE = Path(__file__).with_name("verdict.json")


@dataclass(frozen=True)
class Term:
    """A measure's part in the log odds: weight * (log(value + offset) - usual).

    Attributes:
        usual: the mean of log(value + offset) over results worth keeping; a measure that is missing counts as usual.
        reason: what is wrong where this speaks against a result.
    """

    measure: str
    offset: float
    usual: float
    weight: float
    reason: ReasonCode

    def evidence(self, values: Mapping[str, float]) -> float:
        """What the measure adds to the log odds that a result is not worth keeping."""
        if self.measure not in values:
            return 0.0
        return self.weight * (math.log(values[self.measure] + self.offset) - self.usual)


@dataclass(frozen=True)
class Model:
    """The regression, and where its verdicts change.

    Attributes:
        bias: log odds of a result with usual measures.
        doubtful, bad: from these probabilities on a result is that.
        typical: the mean evidence for each reason over results that are not worth keeping.
    """

    terms: tuple[Term, ...]
    bias: float
    doubtful: float
    bad: float
    typical: Mapping[ReasonCode, float]

    def evidence(self, values: Mapping[str, float]) -> dict[ReasonCode, float]:
        """What speaks for each reason, as log odds."""
        total: dict[ReasonCode, float] = {}
        for term in self.terms:
            total[term.reason] = total.get(term.reason, 0.0) + term.evidence(values)
        return total

    def probability(self, values: Mapping[str, float]) -> float:
        """How likely a result with these measures is not worth keeping."""
        log_odds = self.bias + sum(self.evidence(values).values())
        return 1 / (1 + math.exp(-max(min(log_odds, 50.0), -50.0)))

    def reasons(self, values: Mapping[str, float]) -> list[ReasonCode]:
        """What is wrong, the most unusual first: one or two, the second if its evidence is more than typical."""
        shares = {reason: found / self.typical[reason] for reason, found in self.evidence(values).items() if found > 0}
        ordered = sorted(shares, key=lambda reason: -shares[reason])
        return [reason for n, reason in enumerate(ordered[:2]) if n == 0 or shares[reason] > 1]

    def measure_of(self, reason: ReasonCode, values: Mapping[str, float]) -> str:
        """The measure that speaks most for a reason."""
        return max((t for t in self.terms if t.reason == reason), key=lambda t: t.evidence(values)).measure


def as_data(model: Model) -> dict[str, Any]:
    """The model as `load_model` reads it."""
    return asdict(model)


@cache
def load_model(file: Path = FILE) -> Model:
    """The model of a file that `verdicts fit` wrote."""
    stored = json.loads(file.read_text(encoding="utf-8"))
    terms = tuple(Term(**{**term, "reason": ReasonCode(term["reason"])}) for term in stored["terms"])
    typical = {ReasonCode(reason): mean for reason, mean in stored["typical"].items()}
    return Model(terms, stored["bias"], stored["doubtful"], stored["bad"], typical)
