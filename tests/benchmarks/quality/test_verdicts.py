"""Fitting the verdicts: the regression, its validation by photo, and what the files may hold."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
from click.testing import CliRunner
from conftest import REPOSITORY

from edgedrag.benchmarks.quality.verdicts.__main__ import main
from edgedrag.benchmarks.quality.verdicts.fitting import TERMS, fit_model
from edgedrag.benchmarks.quality.verdicts.regression import (
    cross_validated,
    cross_validated_classes,
    fit,
    fit_classes,
)
from edgedrag.runtime.drag.verdict import FILE, load_model
from edgedrag.runtime.errors import InputError

JUDGED = sorted((REPOSITORY / "benchmarks" / "quality" / "verdicts" / "judged").glob("*.jsonl"))


def judgements(count: int = 60) -> list[dict[str, Any]]:
    """Edits of twelve photos whose seam alone decides."""
    rng, made = np.random.default_rng(0), []
    for number in range(count):
        measures = {name: float(rng.uniform(0.1, 1)) for name in TERMS} | {"seam": float(rng.uniform(0, 8))}
        spoilt = {"blurred": {**measures, "detail_lost": 3.0}}
        kept = "no" if measures["seam"] > 4 else "yes"
        wrong = "seam" if kept == "no" else None
        row = {"name": str(number), "photo": str(number % 12), "kept": kept, "masked": number % 2 == 0, "wrong": wrong}
        made.append({**row, "measures": measures, "spoilt": spoilt})
    return made


def test_weights_are_those_of_the_data_and_never_negative() -> None:
    rng = np.random.default_rng(0)
    columns = rng.normal(size=(2000, 3))
    bad = (rng.uniform(size=2000) < 1 / (1 + np.exp(-(2 * columns[:, 0] - 2 * columns[:, 1] - 1)))).astype(float)
    found = fit(columns, bad, np.ones(2000), 1e-3)
    weights = found.weights / found.scales
    assert weights[1] == 0 and weights[0] > 1 and abs(weights[2]) < 0.15
    own = fit(columns[:, [0, 2]], (columns[:, 0] > 0).astype(float), np.ones(2000), 1e-3)
    assert ((own.log_odds(columns[:, [0, 2]]) > 0) == (columns[:, 0] > 0)).mean() > 0.98


def test_classes_are_separated_and_rare_ones_count_as_much() -> None:
    rng = np.random.default_rng(2)
    classes = (rng.uniform(size=400) < 0.1).astype(int)
    columns = np.c_[classes + rng.normal(0, 0.7, 400), rng.normal(size=400)]
    found = fit_classes(columns, classes, 0.1)
    scores = np.c_[columns, np.ones(400)] @ found
    assert (scores.argmax(1) == classes)[classes == 1].mean() > 0.65, "not called frequent because it is rare"
    assert found[0, 1] - found[0, 0] > 5 * abs(found[1, 1] - found[1, 0])
    photos = [str(n // 4) for n in range(400)]
    assert 0.65 < cross_validated_classes(columns, classes, photos, 0.1) < 0.95


def test_photos_are_not_split() -> None:
    """Rows of a photo that share a column of their own: only a split photo could learn from it."""
    rng = np.random.default_rng(1)
    photos = [str(n // 2) for n in range(40)]
    answers = np.repeat(rng.integers(0, 2, 20), 2).astype(float)
    own = np.repeat(np.eye(20), 2, 0) * answers[:, None]
    found = cross_validated(own, answers, np.ones(40), photos, 0.01)
    assert (((found > 0.5) == (answers > 0.5)).mean()) < 0.7


def test_the_measure_that_decides_is_found() -> None:
    model, figures = fit_model(judgements())
    largest = {term.measure: max(term.evidence(row["measures"]) for row in judgements()) for term in model.terms}
    assert largest["seam"] == max(largest.values()) and figures["agreement"] > 0.8
    assert figures["judged"] == {"yes": 30, "no": 30} or sum(figures["judged"].values()) == 60
    assert figures["first_reason_of_bad"].get("seam", 0) > 0.5 * figures["bad"]
    assert figures["first_reason_is_the_judges"] > 0.5 and sum(row["edits"] for row in figures["calibration"]) == 60


def test_the_shipped_model_is_the_fit_of_the_committed_judgements() -> None:
    rows = [json.loads(line) for file in JUDGED for line in file.read_text().splitlines()]
    model, figures = fit_model(rows)
    assert model == load_model(FILE)
    assert json.loads((REPOSITORY / "benchmarks/results/verdicts.json").read_text()) == json.loads(json.dumps(figures))
    assert max(figures["reasons_of_bad"].values()) <= 0.5 * figures["bad"], "one reason for most of them says little"
    for part in (figures, figures["masked"], figures["pulls"]):
        assert part["agreement"] >= 0.85, "on photos that it was not fitted on"


def test_what_nobody_judged_is_named(tmp_path: Path) -> None:
    file = tmp_path / "judged.jsonl"
    file.write_text(json.dumps({**judgements(1)[0], "kept": None}))
    result = CliRunner().invoke(main, ["fit", str(file)])
    assert isinstance(result.exception, InputError) and "0: `kept` is none of yes, maybe, no" in str(result.exception)
    file.write_text(json.dumps({**judgements(1)[0], "wrong": "ugly"}))
    result = CliRunner().invoke(main, ["fit", str(file)])
    assert isinstance(result.exception, InputError) and "0: `wrong` is none of torn, edges" in str(result.exception)
