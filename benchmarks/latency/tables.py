"""Latency reports as tables, for the HTML page and the Markdown summary."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from edgedrag.benchmarks.formatting import number

KINDS = {"drag": "another drag", "first_drag": "first drag", "preview": "motion-only preview"}
POINTER = {
    "first_preview": "first movement to preview",
    "result": "release to result",
    "behind": "preview lag",
}
SHOWN_SHARE = 0.02  # of a drag's time; spans with less are not shown
SHOWN_CONTEXT = (
    "time", "device", "cpus", "board", "memory_mb", "gpu", "governor", "nvpmodel", "load_1min", "platform", "python",
    "versions", "bundle", "backend", "precision", "checkpoint_sha256", "manifest_sha256", "recipe_sha256",
    "git_revision",
)  # fmt: skip


@dataclass(frozen=True)
class Table:
    """A table: title, note, column headings and rows of text."""

    title: str
    note: str
    head: Sequence[str]
    rows: Sequence[Sequence[str]]


def name_of(report: dict[str, Any]) -> str:
    """Device, engine and precision of a report, as a row label."""
    context = report["context"] or {}
    gpu = (context.get("gpu") or {}).get("name") if context.get("backend") not in ("cpu", "openvino") else None
    device = context.get("board") or gpu or f"{context.get('device')}, {context.get('cpus')} CPUs"
    return f"{device}, {context.get('backend')} {context.get('precision')}"


def tables(reports: Sequence[dict[str, Any]]) -> list[Table]:
    """All non-empty tables of one or several reports."""
    all_tables = (
        latency(reports), loaded(reports), pointer(reports), sustained(reports), cold_start(reports), graphs(reports),
        spans(reports), beside(reports), resources(reports), context(reports),
    )  # fmt: skip
    return [table for table in all_tables if table.rows]


def series_row(what: Sequence[str], series: dict[str, Any]) -> list[str]:
    cells = []
    for percentile in series["percentiles"].values():
        cells.append("-" if percentile["ms"] is None else f"{percentile['ms']:.1f} (<= {percentile['bound_ms']:.1f})")
    cov = f"{series['cov']:.1%}" if series["n"] else "-"
    return [*what, str(series["n"]), *cells, cov, "yes" if series["stable"] else "no"]


SERIES_HEAD = ("n", "p50", "p90", "p99", "CoV", "stable")
BOUNDS = (
    "Milliseconds. In brackets: upper bound of the true percentile with 99% confidence (MLPerf's early stopping). A "
    "dash: too few queries; p50 needs 11, p90 64, p99 662. Stable: the last three windows agree to 10%."
)


def latency(reports: Iterable[dict[str, Any]]) -> Table:
    rows = []
    for report in reports:
        for run in report["runs"]:
            for kind, title in KINDS.items():
                rows.append(series_row([name_of(report), run["size"], str(run["steps"]), title], run[kind]))
    return Table("Latency, single stream", BOUNDS, ("device", "photo", "steps", "query", *SERIES_HEAD), rows)


def pointer(reports: Iterable[dict[str, Any]]) -> Table:
    rows = []
    for report in reports:
        for cell in report.get("interactive", ()):
            for kind, title in POINTER.items():
                rows.append(series_row([name_of(report), cell["size"], str(cell["steps"]), title], cell[kind]))
    return Table("Pointer gestures", BOUNDS, ("device", "photo", "steps", "from", *SERIES_HEAD), rows)


def sustained(reports: Iterable[dict[str, Any]]) -> Table:
    rows = []
    for report in reports:
        for course in report.get("sustained", ()):
            throttled = {None: "unknown", True: "yes", False: "no"}[course["throttled"]]
            rows.append(
                [
                    name_of(report), course["size"], number(course["minutes"], 1), str(course["drag"]["n"]),
                    number(course["first_tenth_ms"], 1), number(course["last_tenth_ms"], 1), f"{course['drift']:+.1%}",
                    throttled, ", ".join(course["absent"]) or "-",
                ]
            )  # fmt: skip
    head = (
        "device",
        "photo",
        "minutes",
        "n",
        "first tenth",
        "last tenth",
        "drift",
        "throttled",
        "not available",
    )
    return Table("Sustained load", "Median milliseconds of the first and the last tenth of the time.", head, rows)


def loaded(reports: Iterable[dict[str, Any]]) -> Table:
    rows = []
    for report in reports:
        for run in report.get("mlperf", ()):
            bound = "-" if run["bound_ms"] is None else number(run["bound_ms"])
            what = [name_of(report), run["scenario"], run["size"], str(run["steps"]), run["driver"], run["validity"]]
            rate = [number(run["rate"], 1), number(run["samples_per_second"], 1), bound]
            series = series_row([], run["latency"])[:4]
            ratios = ", ".join(f"{name} {row['ratio']:.3f}" for name, row in run["compared"].items())
            rows.append([*what, *rate, *series, ratios])
    head = ("device", "scenario", "photo", "steps", "driven by", "result", "rate, 1/s", "reached, 1/s", "bound, ms",
            *SERIES_HEAD[:4], "log over own")  # fmt: skip
    note = (
        "Milliseconds by edgedrag's clock: from a query's arrival to its end, so that offline they hold the wait for "
        "all queries before it. The last column is the log's percentile over edgedrag's, in one run."
    )
    return Table("MLPerf scenarios", note, head, rows)


def cold_start(reports: Iterable[dict[str, Any]]) -> Table:
    parts = ("interpreter", "import", "open", "load_weights", "first_photo", "ready", "first_drag", "total")
    rows = [
        [
            name_of(report),
            str(report["cold_start"]["n"]),
            *(number(report["cold_start"].get(f"{p}_ms"), 1) for p in parts),
        ]
        for report in reports
        if report["cold_start"]["n"]
    ]
    note = (
        "Milliseconds, medians over new processes; files are in the system's cache. `open` includes the import of the "
        "engine and the check of hashes; a drag can begin when all is `ready`."
    )
    return Table("Cold start", note, ("device", "n", *(p.replace("_", " ") for p in parts)), rows)


def graphs(reports: Iterable[dict[str, Any]]) -> Table:
    rows = []
    for report in reports:
        for run in report["runs"]:
            profile = run["profile"]
            if profile is None:
                continue
            inside = ", ".join(f"{name} {ms:.1f}" for name, ms in profile["graphs_ms"].items())
            steps = ", ".join(f"{ms:.1f}" for ms in profile["steps_ms"])
            outside = number(profile["outside_graphs_ms"].get("drag"), 1)
            rows.append([name_of(report), run["size"], str(run["steps"]), inside, steps, outside])
    note = "Median milliseconds, from separate drags with recorded spans."
    return Table("Graphs", note, ("device", "photo", "steps", "each graph", "each step", "outside the graphs"), rows)


def spans(reports: Iterable[dict[str, Any]]) -> Table:
    rows = []
    for report in reports:
        for run in report["runs"]:
            figures = (run["profile"] or {}).get("spans_ms", {})
            for kind, own in figures.items():
                total = sum(own.values())
                large = {name: ms / total for name, ms in own.items() if ms > SHOWN_SHARE * total}
                shown = ", ".join(f"{name} {share:.0%}" for name, share in large.items())
                what = name_of(report), run["size"], str(run["steps"]), kind.replace("_", " ")
                rows.append([*what, number(total, 1), shown])
    note = "Shares of a drag's time by span, each without the spans inside it; median milliseconds, summed."
    return Table("Where a drag's time goes", note, ("device", "photo", "steps", "query", "ms", "shares"), rows)


def beside(reports: Iterable[dict[str, Any]]) -> Table:
    rows = []
    for report in reports:
        peers = report.get("peers")
        for name, row in (peers or {"rows": {}})["rows"].items():
            ratio = (
                f"{row['ratio']:.2f} ({row['interval'][0]:.2f} to {row['interval'][1]:.2f})" if "ratio" in row else "1"
            )
            rows.append([name_of(report), name, row["what"], str(row["n"]), number(row["median_ms"], 1), ratio])
        for name, reason in (peers or {"absent": {}})["absent"].items():
            rows.append([name_of(report), name, f"absent: {reason}", "-", "-", "-"])
    note = "Another drag, interleaved in one run; the ratio is the peer's time over edgedrag's."
    return Table("Peers", note, ("device", "peer", "what", "n", "median, ms", "ratio (95%)"), rows)


def resources(reports: Iterable[dict[str, Any]]) -> Table:
    rows = []
    for report in reports:
        energies = [part["energy"] for part in (*report["runs"], *report.get("sustained", ()))]
        for energy in energies[:1]:
            joules = energy["joules_per_drag"]
            shown = ", ".join(f"{name} {number(value)} J" for name, value in joules.items()) if joules else "absent: "
            shown += "" if joules else "; ".join(f"{name}: {why}" for name, why in energy["absent"].items())
            memory, peaks = report["memory"], report.get("peaks") or {}
            at_most = ", ".join(f"{key.replace('_', ' ', 1)} {number(value)}" for key, value in peaks.items() if value)
            device = number(memory["device_mb"], 0) if memory["device_mb"] else f"absent: {memory['device_reason']}"
            rows.append([name_of(report), number(memory["host_mb"], 0), device, shown, at_most or "-"])
    note = "Peak memory of a process; energy of the whole machine or GPU; practical peaks of the processor."
    return Table(
        "Memory, energy, peaks", note, ("device", "host, MB", "device, MB", "energy per drag", "processor peaks"), rows
    )


def context(reports: Sequence[dict[str, Any]]) -> Table:
    def cell(value: Any) -> str:
        if isinstance(value, dict):
            return ", ".join(f"{k} {v}" for k, v in value.items() if v is not None)
        return "-" if value is None else str(value)

    known = [report["context"] for report in reports if report["context"]]
    rows = [[key, *(cell(context.get(key)) for context in known)] for key in SHOWN_CONTEXT]
    return Table("Context", "", ("", *(f"report {i + 1}" for i in range(len(known)))), rows if known else [])
