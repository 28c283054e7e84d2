"""The model of the verdicts: data, and its arithmetic."""

from __future__ import annotations

import dataclasses
import json
import math
from pathlib import Path

import pytest

from edgedrag.runtime.drag.reasons import ReasonCode
from edgedrag.runtime.drag.verdict import FILE, Model, Term, as_data, load_model

SEAM = Term("seam", 0.5, 0.0, 2.0, ReasonCode.SEAM)
BEND = Term("bend", 0.01, -1.0, 1.0, ReasonCode.BENT)
MODEL = Model((SEAM, BEND), -1.0, 0.4, 0.6, {ReasonCode.SEAM: 2.0, ReasonCode.BENT: 0.5})


def test_log_odds_are_the_sum_of_the_terms() -> None:
    values = {"seam": 3.0, "bend": 0.5, "of another version": 7.0}
    odds = -1.0 + 2 * math.log(3.5) + math.log(0.51) + 1
    assert MODEL.probability(values) == pytest.approx(1 / (1 + math.exp(-odds)))
    assert MODEL.probability({}) == pytest.approx(1 / (1 + math.e)), "what was not measured counts as usual"
    assert MODEL.probability({"seam": 1e300}) == pytest.approx(1)


def test_the_most_unusual_reason_comes_first() -> None:
    assert MODEL.reasons({"seam": 3.0, "bend": 2.0}) == [ReasonCode.BENT, ReasonCode.SEAM]
    assert MODEL.reasons({"seam": 1.0, "bend": 2.0}) == [ReasonCode.BENT], "a seam like others is not named beside it"
    assert MODEL.reasons({"seam": 0.1, "bend": 0.1}) == []
    assert MODEL.measure_of(ReasonCode.SEAM, {"seam": 3.0}) == "seam"


def test_a_model_survives_its_file(tmp_path: Path) -> None:
    file = tmp_path / "verdict.json"
    file.write_text(json.dumps(as_data(MODEL)))
    assert load_model(file) == MODEL


def test_the_shipped_model_never_favours_what_is_worse() -> None:
    model = load_model(FILE)
    assert all(term.weight > 0 and term.offset > 0 for term in model.terms)
    assert 0 < model.doubtful < 0.5 < model.bad < 1 and {term.reason for term in model.terms} == set(model.typical)
    usual = {term.measure: math.exp(term.usual) - term.offset for term in model.terms}
    assert model.probability(usual) < model.doubtful
    for name in usual:
        worse = {**usual, name: usual[name] * 3 + 0.1}
        assert model.probability(worse) > model.probability(usual), name
    assert dataclasses.is_dataclass(model.terms[0])
