"""Writes the tables of docs/latency.md, and README's figures, from the committed reports.

python -m edgedrag.benchmarks.latency.figures_table
"""

from __future__ import annotations

import json
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
BEFORE = "ab_before.json"
SUSTAINED = "latency_sustained.json"
LOADGEN = tuple(f"loadgen_{scenario}.json" for scenario in ("single-stream", "offline", "server"))
BEGIN, END = "<!-- latency: written by python -m edgedrag.benchmarks.latency.figures_table -->", "<!-- latency: end -->"
AIMS = ("<!-- aims: written by python -m edgedrag.benchmarks.latency.figures_table -->", "<!-- aims: end -->")
SUMMARY = re.compile(r"measured: \d+ ms a first drag.*? at 12 megapixels")  # in README
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


def aims(int8: dict[str, Any], fp32: dict[str, Any]) -> list[str]:
    """What the first runs of fp32, a photo each, have against the aims for two AVX2 cores."""
    runs = {run["size"]: run for run in reversed(fp32["runs"])}
    small, large = runs["512x512"], runs["4000x3000"]

    def ms(run: dict[str, Any], kind: str, name: str = "p50") -> str:
        return number(run[kind]["percentiles"][name]["ms"], 1)

    cold = int8["cold_start"]
    started = f"{number(cold['total_ms'] - cold['first_drag_ms'], 0)}; {number(cold['total_ms'], 0)}"

    def peak(run: dict[str, Any]) -> str:
        return f"{number(run['host_mb'], 0)} MB"

    rows = [
        ["first drag", ms(small, "first_drag"), ms(large, "first_drag"), "150; 350"],
        ["another drag of the same photo", ms(small, "drag"), ms(large, "drag"), ""],
        [
            "motion-only preview; p90",
            f"{ms(small, 'preview')}; {ms(small, 'preview', 'p90')}",
            ms(large, "preview"),
            "35",
        ],
        ["process to the beginning of its first drag; to its end, INT8", started, "", "350"],
        ["peak memory of the process", peak(small), peak(large), "600 MB"],
    ]
    context = fp32["context"]
    text = (
        f"Against the aims for two AVX2 cores, version {context['bundle_version']}, {context['date']}, "
        f"{context['cpus']} cores of an {context['device']}, fp32, medians in milliseconds:"
    )
    return [text, "", *markdown(Table("", "", ("", "512 x 512", "12 megapixels", "aim"), rows))]


def summary(report: dict[str, Any]) -> str:
    """README's figures."""
    runs = {run["size"]: run for run in reversed(report["runs"])}
    small, large = (
        [number(runs[size][kind]["percentiles"]["p50"]["ms"], 0) for kind in ("first_drag", "drag")]
        for size in ("512x512", "4000x3000")
    )
    return (
        f"measured: {small[0]} ms a first drag at 512 x 512, {small[1]} ms a further one, "
        f"{large[0]} and {large[1]} ms at 12 megapixels"
    )


def sustained(report: dict[str, Any]) -> str:
    """How drags without a pause went."""
    context, (course,) = report["context"], report["sustained"]
    version = f" (version {context['bundle_version']})" if "bundle_version" in context else ""
    first, last = (number(course[name], 1) for name in ("first_tenth_ms", "last_tenth_ms"))
    return (
        f"{number(course['minutes'])} minutes of drags without a pause{version}: {first} ms in the first tenth, "
        f"{last} ms in the last, {course['drift']:+.0%}."
    )


def before_after(report: dict[str, Any]) -> list[str]:
    """A revision before, and this one, taking turns."""
    a, b = report["a"], report["b"]
    rows = [
        [row["kind"].replace("_", " "), *(number(ms, 1) for ms in row["median_ms"]),
         "-" if row["ratio"] is None else f"{row['ratio']:.2f} ({row['interval'][0]:.2f} to {row['interval'][1]:.2f})"]
        for row in report["rows"]
    ]  # fmt: skip
    text = (
        f"Before and after, taking turns in one run ({b['precision']}, {report['rows'][0]['size']}): a checkout of "
        f"`{a['source']}`, and this version; ready and start: from a new process to the beginning and to the end of "
        "its first drag."
    )
    return [textwrap.fill(text, WIDTH), "", *markdown(Table("", "", ("", "before, ms", "after, ms", "ratio"), rows))]


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
    """The text of docs/latency.md with the parts between the markers made of the reports in a folder.

    Raises:
        InputError: the markers are missing or repeated, or a report is.
    """
    reports = [read_report(results / name) for name in REPORTS]
    text = [BEGIN, words(reports[0])]
    if (results / ALONE).exists():
        text += ["", textwrap.fill(alone(read_report(results / ALONE)), WIDTH)]
    text += ["", textwrap.fill(sustained(read_report(results / SUSTAINED)), WIDTH)]
    driven = [read_report(results / name) for name in LOADGEN if (results / name).exists()]
    if driven:
        text += ["", textwrap.fill(loadgen(driven), WIDTH)]
    if (results / BEFORE).exists():
        text += ["", *before_after(json.loads((results / BEFORE).read_text(encoding="utf-8")))]
    part = "\n".join([*text, "", *markdown(table(reports)), END])
    return placed(placed(page, BEGIN, END, part), *AIMS, "\n".join([AIMS[0], *aims(*reports), AIMS[1]]))


def placed(page: str, begin: str, end: str, part: str) -> str:
    """A page with a part, markers included, in its place. Raises InputError where that is missing or repeated."""
    made, count = re.subn(re.escape(begin) + ".*?" + re.escape(end), lambda _: part, page, flags=re.S)
    if count != 1:
        raise InputError(f"docs/latency.md: the table goes between {begin} and {end}, which are there {count} times")
    return made


def main() -> None:
    """Rewrite docs/latency.md and README.md in the checkout."""
    root = Path(edgedrag.__file__).resolve().parents[2]
    page = root / "docs" / "latency.md"
    results = root / "benchmarks" / "results"
    write_aside(page, rewritten(page.read_text(encoding="utf-8"), results).encode())
    readme = root / "README.md"
    figures = summary(read_report(results / REPORTS[0]))
    write_aside(readme, SUMMARY.sub(figures, readme.read_text(encoding="utf-8")).encode())


if __name__ == "__main__":
    main()
