"""The model of the verdicts: data, and its arithmetic."""

from __future__ import annotations

import dataclasses
import json
import math
from pathlib import Path

import pytest

from edgedrag.runtime.drag.reasons import ReasonCode
from edgedrag.runtime.drag.verdict import FILE, PLAIN, Explanation, Model, Term, as_data, load_model

SEAM = Term("seam", 0.5, 0.0, 2.0, ReasonCode.SEAM)
EDGES = Term("edges", 0.01, -1.0, 1.0, ReasonCode.TORN)
STRAIN = Term("strain", 0.01, -1.0, 1.0, ReasonCode.STRETCHED)
TORN = Explanation(ReasonCode.TORN, 0.0, (0.0, 2.0, 0.0))
STRETCHED = Explanation(ReasonCode.STRETCHED, 0.0, (0.0, 0.0, 2.0))
MODEL = Model((SEAM, EDGES, STRAIN), -1.0, 0.4, 0.6, (TORN, STRETCHED))


def test_log_odds_are_the_sum_of_the_terms() -> None:
    values = {"seam": 3.0, "edges": 0.5, "of another version": 7.0}
    odds = -1.0 + 2 * math.log(3.5) + math.log(0.51) + 1
    assert MODEL.probability(values) == pytest.approx(1 / (1 + math.exp(-odds)))
    assert MODEL.probability({}) == pytest.approx(1 / (1 + math.e)), "what was not measured counts as usual"
    assert MODEL.probability({"seam": 1e300}) == pytest.approx(1)


def test_the_likeliest_reason_comes_first() -> None:
    assert MODEL.reasons({"edges": 2.0, "strain": 1.0}) == [ReasonCode.TORN], "the other is unlikely"
    assert MODEL.reasons({"edges": 1.0, "strain": 1.1}) == [ReasonCode.STRETCHED, ReasonCode.TORN]
    assert MODEL.reasons({"edges": 1.0}) == [ReasonCode.TORN], "of what was not measured nothing is said"
    assert MODEL.reasons({"seam": 0.1, "edges": 0.1}) == []


def test_plain_evidence_needs_no_explanation() -> None:
    much = {"seam": math.exp(PLAIN), "edges": 1.0}
    assert MODEL.reasons(much) == [ReasonCode.SEAM, ReasonCode.TORN]
    assert MODEL.reasons({"seam": 0.6}) == [ReasonCode.SEAM], "little, but nothing else speaks against it"
    assert MODEL.reasons({"seam": 0.6, "edges": 1.0}) == [ReasonCode.TORN]
    assert MODEL.measure_of(ReasonCode.SEAM, much) == "seam"


def test_a_model_survives_its_file(tmp_path: Path) -> None:
    file = tmp_path / "verdict.json"
    file.write_text(json.dumps(as_data(MODEL)))
    assert load_model(file) == MODEL


def test_the_shipped_model_never_favours_what_is_worse() -> None:
    model = load_model(FILE)
    assert all(term.weight > 0 and term.offset > 0 for term in model.terms)
    assert 0 < model.doubtful < 0.5 < model.bad < 1 and len(model.explanations) >= 3
    assert all(len(one.weights) == len(model.terms) for one in model.explanations)
    usual = {term.measure: math.exp(term.usual) - term.offset for term in model.terms}
    assert model.probability(usual) < model.doubtful
    for name in usual:
        worse = {**usual, name: usual[name] * 3 + 0.1}
        assert model.probability(worse) > model.probability(usual), name
    assert dataclasses.is_dataclass(model.terms[0])
