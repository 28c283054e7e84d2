"""The program that compares three candidates with one drag."""

from __future__ import annotations

import importlib.util
from types import ModuleType

import pytest
from conftest import REPOSITORY

import edgedrag
from edgedrag.benchmarks.quality.edits.tasks import PAIRS, PULLS


@pytest.fixture(scope="module")
def candidate_cost() -> ModuleType:
    spec = importlib.util.spec_from_file_location("candidate_cost", REPOSITORY / "tools" / "candidate_cost.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_both_ways_are_measured_on_a_new_photo_and_on_a_known_one(
    candidate_cost: ModuleType, runtime: edgedrag.Runtime
) -> None:
    tasks = list(candidate_cost.scene_tasks())
    assert {task.group for task in tasks} == {PAIRS, PULLS}
    report = candidate_cost.measured(runtime, tasks[:1], rounds=1)
    for kind in ("first", "another"):
        for clock in ("processor", "wall"):
            figures = report[kind][clock]
            assert figures["ratio"] == pytest.approx(figures["candidates_ms"] / figures["drag_ms"], rel=0.05)


def test_ratios_are_of_neighbours(candidate_cost: ModuleType) -> None:
    times = {
        way: [{"processor": ms, "wall": 2 * ms} for ms in of_way]
        for way, of_way in (("drag", (10.0, 20.0, 100.0)), ("candidates", (20.0, 30.0, 110.0)))
    }
    found = candidate_cost.summary(times)
    assert found["processor"] == {"drag_ms": 20.0, "candidates_ms": 30.0, "ratio": 1.5, "ratio_of_sums": 1.23}
    assert found["wall"]["drag_ms"] == 40.0 and found["wall"]["ratio"] == 1.5
