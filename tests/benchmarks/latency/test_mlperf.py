"""MLPerf's scenarios: arrivals, results by LoadGen's rules, logs in its form, a run by LoadGen where it is there."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from itertools import islice, pairwise
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from short_measurements import short_measurements

from edgedrag.benchmarks.latency import measure as latency
from edgedrag.benchmarks.latency.mlperf import loadgen, logs, scenarios
from edgedrag.benchmarks.latency.mlperf.load import Query, Settings, arrivals, drive
from edgedrag.benchmarks.latency.scene import Size
from edgedrag.benchmarks.latency.subject import Configuration
from edgedrag.benchmarks.latency.tables import tables
from edgedrag.runtime.errors import InputError

__all__ = ["short_measurements"]
with_loadgen = pytest.mark.skipif(loadgen.installed_version() is None, reason="mlcommons-loadgen is not installed")


def settings(scenario: str, seconds: float = 0.3, rate: float = 1000.0) -> Settings:
    return Settings(scenario, seconds, 16, rate, bound_ms=50.0)


def test_arrivals_of_a_server_are_a_poisson_process() -> None:
    times = np.array([at for at in islice(arrivals(settings("server", rate=40.0)), 4000)], float)
    gaps = np.diff(times)
    assert gaps.mean() == pytest.approx(1 / 40, rel=0.05)
    assert gaps.std() == pytest.approx(gaps.mean(), rel=0.06), "exponential gaps have their mean as deviation"


@pytest.mark.parametrize("scenario", ["single-stream", "offline", "server"])
def test_each_scenario_waits_as_it_should(scenario: str) -> None:
    queries = drive(settings(scenario, rate=300.0), lambda sample: time.sleep(0.001))
    assert len(queries) >= 64 and {q.sample for q in queries} <= set(range(16))
    assert all(q.arrived <= q.started <= q.done for q in queries)
    assert all(one.done <= two.started for one, two in pairwise(queries)), "one at a time"
    if scenario == "offline":
        assert {q.arrived for q in queries} == {0.0}
        assert len(queries) == 99, "1.1 times what is expected to fit, as LoadGen issues"
    elif scenario == "single-stream":
        assert all(two.arrived >= one.done for one, two in pairwise(queries))
    else:
        assert len({q.arrived for q in queries}) == len(queries)


def queries_of(latencies: list[float], apart: float = 0.01) -> list[Query]:
    return [Query(n % 16, n * apart, n * apart, n * apart + ms / 1e3) for n, ms in enumerate(latencies)]


def test_results_follow_loadgens_rules() -> None:
    few = logs.results(settings("single-stream"), queries_of([5.0] * 63))
    assert few["result_validity"] == "INVALID" and not few["early_stopping_met"], "64 queries bound the 90th percentile"
    enough = logs.results(settings("single-stream"), queries_of([5.0] * 64))
    assert enough["result_validity"] == "VALID" and enough["result_90.00_percentile_latency_ns"] == 5_000_000
    slow = logs.results(settings("server"), queries_of([5.0] * 80 + [60.0] * 20))
    assert not slow["result_perf_constraints_met"] and slow["result_validity"] == "INVALID"
    kept = logs.results(settings("server"), queries_of([5.0] * 98 + [60.0] * 2))
    assert kept["result_perf_constraints_met"] and kept["result_validity"] == "VALID"


def test_logs_are_in_loadgens_form_and_say_who_wrote_them(tmp_path: Path) -> None:
    made = settings("server")
    logs.write(made, queries_of([5.0] * 100), {n: bytes([n, 255]) for n in range(16)}, tmp_path)
    for line in (tmp_path / logs.DETAIL).read_text().splitlines():
        message = json.loads(line.removeprefix(":::MLLOG"))
        assert set(message) == {"key", "value", "time_ms", "namespace", "event_type", "metadata"}
        assert message["metadata"]["is_error"] is False
    values = logs.read_detail(tmp_path / logs.DETAIL)
    assert values["effective_scenario"] == "Server" and values["effective_target_latency_ns"] == 50_000_000
    assert "LoadGen did not run" in values["loadgen_version"]
    assert "Result is : VALID" in (tmp_path / logs.SUMMARY).read_text()
    accuracy = json.loads((tmp_path / logs.ACCURACY).read_text())
    assert [row["qsl_idx"] for row in accuracy] == list(range(16)) and accuracy[3]["data"] == "03FF"
    (tmp_path / logs.DETAIL).write_text("nothing\n")
    with pytest.raises(InputError, match="line 1"):
        logs.read_detail(tmp_path / logs.DETAIL)


@with_loadgen
@pytest.mark.parametrize("scenario", ["single-stream", "offline", "server"])
def test_loadgens_own_numbers_agree_with_ours(scenario: str, tmp_path: Path) -> None:
    made = settings(scenario, seconds=0.5, rate=100.0)
    queries = loadgen.run(made, lambda _: time.sleep(0.003), lambda sample: bytes([sample]), tmp_path)
    logged, own = logs.read_detail(tmp_path / logs.DETAIL), logs.results(made, queries)
    assert logged["effective_scenario"] == own.get("effective_scenario", loadgen.NAMES[scenario])
    assert {key for key in own if key.endswith("percentile_latency_ns")} <= set(logged)
    ours = own["result_90.00_percentile_latency_ns"] / 1e6
    theirs = logged["result_90.00_percentile_latency_ns"] / 1e6
    assert theirs == pytest.approx(ours, abs=500.0), "in the same unit; on a busy machine they are not as near as usual"
    accuracy = json.loads((tmp_path / logs.ACCURACY).read_text())
    assert {row["qsl_idx"]: row["data"] for row in accuracy} == {n: f"{n:02X}" for n in range(16)}


@with_loadgen
def test_an_error_in_a_sample_ends_the_run(tmp_path: Path) -> None:
    def fail(_: int) -> None:
        raise InputError("a sample failed")

    with pytest.raises(InputError, match="a sample failed"):
        loadgen.run(settings("single-stream"), fail, lambda _: b"x", tmp_path)


@pytest.mark.slow
@pytest.mark.parametrize("by_loadgen", [False, pytest.param(True, marks=with_loadgen)])
def test_a_bundle_runs_in_a_scenario(by_loadgen: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    if not by_loadgen:
        monkeypatch.setattr(loadgen, "installed_version", lambda: None)
    asked = scenarios.Asked(tmp_path / "logs")
    size = Size(256, 256)
    made = latency.Request(Configuration(), None, (size,), "single-stream", 1.0, 0.1, (), asked)
    report = json.loads(json.dumps(latency.measure(made, lambda _: None)))
    assert report["complete"] and report["runs"] == [] and report["cold_start"]["n"] == 1
    (run,) = report["mlperf"]
    assert run["driver"].startswith("LoadGen" if by_loadgen else "edgedrag") and run["latency"]["n"] >= 64
    assert run["compared"]["p50"]["log_ms"] == pytest.approx(run["compared"]["p50"]["own_ms"], rel=0.3, abs=20.0)
    lines = (tmp_path / "logs" / logs.DETAIL).read_text().splitlines()
    messages = [json.loads(line.removeprefix(":::MLLOG")) for line in lines if line.startswith(":::MLLOG")]
    assert lines[0].startswith(":::MLLOG") and len({message["key"] for message in messages}) > 10
    bad = [m for m in messages if m["metadata"]["is_error"] or m["metadata"]["is_warning"]]
    # LoadGen's log buffer grows where it is written late, on a busy machine; nothing is lost by that.
    assert not [m for m in bad if "Logging allocation" not in str(m["value"])], "as its parser counts"
    rows = json.loads((tmp_path / "logs" / logs.ACCURACY).read_text())
    picture = cv2.imdecode(np.frombuffer(bytes.fromhex(rows[0]["data"]), np.uint8), cv2.IMREAD_COLOR)
    assert sorted(row["qsl_idx"] for row in rows) == list(range(16)) and picture.shape[0] > 100
    assert any(table.title == "MLPerf scenarios" for table in tables([report]))


def test_scenarios_that_loadgen_lacks_are_refused(edit_cli: Callable[..., Any], tmp_path: Path) -> None:
    done = edit_cli("bench", "latency", "--scenario", "sustained", "--mlperf", tmp_path / "logs")
    assert done.returncode == 2 and "--mlperf" in done.stderr and not (tmp_path / "logs").exists()
    done = edit_cli("bench", "latency", "--scenario", "offline", "--mlperf", tmp_path / "none" / "logs")
    assert done.returncode == 2 and "none" in done.stderr
