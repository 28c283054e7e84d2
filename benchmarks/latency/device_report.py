"""`edgedrag bench report`: all reports of a device in one file, and the files of several devices merged.

A device file holds reports of `bench latency` and `bench accuracy` as they are, and what stations said at /metrics.
Merging puts the reports of all files into one, each once, so that the file of a fleet is again a device file.
"""

from __future__ import annotations

import hashlib
import html
import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from edgedrag.benchmarks.formatting import number
from edgedrag.benchmarks.latency import report as latency_report
from edgedrag.benchmarks.latency.measure import FORMAT as LATENCY
from edgedrag.benchmarks.latency.measure import FORMAT_VERSION as LATENCY_VERSION
from edgedrag.benchmarks.latency.station_metrics import FORMAT as STATION
from edgedrag.benchmarks.latency.station_metrics import FORMAT_VERSION as STATION_VERSION
from edgedrag.benchmarks.latency.station_metrics import read_stations, stations_table
from edgedrag.benchmarks.latency.tables import Table, name_of, tables
from edgedrag.benchmarks.report import parse_json, read_text, write_report
from edgedrag.runtime.errors import InputError
from edgedrag.runtime.files import write_aside

FORMAT, FORMAT_VERSION = "edgedrag-device", 1
ACCURACY = "edgedrag-accuracy"
VERSIONS = {LATENCY: LATENCY_VERSION, ACCURACY: 1, STATION: STATION_VERSION, FORMAT: FORMAT_VERSION}
TITLE = "edgedrag: report"
VERDICTS = ("good", "doubtful", "bad")


@dataclass
class Reports:
    """The reports of one device, or of a fleet, each once."""

    latency: list[dict[str, Any]] = field(default_factory=list)
    accuracy: list[dict[str, Any]] = field(default_factory=list)
    stations: list[dict[str, Any]] = field(default_factory=list)

    def add(self, report: dict[str, Any]) -> None:
        kept = {LATENCY: self.latency, ACCURACY: self.accuracy, STATION: self.stations}[report["format"]]
        if digest(report) not in map(digest, kept):
            kept.append(report)

    def as_json(self) -> dict[str, Any]:
        reports = [*self.latency, *self.accuracy, *self.stations]
        return {"format": FORMAT, "format_version": FORMAT_VERSION, "reports": reports}


def digest(report: dict[str, Any]) -> str:
    """The same for equal reports."""
    return hashlib.sha256(json.dumps(report, sort_keys=True).encode()).hexdigest()


def read_reports(files: Sequence[Path]) -> Reports:
    """Read reports of `bench latency` and `bench accuracy`, files of this command, and stations' metrics.

    Raises:
        InputError: a file that is none of them, or of another format version; says which.
    """
    reports = Reports()
    for file in files:
        for report in _reports(file, read_text(file)):
            _check(file, report)
            if report["format"] == FORMAT:
                raise InputError(f"{file}: a device file inside a device file")
            reports.add(report)
    return reports


def _reports(file: Path, text: str) -> list[Any]:
    """The reports that a file holds. Raises InputError."""
    if text.startswith("#"):  # a comment, as the metrics of Prometheus begin
        return list(read_stations(file, text))
    read = parse_json(file, text)
    _check(file, read)
    return list(read["reports"]) if read["format"] == FORMAT else [read]


def _check(file: Path, report: Any) -> None:
    if not isinstance(report, dict) or report.get("format") not in VERSIONS:
        raise InputError(f"{file}: not a report of `edgedrag bench latency`, `bench accuracy` or `bench report`")
    version = VERSIONS[report["format"]]
    if report.get("format_version") != version:
        found = report.get("format_version")
        raise InputError(f"{file}: report version {found}, this edgedrag reads version {version}; measure again")
    if report["format"] == FORMAT and not isinstance(report.get("reports"), list):
        raise InputError(f"{file}: it has no list of reports")


def device_of(report: dict[str, Any]) -> str:
    """The machine of a report."""
    context = report["context"] or {}
    return f"{context.get('board') or context.get('device')}, {context.get('cpus')} CPUs"


