"""The copy without spans is one: it runs, makes the same picture, and records nothing."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import cv2
import pytest
from conftest import EXAMPLES

import edgedrag
from edgedrag.benchmarks.latency.tracing import cost_of_spans, off_over_without, without_spans

pytestmark = pytest.mark.slow

PROBE = """
import hashlib, sys, edgedrag
from edgedrag.runtime import trace
photo = edgedrag.open().load(sys.argv[1])
with trace.recording() as events:
    image = photo.drag([((265, 240), (240, 248))]).image
print(edgedrag.__file__)
print(sorted({event["cat"] for event in events}))
print(hashlib.sha256(image.tobytes()).hexdigest())
"""


def probe(root: Path) -> list[str]:
    command = [sys.executable, "-c", PROBE, str(EXAMPLES / "chelsea.png")]
    done = subprocess.run(command, capture_output=True, text=True, env={**os.environ, "PYTHONPATH": str(root)})
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()


def test_the_copy_has_no_spans_but_what_edit_timings_are_made_of(tmp_path: Path) -> None:
    assert without_spans(tmp_path) >= 20
    with_them, without = probe(Path(edgedrag.__file__).parents[1]), probe(tmp_path / "src")
    assert str(tmp_path) in without[0] and str(tmp_path) not in with_them[0]
    assert without[1] == "['drag', 'stage', 'step']" and "graph" in with_them[1]
    assert with_them[2] == without[2]


def test_the_cost_is_reported_as_counts_and_ratios() -> None:
    before = cv2.getNumThreads()
    found = cost_of_spans(rounds=2)
    cv2.setNumThreads(before)
    assert found["spans_per_drag"] >= 20
    assert found["off_ns_per_span"] > 0 and found["off_us_per_drag"] > 0 and found["recording_over_off"] > 0


def test_both_take_turns(tmp_path: Path) -> None:
    without_spans(tmp_path / "without")
    found = off_over_without(tmp_path, seconds=1.0, pairs=3)
    for kind in ("ms", "processor_ms"):
        low, high = found[kind]["interval"]
        assert low < found[kind]["ratio"] < high and found[kind]["drags"] >= 3 * 3 * 4
