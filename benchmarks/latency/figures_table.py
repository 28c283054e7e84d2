"""Writes the latency table of docs/latency.md from the committed reports.

python -m edgedrag.benchmarks.latency.figures_table
"""

from __future__ import annotations

import re
import textwrap
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import edgedrag
from edgedrag.benchmarks.formatting import number
from edgedrag.benchmarks.latency.compare import read_report
from edgedrag.benchmarks.latency.report import markdown
from edgedrag.benchmarks.latency.tables import Table
from edgedrag.runtime.errors import InputError
from edgedrag.runtime.files import write_aside

REPORTS = ("latency_int8.json", "latency_fp32.json")  # in benchmarks/results; the text describes the first
ALONE = "latency_diffusers.json"  # a peer that takes minutes, in a run of its own
LOADGEN = tuple(f"loadgen_{scenario}.json" for scenario in ("single-stream", "offline", "server"))
BEGIN, END = "<!-- latency: written by python -m edgedrag.benchmarks.latency.figures_table -->", "<!-- latency: end -->"
WIDTH = 118  # line length of the text
COMPARED = {
    "edgedrag-fp32": "fp32", "openvino": "OpenVINO", "io-binding": "ONNX Runtime with IO binding",
    "unsplit": "the same graphs without the split", "torch": "PyTorch eager (fp32)",
    "torch-compile": "torch.compile (fp32)", "classical": "warp and inpainting without a network",
    "diffusers-sd15": "Stable Diffusion 1.5 in diffusers (fp32)",
}  # fmt: skip


def percentiles(series: dict[str, Any]) -> str:
    """The median, and p90 and p99 if there are enough drags."""
    values = [series["percentiles"][name] for name in ("p50", "p90", "p99")]
    return " / ".join(number(percentile["ms"], 1) for percentile in values)


def table(reports: Sequence[dict[str, Any]]) -> Table:
    rows = []
    for report in reports:
        for run in report["runs"]:
            outside = run["profile"]["outside_graphs_ms"].get("drag")
            rows.append(
                [
                    f"{run['size'].replace('x', ' x ')}, mask {run['mask_width']} wide",
                    f"{report['context']['precision']}, {run['steps']} step{'s' if run['steps'] > 1 else ''}",
                    percentiles(run["drag"]), percentiles(run["first_drag"]), percentiles(run["preview"]),
                    number(outside, 1), number(run["host_mb"], 0),
                ]
            )  # fmt: skip
    head = (
        "photo",
        "",
        "another drag, ms",
        "first drag, ms",
        "motion-only preview, ms",
        "outside the graphs, ms",
        "MB",
    )
    return Table("", "", head, rows)


def words(report: dict[str, Any]) -> str:
    """The text under the table: machine, cold start, peers."""
    context, cold = report["context"], report["cold_start"]
    peers = (report.get("peers") or {"rows": {}})["rows"]
    ratios = [f"{COMPARED[name]} {row['ratio']:.2f}x" for name, row in peers.items() if "ratio" in row]
    lines = [
        f"Measured on {context['cpus']} CPU cores ({context['device']}) with ONNX Runtime "
        f"{context['versions']['onnxruntime']} on {context['date']}, p50 / p90 / p99 as far as the number of drags "
        f"supports them; MB is the most that the process had with the photo.",
        f"A cold start to the end of the first drag takes {cold['total_ms'] / 1e3:.2f} s.",
    ]
    if ratios:
        lines.append(f"Taking turns in one run with {context['precision']}: {', '.join(ratios)} its time.")
    return textwrap.fill(" ".join(lines), WIDTH)


def alone(report: dict[str, Any]) -> str:
    """What a report says of the one peer that it was made for."""
    peers, context = report["peers"], report["context"]
    ((name, row),) = ((name, row) for name, row in peers["rows"].items() if "ratio" in row)
    low, high = row["interval"]
    return (
        f"In a run of its own, taking turns with {context['precision']} on a photo of {peers['size']} "
        f"({peers['steps']} step, {row['n']} drags): {COMPARED[name]}, with random weights, "
        f"{number(row['ratio'], 0)}x ({number(low, 0)} to {number(high, 0)}) its time."
    )


def loadgen(reports: Sequence[dict[str, Any]]) -> str:
    """How LoadGen's percentiles compare with edgedrag's of the same queries."""
    runs = [run for report in reports for run in report["mlperf"]]
    each = "; ".join(
        f"{run['scenario']}, {run['latency']['n']} drags: "
        + ", ".join(f"{name} {row['log_ms']:.1f} and {row['own_ms']:.1f} ms" for name, row in run["compared"].items())
        for run in runs
    )
    return f"Driven by {runs[0]['driver']}, its percentiles and edgedrag's of the same queries: {each}."


def rewritten(page: str, results: Path) -> str:
    """The text of docs/latency.md with the part between the markers made of the reports in a folder.

    Raises:
        InputError: the markers are missing or repeated, or a report is.
    """
    reports = [read_report(results / name) for name in REPORTS]
    text = [BEGIN, words(reports[0])]
    if (results / ALONE).exists():
        text += ["", textwrap.fill(alone(read_report(results / ALONE)), WIDTH)]
    driven = [read_report(results / name) for name in LOADGEN if (results / name).exists()]
    if driven:
        text += ["", textwrap.fill(loadgen(driven), WIDTH)]
    part = "\n".join([*text, "", *markdown(table(reports)), END])
    made, count = re.subn(re.escape(BEGIN) + ".*?" + re.escape(END), lambda _: part, page, flags=re.S)
    if count != 1:
        raise InputError(f"docs/latency.md: the table goes between {BEGIN} and {END}, which are there {count} times")
    return made


def main() -> None:
    """Rewrite docs/latency.md in the checkout."""
    root = Path(edgedrag.__file__).resolve().parents[2]
    page = root / "docs" / "latency.md"
    write_aside(page, rewritten(page.read_text(encoding="utf-8"), root / "benchmarks" / "results").encode())


if __name__ == "__main__":
    main()
