"""Reports of latency say what they should; figures are not asserted on noisy machines."""

from __future__ import annotations

import csv
import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from short_measurements import short_measurements

from edgedrag.benchmarks.latency import interactive, single_stream, sustained
from edgedrag.benchmarks.latency import measure as latency
from edgedrag.benchmarks.latency import report as latency_report
from edgedrag.benchmarks.latency.compare import compare_reports, read_report
from edgedrag.benchmarks.latency.peers import PEERS
from edgedrag.benchmarks.latency.scene import Size
from edgedrag.benchmarks.latency.series import figures
from edgedrag.benchmarks.latency.subject import Configuration
from edgedrag.runtime.errors import BundleError, InputError
from edgedrag.runtime.options import RuntimeOptions
from edgedrag.runtime.trace_file import tracing

__all__ = ["short_measurements"]
pytestmark = pytest.mark.slow

SIZE = Size(320, 256)


def request(scenario: str = "single-stream", **changed: Any) -> latency.Request:
    values = {"what": Configuration(), "steps": (1, 2), "sizes": (SIZE,), "scenario": scenario, "seconds": 1.0}
    return latency.Request(**{**values, "minutes": 0.03, "peers": (), **changed})


def quiet(_: str) -> None: ...


@pytest.fixture(scope="module")
def trace_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the run's trace is."""
    return tmp_path_factory.mktemp("trace") / "trace.json"


@pytest.fixture(scope="module")
def report(trace_file: Path) -> dict[str, Any]:
    """One run, with two peers beside it."""
    with pytest.MonkeyPatch.context() as patch, tracing(trace_file, "a test"):
        patch.setattr(single_stream, "PROCESSES", 3)
        return json.loads(json.dumps(latency.measure(request(peers=("unsplit", "classical")), quiet)))


def test_every_cell_has_its_figures(report: dict[str, Any]) -> None:
    assert report["complete"] and report["scenario"] == "single-stream"
    assert [(run["size"], run["steps"]) for run in report["runs"]] == [("320x256", 1), ("320x256", 2)]
    for run in report["runs"]:
        for kind in ("drag", "first_drag", "preview"):
            series = run[kind]
            assert len(series["samples_ms"]) == len(series["windows_median_ms"]) == 3
            assert series["n"] == sum(map(len, series["samples_ms"])) and series["cov"] >= 0
            assert (series["median_ms"] is None) == (series["percentiles"]["p50"]["ms"] is None)
            assert series["min_ms"] <= (series["median_ms"] or series["mean_ms"]) <= series["max_ms"]
        assert run["drag"]["percentiles"]["p99"]["ms"] is None, "a second is too short for 662 drags"
        assert "662" in run["drag"]["percentiles"]["p99"]["reason"]


def test_time_is_reported_by_graph_step_and_start(report: dict[str, Any]) -> None:
    one, two = (run["profile"] for run in report["runs"])
    assert set(one["graphs_ms"]) == {"hold_features", "hold_answers", "encoder", "condition", "denoiser", "decoder"}
    assert len(one["steps_ms"]) == 1 and len(two["steps_ms"]) == 2
    assert 0 < one["outside_graphs_ms"]["drag"] < one["total_ms"]
    cold = report["cold_start"]
    assert cold["n"] == 3, "one of each process"
    assert all(cold[part] > 0 for part in single_stream.COLD)
    assert cold["total_ms"] == pytest.approx(sum(cold[part] for part in single_stream.COLD), abs=0.1)
    assert cold["ready_ms"] == pytest.approx(cold["total_ms"] - cold["first_drag_ms"], abs=0.1)
    assert all(50 < run["host_mb"] <= report["memory"]["host_mb"] < 500 for run in report["runs"])
    assert report["memory"]["host_mb"] < 500 and report["memory"]["device_mb"] is None


def test_the_trace_has_the_drags_that_the_profile_is_made_of(report: dict[str, Any], trace_file: Path) -> None:
    events = json.loads(trace_file.read_text())
    named = {e["args"]["name"]: e["pid"] for e in events if e["name"] == "process_name"}
    assert set(named) == {"a test", "measured process"}
    drags = [e for e in events if e["name"] == "photo.drag" and e["pid"] == named["measured process"]]
    assert len(drags) == single_stream.PROFILED * (3 + 4), "a part before, between and after the steps"
    made = [e["dur"] / 1e3 for e in events if e["name"] == "condition" and e["cat"] == "graph"]
    assert len(made) == 2 * single_stream.PROFILED
    assert min(made) <= report["runs"][0]["profile"]["graphs_ms"]["condition"] <= max(made)