def accuracy_table(reports: Sequence[dict[str, Any]]) -> Table:
    """Each configuration's time beside what it costs."""
    rows = []
    for report in reports:
        for row in report["rows"]:
            distance = ["reference", "-"] if row["reference"] else [
                f"{number(row['psnr_db'], 1)} ({number(row['worst_psnr_db'], 1)})",
                f"{number(row['stlpips'], 4)} ({number(row['worst_stlpips'], 4)})",
            ]  # fmt: skip
            verdicts = " / ".join(str(row["verdicts"][verdict]) for verdict in VERDICTS)
            rows.append(
                [device_of(report), row["backend"], row["precision"], str(row["steps"]), number(row["median_ms"], 1),
                 *distance, verdicts]
            )  # fmt: skip
    note = (
        "Median milliseconds of a first drag; mean and worst PSNR and ST-LPIPS in the mask from the reference's edits "
        "of the same photos; edits that are good, doubtful and bad."
    )
    head = ("device", "backend", "precision", "steps", "first drag, ms", "dB (worst)", "ST-LPIPS (worst)", "verdicts")
    return Table("Accuracy beside latency", note, head, rows)


def overview(reports: Sequence[dict[str, Any]]) -> Table:
    """One line for each latency report, for the top of a fleet's page."""
    rows = []
    for report in reports:
        for run in report["runs"]:
            p50, p90 = (run["drag"]["percentiles"][name]["ms"] for name in ("p50", "p90"))
            busy = {True: "busy", False: "quiet", None: "not known"}[(report.get("machine") or {}).get("busy")]
            version = (report["context"] or {}).get("bundle_version") or "not stated"
            date = (report["context"] or {}).get("date") or "-"
            what = [name_of(report), date, version, run["size"], str(run["steps"])]
            rows.append([*what, number(p50, 1), number(p90, 1), number(run["host_mb"], 0), busy])
    head = ("device", "date", "bundle", "photo", "steps", "p50, ms", "p90, ms", "MB", "machine")
    return Table("Overview: another drag", "", head, rows)


def all_tables(reports: Reports) -> list[Table]:
    own = [stations_table(reports.stations), overview(reports.latency), accuracy_table(reports.accuracy)]
    return [*(table for table in own if table.rows), *tables(reports.latency)]


def as_text(reports: Reports) -> str:
    """The Markdown page."""
    lines = [part for line in busy_lines(reports) for part in (line, "")] + [f"# {TITLE}", ""]
    if not all(report["complete"] for report in reports.latency):
        lines += [f"**{latency_report.INCOMPLETE}**", ""]
    for table in all_tables(reports):
        lines += [
            f"## {table.title}",
            "",
            *((table.note, "") if table.note else ()),
            *latency_report.markdown(table),
            "",
        ]
    return "\n".join(lines)


def busy_lines(reports: Reports) -> list[str]:
    """What is said first: which reports are from a busy machine."""
    return [line for report in reports.latency if (line := latency_report.busy_line(reports.latency, report))]


def as_html(reports: Reports) -> str:
    """The page: the plot of quality against latency, the plots of latency reports, the tables."""
    first = "".join(f'<p class="bad">{html.escape(line)}</p>' for line in busy_lines(reports))
    if not all(report["complete"] for report in reports.latency):
        first += f'<p class="bad">{latency_report.INCOMPLETE}</p>'
    try:
        from edgedrag.benchmarks.latency.plots import plots, quality_against_latency

        drawn = [("Quality against latency", quality_against_latency(reports.accuracy))] if reports.accuracy else []
        drawn += list(plots(reports.latency))
    except ImportError as error:
        return latency_report.page(TITLE, f"{first}{latency_report.no_plots(error)}", all_tables(reports))
    figures = "".join(f"<figure><figcaption>{html.escape(c)}</figcaption>{svg}</figure>" for c, svg in drawn)
    return latency_report.page(TITLE, first + figures, all_tables(reports))


def write(reports: Reports, to: Path) -> None:
    """Write TO.json, TO.md and TO.html."""
    write_report(reports.as_json(), to.with_name(f"{to.name}.json"))
    write_aside(to.with_name(f"{to.name}.md"), as_text(reports).encode())
    write_aside(to.with_name(f"{to.name}.html"), as_html(reports).encode())
