"""The model of `runtime/drag/verdict.py`, fitted on judged edits."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from edgedrag.benchmarks.quality.verdicts.regression import (
    cross_validated,
    cross_validated_classes,
    fit,
    fit_classes,
)
from edgedrag.runtime.drag.reasons import ReasonCode
from edgedrag.runtime.drag.verdict import Explanation, Model, Term

YES, MAYBE, NO = "yes", "maybe", "no"
BAD = {YES: 0.0, MAYBE: 1 / 3, NO: 1.0}  # what it costs to call such an edit good; to call it bad costs the rest to 1
# A measure's offset before the logarithm, and what is wrong where it is large.
TERMS: dict[str, tuple[float, ReasonCode]] = {
    "landing": (1.0, ReasonCode.MISSED),
    "changed": (0.2, ReasonCode.STRETCHED),
    "detail_lost": (0.1, ReasonCode.BLURRED),
    "seam": (0.5, ReasonCode.SEAM),
    "edges": (1.5, ReasonCode.TORN),
    "cuts": (0.3, ReasonCode.TORN),
    "strain": (4.0, ReasonCode.STRETCHED),
    "fold": (0.002, ReasonCode.FOLDED),
    "fill": (1.0, ReasonCode.FILLED),
    "ground": (1.5, ReasonCode.FILLED),
}
PENALTY = 5.0
# Importance of a spoilt copy; a judged edit has 1. No judged edit is merely blurred.
SPOILT = {"blurred": 0.3, "unmoved": 0.05, "pasted": 0.05}
# What a doubtful verdict costs; each verdict is the one whose expected cost is least.
DOUBT = 0.4
DOUBTFUL, BAD_FROM = DOUBT, 1 - DOUBT
OFTEN = 20  # edits in which judges found something most wrong, from which on it has an explanation
WEAK = 10.0  # penalty of the explanations
# The words of a judge for what is wrong, and the reason that says so.
WRONG = {
    "torn": ReasonCode.TORN,
    "edges": ReasonCode.TORN,
    "ground": ReasonCode.FILLED,
    "bent": ReasonCode.STRETCHED,
    "stretched": ReasonCode.STRETCHED,
    "missed": ReasonCode.MISSED,
    "seam": ReasonCode.SEAM,
}
BINS = 5  # of the calibration


@dataclass(frozen=True)
class Judged:
    """An edit, or a spoilt copy of one, with its measures.

    Attributes:
        photo: what must not be split between fitting and testing.
        kept: YES, MAYBE or NO. spoilt: how it was spoilt; None for an edit that a person judged.
        masked: whether someone gave a mask. wrong: what the judge found most wrong, one of WRONG; None of a good one.
    """

    name: str
    photo: str
    kept: str
    measures: dict[str, float]
    spoilt: str | None
    masked: bool
    wrong: str | None


def rows_of(judgements: Sequence[dict[str, Any]]) -> list[Judged]:
    """The judged edits, and the spoilt copies of those that are worth keeping."""
    rows = []
    for one in judgements:
        masked, wrong = bool(one["masked"]), one.get("wrong")
        rows.append(Judged(one["name"], one["photo"], one["kept"], one["measures"], None, masked, wrong))
        if one["kept"] == YES:
            spoilt = one.get("spoilt", {}).items()
            rows += [Judged(f"{one['name']} {how}", one["photo"], NO, copy, how, masked, None) for how, copy in spoilt]
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
    importance = np.array([SPOILT[r.spoilt] if r.spoilt else 1.0 for r in rows])
    found = fit(columns, bad, importance, PENALTY)
    weights = found.weights / found.scales
    speak = weights > 1e-4
    terms = tuple(
        Term(measure, offset, round(float(middle), 4), round(float(weight), 4), reason)
        for (measure, (offset, reason)), middle, weight, speaks in zip(TERMS.items(), usual, weights, speak)
        if speaks
    )
    wrongs = Wrongs.of(rows, (columns - usual)[:, speak])
    bias = round(float(found.log_odds(usual[None])[0]), 4)
    model = Model(terms, bias, DOUBTFUL, BAD_FROM, wrongs.explanations())
    probabilities = cross_validated(columns, bad, importance, [row.photo for row in rows], PENALTY)
    return model, {**report(rows, probabilities, model), "explanation_is_the_judges": wrongs.right()}


@dataclass(frozen=True)
class Wrongs:
    """What judges found most wrong: columns [N, M] above the usual ones, classes [N], of `reasons`; and the photos."""

    columns: np.ndarray
    classes: np.ndarray
    reasons: tuple[ReasonCode, ...]
    photos: tuple[str, ...]

    @classmethod
    def of(cls, rows: Sequence[Judged], unusual: np.ndarray) -> Wrongs:
        named = [WRONG[row.wrong] if row.wrong is not None else None for row in rows]
        counts = Counter(reason for reason in named if reason is not None)
        reasons = tuple(sorted(reason for reason, count in counts.items() if count >= OFTEN))
        chosen = [n for n, reason in enumerate(named) if reason in reasons]
        classes = np.array([reasons.index(named[n]) for n in chosen], int)
        return cls(unusual[chosen], classes, reasons, tuple(rows[n].photo for n in chosen))

    def explanations(self) -> tuple[Explanation, ...]:
        if not self.reasons:
            return ()
        found = fit_classes(self.columns, self.classes, WEAK).T
        return tuple(
            Explanation(reason, round(float(each[-1]), 4), tuple(np.round(each[:-1], 4).tolist()))
            for reason, each in zip(self.reasons, found)
        )

    def right(self) -> float | None:
        """The share of edits, of photos that were not fitted on, whose likeliest explanation is the judge's."""
        if len(self.reasons) < 2:
            return None
        return round(cross_validated_classes(self.columns, self.classes, self.photos, WEAK), 3)