def test_every_sample_is_in_the_csv(report: dict[str, Any], tmp_path: Path) -> None:
    latency_report.write_samples(report, tmp_path / "samples.csv")
    with (tmp_path / "samples.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert list(rows[0]) == ["scenario", "size", "steps", "kind", "window", "query", "ms"]
    for run in report["runs"]:
        for kind in ("drag", "first_drag", "preview"):
            same = [r for r in rows if (int(r["steps"]), r["kind"]) == (run["steps"], kind)]
            windows = [[float(r["ms"]) for r in same if int(r["window"]) == w] for w in range(3)]
            assert windows == run[kind]["samples_ms"]


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--trace", "{tmp}/no/t.json"], "no such folder"),
        (["--samples", "{tmp}/no/s.csv"], "no such folder"),
        (["--samples", "{tmp}"], "is a folder"),
        (["--trace", "{tmp}/t.json", "--scenario", "interactive"], "single-stream"),
    ],
)
def test_no_place_for_traces_and_samples_is_said_before_any_drag(
    tmp_path: Path, edit_cli: Callable[..., Any], options: list[str], words: str
) -> None:
    done = edit_cli("bench", "latency", *(option.replace("{tmp}", str(tmp_path)) for option in options))
    assert done.returncode == 2 and words in done.stderr and not done.stdout, done.stderr
    assert not list(tmp_path.iterdir())


def test_the_context_names_all_that_a_latency_depends_on(report: dict[str, Any]) -> None:
    context = report["context"]
    for name in ("device", "cpus", "governor", "nvpmodel", "versions", "checkpoint_sha256", "manifest_sha256"):
        assert name in context
    assert re.fullmatch("[0-9a-f]{64}", context["manifest_sha256"]) and context["recipe_sha256"]
    assert context["backend"] == "cpu" and context["versions"]["onnxruntime"]
    energy = report["runs"][0]["energy"]
    assert (energy["joules_per_drag"] is None) <= bool(energy["absent"]), "shown, or said to be absent and why"


def test_peers_are_ratios_or_absent(report: dict[str, Any]) -> None:
    rows, absent = report["peers"]["rows"], report["peers"]["absent"]
    assert set(rows) == {"edgedrag", "unsplit", "classical"}
    assert set(absent) == set(PEERS) - set(rows)
    for name in ("unsplit", "classical"):
        low, high = rows[name]["interval"]
        assert low <= rows[name]["ratio"] <= high
    assert report["peaks"]["fp32_gflops"] > 0 and report["peaks"]["copy_gb_s"] > 0


def test_a_report_compares_with_itself(report: dict[str, Any], tmp_path: Path) -> None:
    file = tmp_path / "a.json"
    file.write_text(json.dumps(report))
    found = compare_reports(read_report(file), read_report(file))
    assert found["verdict"] == "no difference shown" and found["differs"] == {}
    assert all(row["ratio"] == 1 for row in found["rows"])


def even(report: dict[str, Any], ms: float) -> dict[str, Any]:
    """The report as of a machine on which all that it times takes about as long."""
    other = json.loads(json.dumps(report))
    for run in other["runs"]:
        for kind in ("drag", "first_drag", "preview"):
            run[kind] = figures([[ms * (1 + 0.01 * ((k + w) % 5)) for k in range(30)] for w in range(5)])
    return other


def test_compare_ends_with_4_where_b_is_slower(
    report: dict[str, Any], tmp_path: Path, edit_cli: Callable[..., Any]
) -> None:
    (tmp_path / "a.json").write_text(json.dumps(even(report, 40.0)))
    (tmp_path / "b.json").write_text(json.dumps(even(report, 44.0)))
    slower = edit_cli("bench", "compare", tmp_path / "a.json", tmp_path / "b.json", "--json")
    assert slower.returncode == 4 and json.loads(slower.stdout)["verdict"] == "slower"
    faster = edit_cli("bench", "compare", tmp_path / "b.json", tmp_path / "a.json")
    assert faster.returncode == 0 and "faster" in faster.stdout.splitlines()[0]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, "cannot be read"),
        ("{", "not JSON"),
        ("[]", "not a report"),
        ('{"format": "edgedrag-latency"}', "version"),
    ],
)
def test_what_is_no_report_is_refused(tmp_path: Path, content: str | None, message: str) -> None:
    file = tmp_path / "x.json"
    if content is not None:
        file.write_text(content)
    with pytest.raises(InputError, match=message):
        read_report(file)


