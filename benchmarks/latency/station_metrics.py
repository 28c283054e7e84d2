"""What stations say at /metrics, as reports of a fleet: bundle, engine, verdicts, drift and latency of each."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from datetime import datetime, timezone
from pathlib import Path
from typing import TYPE_CHECKING, Any

from edgedrag.benchmarks.formatting import number
from edgedrag.benchmarks.latency.tables import Table
from edgedrag.runtime.errors import InputError
from edgedrag.runtime.extras import missing_package

if TYPE_CHECKING:
    from prometheus_client.samples import Sample

FORMAT, FORMAT_VERSION = "edgedrag-station", 1
BUILD = ("station", "version", "bundle", "release", "backend", "precision")
VERDICTS = ("good", "doubtful", "bad")


def read_stations(file: Path, text: str) -> list[dict[str, Any]]:
    """A report for each station in a file that was read from /metrics, of a station or of a Pushgateway.

    Raises:
        InputError: it is not Prometheus's text format, or no station's.
        EngineError: prometheus-client is not installed.
    """
    try:
        from prometheus_client.parser import text_string_to_metric_families
    except ModuleNotFoundError as error:
        raise missing_package(error.name or "", "studio") or error from error
    try:
        samples = [sample for family in text_string_to_metric_families(text) for sample in family.samples]
    except ValueError as error:
        raise InputError(f"{file}: neither JSON nor Prometheus's text format ({error})") from None
    by_instance: dict[str, list[Sample]] = {}
    for sample in samples:
        by_instance.setdefault(sample.labels.get("instance", ""), []).append(sample)
    taken = datetime.fromtimestamp(file.stat().st_mtime, timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")
    found = [_report(each, taken) for each in by_instance.values() if _values(each, "edgedrag_build_info")]
    if not found:
        raise InputError(f"{file}: no station's metrics (edgedrag_build_info is not in it)")
    return found


def _values(samples: Iterable[Sample], name: str) -> list[Sample]:
    return [sample for sample in samples if sample.name == name]


def _report(samples: Sequence[Sample], taken: str) -> dict[str, Any]:
    build = _values(samples, "edgedrag_build_info")[0].labels
    verdicts = {each.labels["verdict"]: round(each.value) for each in _values(samples, "edgedrag_edits_total")}
    buckets = _values(samples, "edgedrag_edit_duration_seconds_bucket")
    counts = sorted((float(each.labels["le"]), each.value) for each in buckets)
    return {
        "format": FORMAT,
        "format_version": FORMAT_VERSION,
        "taken": taken,
        **{name: build.get(name, "") for name in BUILD},
        "edits": {verdict: verdicts.get(verdict, 0) for verdict in VERDICTS},
        "recent_bad_ratio": next((each.value for each in _values(samples, "edgedrag_recent_edits_bad_ratio")), None),
        "drift_alarm": any(each.value for each in _values(samples, "edgedrag_drift_alarm")),
        "limits_exceeded": [each.labels["limit"] for each in _values(samples, "edgedrag_limit_exceeded") if each.value],
        "edit_seconds": {"p50": quantile(0.5, counts), "p95": quantile(0.95, counts)},
    }


def quantile(share: float, counts: Sequence[tuple[float, float]]) -> float | None:
    """A quantile of a histogram by linear interpolation in its bucket, as Prometheus's `histogram_quantile`.

    Args:
        counts: upper bounds, rising, with how many values are up to each; the last bound is infinite.

    Returns:
        None where there are no values; the largest finite bound where it lies beyond that.
    """
    if not counts or not counts[-1][1]:
        return None
    rank, low, before = share * counts[-1][1], 0.0, 0.0
    for bound, count in counts:
        if count >= rank and count > before:
            return low if math.isinf(bound) else round(low + (bound - low) * (rank - before) / (count - before), 4)
        low, before = bound, count
    return low


def stations_table(reports: Sequence[dict[str, Any]]) -> Table:
    """A line for each station, by name."""
    rows = []
    for report in sorted(reports, key=lambda each: (each["station"], each["taken"])):
        seconds, ratio = report["edit_seconds"], report["recent_bad_ratio"]
        engine = f"{report['backend']} {report['precision']}"
        said = ["drift"] * report["drift_alarm"] + report["limits_exceeded"]
        verdicts = " / ".join(str(report["edits"][verdict]) for verdict in VERDICTS)
        recent = "-" if ratio is None else f"{ratio:.0%}"
        times = [number(seconds[name], 2) for name in ("p50", "p95")]
        what = [report["station"], report["taken"], report["bundle"], report["release"] or "-", engine]
        rows.append([*what, report["version"], verdicts, recent, *times, ", ".join(said) or "-"])
    head = (
        "station",
        "taken",
        "bundle",
        "release",
        "engine",
        "edgedrag",
        "verdicts",
        "bad of 50",
        "p50, s",
        "p95, s",
        "alarms",
    )
    note = (
        "Edits since each station started: good, doubtful and bad; the share of bad ones among the newest 50; seconds "
        "from request to result, from a histogram; the drift alarm and the limits that are exceeded."
    )
    return Table("Stations", note, head, rows)
