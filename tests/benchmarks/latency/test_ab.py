"""Two configurations taking turns, from the command line."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from short_measurements import short_measurements

import edgedrag
from edgedrag.benchmarks.latency import compare
from edgedrag.benchmarks.latency.scene import Size
from edgedrag.benchmarks.latency.subject import Configuration
from edgedrag.runtime.errors import InputError

__all__ = ["short_measurements"]
pytestmark = pytest.mark.slow

SIZE = Size(256, 256)


def test_sides_take_turns_and_their_difference_is_seen(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(compare, "PAIRS", 3)
    monkeypatch.setattr(compare, "STARTS", 1)
    monkeypatch.setattr(compare, "SHARES", {"drag": 1.0})
    found = compare.measure_ab((Configuration(), 1), (Configuration(), 8), SIZE, 0.3, lambda _: None)
    assert found["complete"] and found["in_turns"] and found["differs"]["steps"] == [1, 8]
    for kind, pairs in found["samples_ms"].items():
        assert len(pairs) == 3, kind
        assert all(len(turns["a"]) == len(turns["b"]) >= 1 for turns in pairs)
    row, ready, start = found["rows"]
    low, high = row["interval"]
    assert row["kind"] == "drag" and low < row["ratio"] < high
    assert [ready["kind"], start["kind"]] == ["ready", "start"]
    assert ready["n"] == start["n"] == [3, 3] and start["ratio"] > 0
    for (before,), (after,) in zip(*(found["samples_ms"][kind][0]["a"] for kind in ("ready", "start"))):
        assert 0 < before < after
    assert "steps: A 1, B 8" in compare.describe(found)
    json.dumps(found)


def test_another_checkout_is_measured_with_this_instrument(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(compare, "PAIRS", 1)
    monkeypatch.setattr(compare, "STARTS", 2)
    monkeypatch.setattr(compare, "SHARES", {"drag": 1.0})
    (tmp_path / "other" / "src").mkdir(parents=True)
    (tmp_path / "other" / "src" / "edgedrag").symlink_to(Path(edgedrag.__file__).parent)
    other = Configuration(source=tmp_path / "other")
    found = compare.measure_ab((other, None), (Configuration(), None), SIZE, 0.1, lambda _: None)
    assert [len(turns["a"]) for turns in found["samples_ms"]["start"]] == [2]
    assert found["a"]["source"] == "other" and found["differs"]["source"] == ["other", None]
    with pytest.raises(InputError, match="no checkout"):
        compare.measure_ab((Configuration(source=tmp_path), None), (Configuration(), None), SIZE, 1.0, lambda _: None)


def test_an_interruption_is_marked() -> None:
    def interrupt(text: str) -> None:
        if "preview" in text:
            raise KeyboardInterrupt

    found = compare.measure_ab((Configuration(), None), (Configuration(), None), SIZE, 0.1, interrupt)
    assert not found["complete"] and "incomplete" in compare.describe(found)


def test_bad_sides_are_errors(edit_cli: Callable[..., Any]) -> None:
    for side, message in (("--precision fp3", "fp3"), ("--speed 3", "--speed"), ("'", "quotation")):
        done = edit_cli("bench", "ab", "--a", side, "--b", "")
        assert done.returncode == 2 and message in done.stderr and "Traceback" not in done.stderr, done.stderr
