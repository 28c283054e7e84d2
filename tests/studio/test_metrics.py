"""Metrics by Prometheus's conventions; the dashboard and the alert rules of docs/ name none that does not exist."""

from __future__ import annotations

import json
import math
import re
import shutil
import subprocess
from pathlib import Path

import pytest
from conftest import REPOSITORY
from prometheus_client import generate_latest
from prometheus_client.parser import text_string_to_metric_families

from edgedrag.studio.health.metrics import BUILD_LABELS, Metrics
from edgedrag.studio.settings import Limits

DOCS = REPOSITORY / "docs" / "monitoring"
RULES, DASHBOARD = DOCS / "alerts.yml", DOCS / "grafana_dashboard.json"
UNITS = ("_seconds", "_bytes", "_ratio", "_pixels", "_info")
COUNTS = {"edgedrag_queue_jobs", "edgedrag_sessions", "edgedrag_drift_alarm", "edgedrag_limit_exceeded"}


def text() -> str:
    metrics = Metrics(lambda: 0, lambda: 0, lambda: 0)
    metrics.describe(station="a", version="1", bundle="embedded", release="7-abc", backend="cpu", precision="int8")
    metrics.edits.labels("bad").inc()
    return generate_latest(metrics.refreshed({"bad_share"}, math.nan, 12.0)).decode()


def test_every_verdict_is_there_before_an_edit() -> None:
    families = {family.name: family for family in text_string_to_metric_families(text())}
    edits = {sample.labels["verdict"]: sample.value for sample in families["edgedrag_edits"].samples}
    assert edits == {"good": 0, "doubtful": 0, "bad": 1}


def dashboard_queries() -> list[str]:
    panels = json.loads(DASHBOARD.read_text())["panels"]
    return [target["expr"] for panel in panels for target in panel.get("targets", [])]


def test_names_have_units_and_counters_end_in_total() -> None:
    families = {family.name: family for family in text_string_to_metric_families(text())}
    own = {name: family for name, family in families.items() if name.startswith("edgedrag_")}
    assert len(own) == 18
    for name, family in own.items():
        assert family.documentation.endswith("."), name
        if family.type == "counter":
            assert all(sample.name.endswith("_total") for sample in family.samples), name
        else:
            assert name.endswith(UNITS) or name in COUNTS, name
    limits = {s.labels["limit"]: s.value for s in own["edgedrag_limit_exceeded"].samples}
    assert limits == {name: float(name == "bad_share") for name in Limits.model_fields}
    assert own["edgedrag_recent_edits_bad_ratio"].samples[0].value == 0, "no edits yet"
    assert own["edgedrag_state_free_bytes"].samples[0].value == 12e6


def test_dashboard_and_rules_name_metrics_that_there_are() -> None:
    known = {sample.name for family in text_string_to_metric_families(text()) for sample in family.samples}
    known |= {family.name + end for family in text_string_to_metric_families(text()) for end in ("_bucket", "_total")}
    dashboard = json.loads(DASHBOARD.read_text())
    queries = dashboard_queries()
    assert len(queries) >= 10
    used = set(re.findall(r"\b(?:edgedrag|process)_\w+", " ".join(queries) + RULES.read_text()))
    assert used and used <= known, used - known
    labels = set(re.findall(r"group_left \(([^)]*)\)", " ".join(queries)))
    labels = {name.strip() for each in labels for name in each.split(",")} | {"station"}
    assert labels <= set(BUILD_LABELS), "what other metrics are joined with says these"
    stations = [query for query in queries if 'edgedrag_build_info{station=~"$station"}' in query]
    assert stations == queries, "each is by station"
    places = [tuple(panel["gridPos"].values()) for panel in dashboard["panels"]]
    assert len(set(places)) == len(places) and len({panel["id"] for panel in dashboard["panels"]}) == len(places)


@pytest.mark.skipif(shutil.which("promtool") is None, reason="needs promtool, of Debian's package prometheus")
def test_promtool_takes_metrics_rules_and_queries(tmp_path: Path) -> None:
    filled = [query.replace("$__rate_interval", "5m").replace("$station", ".*") for query in dashboard_queries()]
    rules = [{"record": f"query_{number}", "expr": query} for number, query in enumerate(filled)]
    queries = tmp_path / "queries.yml"  # JSON is YAML too
    queries.write_text(json.dumps({"groups": [{"name": "dashboard", "rules": rules}]}))
    for arguments, given in ((["check", "metrics"], text()), (["check", "rules", str(RULES), str(queries)], "")):
        done = subprocess.run(["promtool", *arguments], input=given, capture_output=True, text=True, timeout=60)
        assert done.returncode == 0, done.stdout + done.stderr
    tests = ["promtool", "test", "rules", str(REPOSITORY / "tests" / "studio" / "alerts_test.yml")]
    done = subprocess.run(tests, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stdout + done.stderr
