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
from operator import mul
from pathlib import Path
from typing import Any

from edgedrag.runtime.drag.reasons import ReasonCode

FILE = Path(__file__).with_name("verdict.json")
PLAIN = 1.5  # log odds; from there on the evidence for a reason without an explanation is named before all others
SECOND = 0.4  # how likely another explanation has to be, to be named too


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

    def unusual(self, values: Mapping[str, float]) -> float:
        """How far the measure's logarithm is above the usual one; 0 where it is missing."""
        return math.log(values[self.measure] + self.offset) - self.usual if self.measure in values else 0.0

    def evidence(self, values: Mapping[str, float]) -> float:
        """What the measure adds to the log odds that a result is not worth keeping."""
        return self.weight * self.unusual(values)


@dataclass(frozen=True)
class Explanation:
    """How well a reason explains a bad result: bias + sum of weights (one for each term) * `Term.unusual`."""

    reason: ReasonCode
    bias: float
    weights: tuple[float, ...]


@dataclass(frozen=True)
class Model:
    """The regression, and where its verdicts change.

    Attributes:
        bias: log odds of a result with usual measures.
        doubtful, bad: from these probabilities on a result is that.
        explanations: a multinomial regression of what judges found most wrong, for the reasons that they named often.
    """

    terms: tuple[Term, ...]
    bias: float
    doubtful: float
    bad: float
    explanations: tuple[Explanation, ...]

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
        """What is wrong: one or two reasons, the likeliest first; none where nothing speaks against the result."""
        evidence = {reason: found for reason, found in self.evidence(values).items() if found > 0}
        likely = self._explained(values, evidence)
        plain = sorted((r for r in evidence if r not in likely and evidence[r] > PLAIN), key=lambda r: -evidence[r])
        ordered = plain + sorted(likely, key=lambda reason: -likely[reason])
        named = [reason for n, reason in enumerate(ordered[:2]) if n == 0 or likely.get(reason, 1.0) > SECOND]
        return named or sorted(evidence, key=lambda reason: -evidence[reason])[:1]

    def _explained(self, values: Mapping[str, float], evidence: Mapping[ReasonCode, float]) -> dict[ReasonCode, float]:
        """How likely each explanation is, of those for which there is evidence."""
        unusual = [term.unusual(values) for term in self.terms]
        scores = {
            one.reason: one.bias + sum(map(mul, one.weights, unusual))
            for one in self.explanations
            if one.reason in evidence
        }
        odds = {reason: math.exp(score - max(scores.values())) for reason, score in scores.items()}
        return {reason: each / sum(odds.values()) for reason, each in odds.items()}

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
    explanations = tuple(
        Explanation(ReasonCode(one["reason"]), one["bias"], tuple(one["weights"])) for one in stored["explanations"]
    )
    return Model(terms, stored["bias"], stored["doubtful"], stored["bad"], explanations)