def verdict_of(probability: float) -> str:
    return "bad" if probability >= BAD_FROM else "doubtful" if probability >= DOUBTFUL else "good"


def agreement(rows: Sequence[Judged], probabilities: np.ndarray, chosen: Sequence[int]) -> dict[str, Any]:
    """How verdicts agree with judgements, of the chosen rows.

    Returns:
        `agreement`: of the edits judged yes or no that have the verdict good or bad, the share whose verdict says the
        same; `decided`: the share that has such a verdict; `side`: the share on the right side of one half.
    """
    sure = [n for n in chosen if rows[n].kept != MAYBE]
    pairs = [(rows[n].kept, verdict_of(one[n])) for one in probabilities for n in sure]
    right = sum(pair in ((YES, "good"), (NO, "bad")) for pair in pairs)
    decided = sum(verdict != "doubtful" for _, verdict in pairs)
    sides = [(one[n] >= 0.5) == (rows[n].kept == NO) for one in probabilities for n in sure]
    return {
        "judged": dict(Counter(rows[n].kept for n in chosen)),
        "agreement": round(right / max(decided, 1), 3),
        "decided": round(decided / max(len(pairs), 1), 3),
        "side": round(float(np.mean(sides)), 3) if sides else None,
    }


def report(rows: Sequence[Judged], probabilities: np.ndarray, model: Model) -> dict[str, Any]:
    """Agreement of verdicts and judgements by cross-validation over photos, calibration, and the reasons of bad ones.

    Args:
        probabilities: [REPEATS, N], each of a model that saw no row of the same photo.
    """
    judged = [n for n, row in enumerate(rows) if row.spoilt is None]
    parts = {
        name: [n for n in judged if rows[n].masked is masked] for name, masked in (("masked", True), ("pulls", False))
    }
    table = Counter((rows[n].kept, verdict_of(one[n])) for one in probabilities for n in judged)
    spoilt: dict[str, list[bool]] = {}
    for n, row in enumerate(rows):
        if row.spoilt:
            spoilt.setdefault(row.spoilt, []).extend(verdict_of(one[n]) != "good" for one in probabilities)
    return {
        "photos": len({row.photo for row in rows}),
        **agreement(rows, probabilities, judged),
        **{name: agreement(rows, probabilities, chosen) for name, chosen in parts.items()},
        "verdicts": {f"{kept} {said}": round(n / len(probabilities), 1) for (kept, said), n in sorted(table.items())},
        "calibration": calibration([rows[n] for n in judged], probabilities[:, judged]),
        "spoilt_not_good": {how: round(float(np.mean(found)), 3) for how, found in spoilt.items()},
        **reasons_of_bad([rows[n] for n in judged], model),
    }


def calibration(rows: Sequence[Judged], probabilities: np.ndarray) -> list[dict[str, float]]:
    """By risk: how many edits, their mean risk, and the share that is not worth keeping, a "maybe" as BAD says."""
    risk, bad = probabilities.mean(0), np.array([BAD[row.kept] for row in rows])
    bins = np.minimum((risk * BINS).astype(int), BINS - 1)
    return [
        {
            "edits": int((bins == n).sum()),
            "risk": round(float(risk[bins == n].mean()), 3),
            "not_kept": round(float(bad[bins == n].mean()), 3),
        }
        for n in range(BINS)
        if (bins == n).any()
    ]


def reasons_of_bad(rows: Sequence[Judged], model: Model) -> dict[str, Any]:
    """How often each reason is given for a bad result, and how often it is what the judge found most wrong."""
    bad = [(row, model.reasons(row.measures)) for row in rows if model.probability(row.measures) >= model.bad]
    named = [(WRONG[row.wrong], reasons) for row, reasons in bad if row.wrong is not None]
    first = Counter(reasons[0].value for _, reasons in bad if reasons)
    every = Counter(reason.value for _, reasons in bad for reason in reasons)
    return {
        "bad": len(bad),
        "first_reason_of_bad": dict(first.most_common()),
        "reasons_of_bad": dict(every.most_common()),
        # of the model that was fitted on these edits too
        "first_reason_is_the_judges": round(sum(wrong in found[:1] for wrong, found in named) / max(len(named), 1), 3),
        "a_reason_is_the_judges": round(sum(wrong in found for wrong, found in named) / max(len(named), 1), 3),
    }
