"""Plots of latency reports, as SVG text; needs matplotlib."""

from __future__ import annotations

import io
import re
from collections.abc import Iterator, Sequence
from typing import Any

import matplotlib
import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import ScalarFormatter

from edgedrag.benchmarks.latency.tables import name_of

STYLE: Any = {"svg.hashsalt": "edgedrag", "font.size": 10, "axes.grid": True, "grid.alpha": 0.3, "axes.axisbelow": True}


def as_svg(figure: Figure) -> str:
    """The <svg> element alone."""
    out = io.StringIO()
    figure.savefig(out, format="svg", metadata={"Date": None})
    text = out.getvalue()
    return re.sub(r"<metadata>.*?</metadata>", "", text[text.index("<svg") :], flags=re.S)


def plots(reports: Sequence[dict[str, Any]]) -> Iterator[tuple[str, str]]:
    """Captions and SVGs of all plots that the reports have data for."""
    with matplotlib.rc_context(STYLE):
        if any(report["runs"] for report in reports):
            yield "Cumulative distribution of drag latency", spread(reports)
            yield "Drag latency over the run, by window", in_order(reports)
        if any(run["profile"] for report in reports for run in report["runs"]):
            yield "Time of a first drag, by graph", parts(reports)
        for report in reports:
            if (report.get("peers") or {}).get("rows"):
                yield f"Peers, {name_of(report)}", peers(report["peers"])
            for course in report.get("sustained", ()):
                yield f"Sustained load, {name_of(report)}", course_of(course)
        if any(report.get("interactive") for report in reports):
            yield "Time from release to result, and to the first preview", gestures(reports)


def _labelled(reports: Sequence[dict[str, Any]]) -> Iterator[tuple[str, dict[str, Any]]]:
    for report in reports:
        for run in report["runs"]:
            yield f"{name_of(report)}, {run['size']}, {run['steps']} step(s)", run


def _cumulative(axes: Any, samples: Sequence[Sequence[float]], **style: Any) -> None:
    values = np.sort(np.concatenate([np.asarray(window) for window in samples]))
    axes.step(values, np.arange(1, len(values) + 1) / len(values) * 100, where="post", **style)


def spread(reports: Sequence[dict[str, Any]]) -> str:
    figure = Figure(figsize=(8, 4), layout="constrained")
    axes = figure.subplots()
    for label, run in _labelled(reports):
        if run["drag"]["n"]:
            _cumulative(axes, run["drag"]["samples_ms"], label=label)
    for percentile in (50, 90, 99):
        axes.axhline(percentile, color="gray", lw=0.6, ls=":")
    axes.set(xlabel="milliseconds", ylabel="drags, %", xscale="log")
    axes.xaxis.set_major_formatter(ScalarFormatter())
    axes.xaxis.set_minor_formatter(ScalarFormatter())
    axes.legend(fontsize=8)
    return as_svg(figure)


def in_order(reports: Sequence[dict[str, Any]]) -> str:
    figure = Figure(figsize=(8, 4), layout="constrained")
    axes = figure.subplots()
    for label, run in _labelled(reports):
        windows = run["drag"]["samples_ms"]
        values = [value for window in windows for value in window]
        line = axes.plot(np.linspace(0, 1, len(values)), values, ".", ms=2, label=label)[0]
        for at in np.cumsum([len(window) for window in windows])[:-1]:
            axes.axvline(at / max(len(values) - 1, 1), color=line.get_color(), lw=0.5, alpha=0.4)
    axes.set(xlabel="share of the run", ylabel="milliseconds", ylim=(0, None))
    axes.legend(fontsize=8)
    return as_svg(figure)


def parts(reports: Sequence[dict[str, Any]]) -> str:
    rows = [(label, run["profile"]) for label, run in _labelled(reports) if run["profile"]]
    figure = Figure(figsize=(8, 1.2 + 0.5 * len(rows)), layout="constrained")
    axes = figure.subplots()
    names = list(dict.fromkeys(name for _, profile in rows for name in profile["graphs_ms"]))
    left = np.zeros(len(rows))
    for name in [*names, "outside the graphs"]:
        outside = [profile["outside_graphs_ms"].get("first_drag", 0.0) for _, profile in rows]
        widths = [profile["graphs_ms"].get(name, 0.0) for _, profile in rows] if name in names else outside
        axes.barh([label for label, _ in rows], widths, left=left, label=name)
        left = left + np.array(widths)
    axes.set(xlabel="milliseconds")
    figure.legend(fontsize=8, ncols=6, loc="outside upper center")
    return as_svg(figure)


def peers(comparison: dict[str, Any]) -> str:
    rows = {name: row for name, row in comparison["rows"].items() if "ratio" in row}
    figure = Figure(figsize=(8, 1.2 + 0.4 * len(rows)), layout="constrained")
    axes = figure.subplots()
    ratios = [row["ratio"] for row in rows.values()]
    reach = [
        [r["ratio"] - r["interval"][0] for r in rows.values()],
        [r["interval"][1] - r["ratio"] for r in rows.values()],
    ]
    axes.barh(list(rows), ratios, xerr=reach, color="tab:gray", capsize=3)
    axes.axvline(1, color="tab:blue")
    axes.set(xlabel="time relative to edgedrag (blue line)", xlim=(0, 1.2 * max(ratios, default=1.0)))
    return as_svg(figure)


