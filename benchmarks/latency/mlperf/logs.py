"""LoadGen's logs: reading the detail log, and writing all three where LoadGen is not installed."""

from __future__ import annotations

import datetime
import json
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

import edgedrag
from edgedrag.benchmarks.latency.early_stopping import bound
from edgedrag.benchmarks.latency.mlperf.load import LEAST_QUERIES, PERCENTILE, SEED, Query, Settings
from edgedrag.benchmarks.latency.mlperf.loadgen import NAMES
from edgedrag.runtime.errors import InputError
from edgedrag.runtime.files import write_aside

MARK = ":::MLLOG"
DETAIL, SUMMARY, ACCURACY = "mlperf_log_detail.txt", "mlperf_log_summary.txt", "mlperf_log_accuracy.json"
PERCENTILES = (50.0, 90.0, 95.0, 97.0, 99.0, 99.9)
RULE = "=" * 48


def read_detail(file: Path) -> dict[str, Any]:
    """The values of a detail log by key; of a repeated key the first.

    Raises:
        InputError: a line is no message.
    """
    values: dict[str, Any] = {}
    for number, line in enumerate(file.read_text(encoding="utf-8").splitlines(), 1):
        if not line.startswith(MARK):
            raise InputError(f"{file}: line {number} does not begin with {MARK}")
        message = json.loads(line[len(MARK) :])
        values.setdefault(message["key"], message["value"])
    return values


def results(settings: Settings, queries: Sequence[Query]) -> dict[str, Any]:
    """What LoadGen derives from a run, by its keys."""
    nanoseconds = sorted(round(query.ms * 1e6) for query in queries)
    total = max(query.done for query in queries) - min(query.arrived for query in queries)
    judged = bound(nanoseconds, PERCENTILE)
    kept = settings.scenario != "server" or (judged is not None and judged <= settings.bound_ms * 1e6)
    lasted = total >= settings.seconds or settings.scenario == "server"
    enough = len(queries) >= LEAST_QUERIES
    stopping = settings.scenario == "offline" or judged is not None
    found: dict[str, Any] = {
        "result_validity": "VALID" if kept and lasted and enough and stopping else "INVALID",
        "result_perf_constraints_met": kept,
        "result_min_duration_met": lasted,
        "result_min_queries_met": enough,
        "early_stopping_met": stopping,
        "result_query_count": 1 if settings.scenario == "offline" else len(queries),
        "result_min_latency_ns": nanoseconds[0],
        "result_max_latency_ns": nanoseconds[-1],
        "result_mean_latency_ns": round(sum(nanoseconds) / len(nanoseconds)),
    }
    for percentile in PERCENTILES:
        value = int(np.percentile(nanoseconds, percentile, method="inverted_cdf"))
        found[f"result_{percentile:.2f}_percentile_latency_ns"] = value
    rate = len(queries) / total
    if settings.scenario == "single-stream":
        found |= {"result_qps_with_loadgen_overhead": rate, "early_stopping_latency_ss": round(judged or 0)}
    elif settings.scenario == "offline":
        found["result_samples_per_second"] = rate
    else:
        last = max(query.arrived for query in queries)
        found |= {"result_completed_samples_per_sec": rate, "result_scheduled_samples_per_sec": len(queries) / last}
    return found


def write(settings: Settings, queries: Sequence[Query], answers: Mapping[int, bytes], folder: Path) -> None:
    """Write the three logs of a run that this package drove; the first message says so.

    Args:
        answers: the edited pixels of each sample.
    """
    values = {
        "loadgen_version": f"edgedrag {edgedrag.__version__}, in LoadGen's form; LoadGen did not run",
        "test_datetime": datetime.datetime.now(datetime.timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ"),
        "sut_name": "edgedrag",
        "qsl_reported_total_count": settings.samples,
        "qsl_reported_performance_count": settings.samples,
        **_asked(settings),
        **results(settings, queries),
        "num_errors": 0,
    }
    messages = [f"{MARK} {json.dumps(_message(key, value))}" for key, value in values.items()]
    write_aside(folder / DETAIL, "".join(f"{line}\n" for line in messages).encode())
    write_aside(folder / SUMMARY, _summary(settings, values).encode())
    lines = [
        f'{{ "seq_id" : {at}, "qsl_idx" : {sample}, "data" : "{data.hex().upper()}" }}'
        for at, (sample, data) in enumerate(sorted(answers.items()))
    ]
    write_aside(folder / ACCURACY, ("[\n" + ",\n".join(lines) + "\n]\n").encode())


def _asked(settings: Settings) -> dict[str, Any]:
    """Both as requested and as in effect; this driver changes nothing."""
    asked = {
        "scenario": NAMES[settings.scenario], "test_mode": "PerformanceOnly",
        "min_duration_ms": round(settings.seconds * 1e3), "min_query_count": LEAST_QUERIES,
        "target_qps": settings.rate, "target_latency_percentile": PERCENTILE / 100,
        "target_latency_ns": round(settings.bound_ms * 1e6) if settings.scenario == "server" else 0,
        "performance_sample_count": settings.samples, "accuracy_sample_count": settings.samples,
        "sample_index_rng_seed": SEED, "schedule_rng_seed": SEED,
    }  # fmt: skip
    return {f"{kind}_{key}": value for kind in ("requested", "effective") for key, value in asked.items()}


def _message(key: str, value: Any) -> dict[str, Any]:
    place = {"is_error": False, "is_warning": False, "file": "logs.py", "line_no": 0, "pid": os.getpid(), "tid": 0}
    return {
        "key": key, "value": value, "time_ms": 0.0, "namespace": "mlperf::logging", "event_type": "POINT_IN_TIME",
        "metadata": place,
    }  # fmt: skip


def _summary(settings: Settings, values: Mapping[str, Any]) -> str:
    def answer(key: str) -> str:
        return "Yes" if values[key] else "NO"

    ninety = f"{PERCENTILE:.1f}th percentile latency (ns) : {values[f'result_{PERCENTILE:.2f}_percentile_latency_ns']}"
    first = {
        "single-stream": ninety,
        "offline": f"Samples per second: {values.get('result_samples_per_second', 0.0):.6g}",
        "server": f"Completed samples per second    : {values.get('result_completed_samples_per_sec', 0.0):.2f}",
    }[settings.scenario]
    lines = [
        RULE, "MLPerf Results Summary", RULE, "SUT name : edgedrag", f"Scenario : {NAMES[settings.scenario]}",
        "Mode     : PerformanceOnly", first, f"Result is : {values['result_validity']}",
        *(["  Performance constraints satisfied : " + answer("result_perf_constraints_met")]
          if settings.scenario == "server" else []),
        f"  Min duration satisfied : {answer('result_min_duration_met')}",
        f"  Min queries satisfied : {answer('result_min_queries_met')}",
        f"  Early stopping satisfied: {answer('early_stopping_met')}", "", RULE, "Additional Stats", RULE,
        f"Min latency (ns)                : {values['result_min_latency_ns']}",
        f"Max latency (ns)                : {values['result_max_latency_ns']}",
        f"Mean latency (ns)               : {values['result_mean_latency_ns']}",
        *(f"{p:.2f} percentile latency (ns)   : {values[f'result_{p:.2f}_percentile_latency_ns']}"
          for p in PERCENTILES),
        "", RULE, "Test Parameters Used", RULE,
        *(f"{key.removeprefix('effective_')} : {value}"
          for key, value in values.items() if key.startswith("effective_")),
        "", values["loadgen_version"], "",
    ]  # fmt: skip
    return "\n".join(lines)
