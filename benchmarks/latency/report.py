"""Writing latency reports: JSON, a Markdown summary, and a self-contained HTML page."""

from __future__ import annotations

import csv
import html
import io
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from edgedrag.benchmarks.latency.machine_load import first_line
from edgedrag.benchmarks.latency.tables import Table, name_of, tables
from edgedrag.benchmarks.report import write_report
from edgedrag.runtime.files import check_folder, write_aside

SUFFIXES = (".json", ".md", ".html")
TITLE = "edgedrag: latency"
INCOMPLETE = "INCOMPLETE: the measurement was interrupted; these are the figures so far."
STYLE = """
body { font: 16px/1.5 system-ui, sans-serif; margin: 0 auto; max-width: 72rem; padding: 1rem; color: #222 }
h1, h2 { line-height: 1.2 } figure { margin: 1rem 0 } svg { width: 100%; height: auto }
.wide { overflow-x: auto } table { border-collapse: collapse; font-size: 0.9rem; width: 100% }
th, td { border-bottom: 1px solid #ccc; padding: 0.35rem 0.6rem; text-align: left; vertical-align: top }
td { font-variant-numeric: tabular-nums; overflow-wrap: anywhere; min-width: 3.5rem }
.bad { color: #b00; font-weight: bold }
@page { margin: 12mm }
@media print {
  body { font-size: 9pt; max-width: none; padding: 0 } .wide { overflow: visible } table { font-size: 7.5pt }
  h2, figcaption { break-after: avoid } figure, tr { break-inside: avoid } thead { display: table-header-group }
  th, td { padding: 0.15rem 0.3rem; min-width: 0 } figure svg { max-height: 11cm }
}
"""


def stem(output: Path | None) -> Path | None:
    """The path without one of SUFFIXES; None if `output` is None.

    Raises:
        InputError: the folder does not exist.
    """
    if output is None:
        return None
    check_folder(output.parent)
    return output.with_suffix("") if output.suffix in SUFFIXES else output


def write(reports: Sequence[dict[str, Any]], to: Path | None) -> None:
    """Write TO.md and TO.html, and TO.json for a single report; does nothing if `to` is None."""
    if to is None:
        return
    if len(reports) == 1:
        write_report(reports[0], to.with_name(f"{to.name}.json"))
    write_aside(to.with_name(f"{to.name}.md"), as_text(reports).encode())
    write_aside(to.with_name(f"{to.name}.html"), as_html(reports).encode())


def write_samples(report: dict[str, Any], file: Path) -> None:
    """Write all samples of a report as CSV: milliseconds of each query, with size, steps, kind and window.

    Raises:
        InputError: the file cannot be written.
    """
    out = io.StringIO()
    rows = csv.writer(out, lineterminator="\n")
    rows.writerow(("scenario", "size", "steps", "kind", "window", "query", "ms"))
    for part in (*report["runs"], *report.get("interactive", ()), *report.get("sustained", ())):
        for kind, series in part.items():
            if not isinstance(series, dict) or "samples_ms" not in series:
                continue
            for window, samples in enumerate(series["samples_ms"]):
                for query, ms in enumerate(samples):
                    rows.writerow((report["scenario"], part["size"], part["steps"], kind, window, query, ms))
    write_aside(file, out.getvalue().encode())


def busy_line(reports: Sequence[dict[str, Any]], report: dict[str, Any]) -> str | None:
    """What is said first of a report from a busy machine, with its name where there are several; None of others."""
    line = first_line(report.get("machine"))
    return line if line is None or len(reports) == 1 else f"{name_of(report)}: {line}"


def as_text(reports: Sequence[dict[str, Any]]) -> str:
    """The Markdown summary."""
    busy = [line for report in reports if (line := busy_line(reports, report))]
    lines = [part for line in busy for part in (line, "")] + [f"# {TITLE}", ""]
    if not all(report["complete"] for report in reports):
        lines += [f"**{INCOMPLETE}**", ""]
    for table in tables(reports):
        lines += [f"## {table.title}", ""] + ([table.note, ""] if table.note else []) + markdown(table) + [""]
    return "\n".join(lines)


def markdown(table: Table) -> list[str]:
    """The lines of a table, with aligned columns."""
    cells = [[cell.replace("|", "/") for cell in row] for row in (table.head, *table.rows)]
    widths = [max(len(row[column]) for row in cells) for column in range(len(table.head))]
    lines = ["| " + " | ".join(cell.ljust(width) for cell, width in zip(row, widths)) + " |" for row in cells]
    return [lines[0], "|" + "|".join("-" * (width + 2) for width in widths) + "|", *lines[1:]]


def as_html(reports: Sequence[dict[str, Any]]) -> str:
    """The page: plots (or a hint if matplotlib is not installed) and tables."""
    busy = "".join(
        f'<p class="bad">{html.escape(line)}</p>' for report in reports if (line := busy_line(reports, report))
    )
    bad = "" if all(report["complete"] for report in reports) else f'<p class="bad">{INCOMPLETE}</p>'
    try:
        from edgedrag.benchmarks.latency.plots import plots

        drawn = "".join(f"<figure><figcaption>{html.escape(c)}</figcaption>{svg}</figure>" for c, svg in plots(reports))
    except ImportError as error:
        drawn = no_plots(error)
    return page(TITLE, busy + bad + drawn, tables(reports))


def no_plots(error: ImportError) -> str:
    """What a page says in place of plots."""
    return f"<p>No plots: {html.escape(str(error.name))} is not installed (extra [report]).</p>"


def page(title: str, first: str, shown: Iterable[Table]) -> str:
    """A self-contained HTML page."""
    return (
        f'<!doctype html><html lang="en"><head><meta charset="utf-8"><title>{html.escape(title)}</title>'
        f'<meta name="viewport" content="width=device-width, initial-scale=1"><style>{STYLE}</style></head>'
        f"<body><h1>{html.escape(title)}</h1>{first}{''.join(map(_as_html, shown))}</body></html>\n"
    )


def _as_html(table: Table) -> str:
    head = "".join(f"<th>{html.escape(cell)}</th>" for cell in table.head)
    rows = "".join("<tr>" + "".join(f"<td>{html.escape(cell)}</td>" for cell in row) + "</tr>" for row in table.rows)
    note = f"<p>{html.escape(table.note)}</p>" if table.note else ""
    return (
        f'<h2>{html.escape(table.title)}</h2>{note}<div class="wide"><table><thead><tr>{head}</tr></thead>'
        f"<tbody>{rows}</tbody></table></div>"
    )
