"""The model of `runtime/drag/verdict.py`, fitted on judged edits."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from edgedrag.benchmarks.quality.verdicts.regression import cross_validated, fit
from edgedrag.runtime.drag.reasons import ReasonCode
from edgedrag.runtime.drag.verdict import Model, Term

YES, MAYBE, NO = "yes", "maybe", "no"
BAD = {YES: 0.0, MAYBE: 0.5, NO: 1.0}
# A measure's offset before the logarithm, and what is wrong where it is large.
TERMS: dict[str, tuple[float, ReasonCode]] = {
    "landing": (1.0, ReasonCode.MISSED),
    "detail_lost": (0.1, ReasonCode.BLURRED),
    "seam": (0.5, ReasonCode.SEAM),
    "strain": (0.02, ReasonCode.STRETCHED),
    "stretched": (0.1, ReasonCode.STRETCHED),
    "fold": (0.002, ReasonCode.FOLDED),
    "bend": (0.005, ReasonCode.BENT),
}
PENALTY = 5.0
# Importance of a spoilt copy; a judged edit has 1, a "maybe" half of it. No judged edit is merely blurred.
SPOILT = {"blurred": 0.3, "unmoved": 0.05, "pasted": 0.05}
DOUBTFUL, BAD_FROM = 0.35, 0.65
LEAST = 0.3  # of typical evidence, log odds


@dataclass(frozen=True)
class Judged:
    """An edit, or a spoilt copy of one, with its measures.

    Attributes:
        photo: what must not be split between fitting and testing.
        kept: YES, MAYBE or NO. spoilt: how it was spoilt; None for an edit that a person judged.
    """

    name: str
    photo: str
    kept: str
    measures: dict[str, float]
    spoilt: str | None


def rows_of(judgements: Sequence[dict[str, Any]]) -> list[Judged]:
    """The judged edits, and the spoilt copies of those that are worth keeping."""
    rows = []
    for one in judgements:
        rows.append(Judged(one["name"], one["photo"], one["kept"], one["measures"], None))
        if one["kept"] == YES:
            spoilt = one.get("spoilt", {}).items()
            rows += [Judged(f"{one['name']} {how}", one["photo"], NO, measures, how) for how, measures in spoilt]
    return rows


def columns_of(rows: Sequence[Judged]) -> tuple[np.ndarray, np.ndarray]:
    """The logarithms of the measures [N, M], a missing one as usual; and the usual ones [M], of those kept."""
    raw = np.array(
        [[np.log(r.measures[m] + o) if m in r.measures else np.nan for m, (o, _) in TERMS.items()] for r in rows]
    )
    usual = np.nanmean(raw[[row.kept == YES for row in rows]], 0)
    return np.where(np.isnan(raw), usual, raw), usual


def fit_model(judgements: Sequence[dict[str, Any]]) -> tuple[Model, dict[str, Any]]:
    """The model, and how it does on photos that it was not fitted on."""
    rows = rows_of(judgements)
    columns, usual = columns_of(rows)
    bad = np.array([BAD[row.kept] for row in rows])
    importance = np.array([SPOILT[r.spoilt] if r.spoilt else 0.5 if r.kept == MAYBE else 1.0 for r in rows])
    found = fit(columns, bad, importance, PENALTY)
    weights = found.weights / found.scales
    terms = tuple(
        Term(measure, offset, round(float(middle), 4), round(float(weight), 4), reason)
        for (measure, (offset, reason)), middle, weight in zip(TERMS.items(), usual, weights)
        if weight > 1e-4
    )
    model = Model(terms, round(float(found.log_odds(usual[None])[0]), 4), DOUBTFUL, BAD_FROM, {})
    model = replace(model, typical=typical_evidence(model, rows))
    probabilities = cross_validated(columns, bad, importance, [row.photo for row in rows], PENALTY)
    return model, report(rows, probabilities, model)


def typical_evidence(model: Model, rows: Sequence[Judged]) -> dict[ReasonCode, float]:
    """The mean evidence for each reason over the edits that are judged not worth keeping; not below LEAST."""
    bad = [row.measures for row in rows if row.kept == NO and row.spoilt is None]
    reasons = {term.reason for term in model.terms}
    means = {r: float(np.mean([max(0.0, model.evidence(m).get(r, 0.0)) for m in bad])) for r in reasons}
    return {reason: round(max(mean, LEAST), 4) for reason, mean in sorted(means.items())}


def verdict_of(probability: float) -> str:
    return "bad" if probability >= BAD_FROM else "doubtful" if probability >= DOUBTFUL else "good"


def report(rows: Sequence[Judged], probabilities: np.ndarray, model: Model) -> dict[str, Any]:
    """Agreement of verdicts and judgements by cross-validation over photos, and how often each reason is given.

    `agreement` is the share of those edits judged yes or no with the verdict good or bad whose verdict says the same;
    `decided` the share that has such a verdict; `side` the share that is on the right side of one half.
    """
    verdicts = [[verdict_of(p) for p in one] for one in probabilities]
    judged = [n for n, row in enumerate(rows) if row.spoilt is None]
    table: Counter[tuple[str, str]] = Counter((rows[n].kept, one[n]) for one in verdicts for n in judged)
    sure = [n for n in judged if rows[n].kept != MAYBE]
    right = sum(table[key] for key in ((YES, "good"), (NO, "bad")))
    decided = right + sum(table[key] for key in ((YES, "bad"), (NO, "good")))
    sides = [(one[n] >= 0.5) == (rows[n].kept == NO) for one in probabilities for n in sure]
    spoilt: dict[str, list[bool]] = {}
    for n, row in enumerate(rows):
        if row.spoilt:
            spoilt.setdefault(row.spoilt, []).extend(one[n] != "good" for one in verdicts)
    bad = [row for row in rows if row.spoilt is None and model.probability(row.measures) >= BAD_FROM]
    named = Counter(reason for row in bad for reason in model.reasons(row.measures))
    first = Counter(reason for row in bad for reason in model.reasons(row.measures)[:1])
    return {
        "judged": dict(Counter(rows[n].kept for n in judged)),
        "photos": len({row.photo for row in rows}),
        "agreement": round(right / max(decided, 1), 3),
        "decided": round(decided / max(len(sure) * len(verdicts), 1), 3),
        "side": round(float(np.mean(sides)), 3),
        "verdicts": {
            f"{kept} {said}": round(count / len(verdicts), 1) for (kept, said), count in sorted(table.items())
        },
        "spoilt_not_good": {how: round(float(np.mean(found)), 3) for how, found in spoilt.items()},
        "bad": len(bad),
        "first_reason_of_bad": {reason.value: count for reason, count in first.most_common()},
        "reasons_of_bad": {reason.value: count for reason, count in named.most_common()},
    }