def course_of(course: dict[str, Any]) -> str:
    figure = Figure(figsize=(8, 6), layout="constrained")
    time, clocks, heat = figure.subplots(3, sharex=True)
    at = [shown["at_s"] / 60 for shown in course["shown"]]
    time.plot(at, [np.median(span) for span in course["drag"]["samples_ms"]][: len(at)], label="median of a span")
    time.set(ylabel="milliseconds", ylim=(0, None))
    for axes, part, unit in ((clocks, "clocks", "MHz"), (heat, "temperatures_c", "degrees C")):
        for name in sorted({name for shown in course["shown"] for name in shown[part]}):
            axes.plot(at, [shown[part].get(name, np.nan) for shown in course["shown"]], label=name)
        axes.set(ylabel=unit)
        if axes.lines:
            axes.legend(fontsize=7)
        else:
            axes.text(0.5, 0.5, "not available", ha="center", transform=axes.transAxes)
    heat.set(xlabel="minutes")
    return as_svg(figure)


def gestures(reports: Sequence[dict[str, Any]]) -> str:
    figure = Figure(figsize=(8, 4), layout="constrained")
    axes = figure.subplots()
    for report in reports:
        for cell in report.get("interactive", ()):
            for kind, style in (("result", "-"), ("first_preview", "--")):
                if cell[kind]["n"]:
                    label = f"{name_of(report)}, {cell['size']}: {kind.replace('_', ' ')}"
                    _cumulative(axes, cell[kind]["samples_ms"], ls=style, label=label)
    axes.set(xlabel="milliseconds", ylabel="gestures, %")
    axes.legend(fontsize=8)
    return as_svg(figure)


MARKERS = "osD^vPX*"  # by backend
LINES = ("-", "--", ":", "-.")  # by precision; both also read in black and white


def quality_against_latency(reports: Sequence[dict[str, Any]]) -> str:
    """ST-LPIPS from the reference over the time of a first drag; a line joins the step counts of a configuration."""
    with matplotlib.rc_context(STYLE):
        figure = Figure(figsize=(8, 4.5), layout="constrained")
        axes = figure.subplots()
        series: dict[tuple[str, str, str], list[dict[str, Any]]] = {}
        for report in reports:
            device = str((report["context"] or {}).get("board") or (report["context"] or {}).get("device"))
            for row in report["rows"]:
                if row["median_ms"] is not None:
                    series.setdefault((device, row["backend"], row["precision"]), []).append(row)
        styles = {
            part: list(dict.fromkeys(key[at] for key in series)) for at, part in ((1, "backend"), (2, "precision"))
        }
        for (device, backend, precision), rows in series.items():
            rows = sorted(rows, key=lambda row: row["steps"])
            points = [(row["median_ms"], row["stlpips"] or 0.0) for row in rows]
            marker = MARKERS[styles["backend"].index(backend) % len(MARKERS)]
            line = LINES[styles["precision"].index(precision) % len(LINES)]
            axes.plot(*zip(*points), ls=line, marker=marker, ms=6, label=f"{device}, {backend} {precision}")
            for row, point in zip(rows, points):
                kept = row["verdicts"]["good"]
                note = f"{row['steps']}, {kept} of {sum(row['verdicts'].values())} good"
                axes.annotate(note, point, textcoords="offset points", xytext=(6, 4), fontsize=7)
        axes.set(xlabel="median of a first drag, ms", ylabel="ST-LPIPS from the reference (0: the same)")
        axes.set(xlim=(0, None), ylim=(-0.0005, None))
        if series:
            axes.legend(fontsize=8)
        return as_svg(figure)


def predicted_against_measured(rows: Sequence[dict[str, Any]]) -> str:
    """The planner's validation points; crosses are those that the interval does not hold."""
    rows = [row for row in rows if row["predicted_ms"] is not None]
    with matplotlib.rc_context(STYLE):
        figure = Figure(figsize=(7, 6), layout="constrained")
        axes = figure.subplots()
        low, high = (f(min(r["measured_ms"], r["predicted_ms"]) for r in rows) for f in (min, max))
        ends = np.array([low / 2, high * 4])
        axes.plot(ends, ends, color="gray", lw=1)
        for device in dict.fromkeys(row["device"] for row in rows):
            part = [row for row in rows if row["device"] == device]
            line = axes.plot([r["measured_ms"] for r in part], [r["predicted_ms"] for r in part], ".", label=device)[0]
            out = [row for row in part if row["covered"] is False]
            axes.plot(
                [r["measured_ms"] for r in out], [r["predicted_ms"] for r in out], "x", ms=9, color=line.get_color()
            )
        axes.set(xlabel="measured, ms", ylabel="predicted, ms", xscale="log", yscale="log")
        axes.legend(fontsize=8)
        return as_svg(figure)