def test_reports_with_nothing_in_common_are_refused(report: dict[str, Any]) -> None:
    other = json.loads(json.dumps(report))
    for run in other["runs"]:
        run["size"] = "64x64"
    with pytest.raises(InputError, match="in common"):
        compare_reports(report, other)


def test_the_page_holds_everything_and_needs_no_network(report: dict[str, Any], tmp_path: Path) -> None:
    latency_report.write([report], tmp_path / "report")
    assert json.loads((tmp_path / "report.json").read_text()) == report
    page, text = ((tmp_path / f"report.{kind}").read_text() for kind in ("html", "md"))
    assert page.count("<svg") >= 4 and "INCOMPLETE" not in page
    assert not re.search(r"""(?:src|href)\s*=\s*["']?https?:|@import|<script|<link""", page)
    for word in ("another drag", "Cold start", "Peers", "absent", "manifest_sha256"):
        assert word in page and word in text
    latency_report.write([report, even(report, 40.0)], tmp_path / "fleet")
    assert not (tmp_path / "fleet.json").exists()
    assert (tmp_path / "fleet.md").read_text().count("motion-only preview") == 4


def test_without_matplotlib_the_page_says_what_to_install(
    report: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(__import__("sys").modules, "edgedrag.benchmarks.latency.plots", None)
    page = latency_report.as_html([report])
    assert "<svg" not in page and "extra [report]" in page and "<table>" in page


def test_an_interruption_leaves_the_figures_so_far() -> None:
    def interrupt(text: str) -> None:
        if "window 2" in text:
            raise KeyboardInterrupt

    report = latency.measure(request(steps=None), interrupt)
    assert not report["complete"] and report["runs"][0]["drag"]["n"] > 0
    assert "INCOMPLETE" in latency_report.as_text([report]) and "INCOMPLETE" in latency_report.as_html([report])
    assert compare_reports(report, report)["rows"][0]["ratio"] is None, "one window is not enough to compare"


def test_a_pointer_is_followed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(interactive, "PROCESSES", 1)
    report = latency.measure(request("interactive", steps=None), quiet)
    (cell,) = report["interactive"]
    assert cell["gestures"] >= 1 and cell["previews_per_gesture"] >= 1
    assert cell["result"]["n"] == cell["gestures"] and cell["result"]["min_ms"] > 0
    assert cell["behind"]["min_ms"] > 0 and "gestures" in latency_report.as_html([report])


def test_a_sustained_run_has_a_course(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sustained, "SPANS", 6)
    report = latency.measure(request("sustained", steps=None), quiet)
    (course,) = report["sustained"]
    assert len(course["shown"]) == 6 and course["drag"]["n"] >= 6
    assert course["drift"] == pytest.approx(course["last_tenth_ms"] / course["first_tenth_ms"] - 1, abs=1e-3)
    assert course["throttled"] is None or not course["absent"].count("throttle")
    assert "Sustained load" in latency_report.as_html([report])


def test_what_the_bundle_lacks_is_an_error() -> None:
    with pytest.raises(BundleError, match="no such bundle"):
        latency.measure(request(what=Configuration(RuntimeOptions(bundle="/nowhere"))), quiet)
    with pytest.raises(InputError, match="steps"):
        latency.measure(request(steps=(1000,)), quiet)


@pytest.mark.parametrize(
    ("option", "value", "message"),
    [("--sizes", "big", "512 or 4000x3000"), ("--sizes", "8", "64 pixels"), ("--peers", "jax", "jax"),
     ("--steps", "0", "1 step"), ("-o", "nowhere/report", "nowhere")],
)  # fmt: skip
def test_bad_options_are_errors_before_anything_runs(
    option: str, value: str, message: str, edit_cli: Callable[..., Any], tmp_path: Path
) -> None:
    done = edit_cli("bench", "latency", option, value, cwd=tmp_path)
    assert done.returncode == 2 and message in done.stderr and "Traceback" not in done.stderr
