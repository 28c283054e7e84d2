"""`edgedrag bench plan`: predicted latency by device, and the accuracy of the predictions."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from edgedrag.benchmarks.formatting import number
from edgedrag.benchmarks.latency.peaks import measure_peaks
from edgedrag.benchmarks.latency.report import markdown, page, stem
from edgedrag.benchmarks.latency.roofline import (
    CPU,
    GROUND_MS,
    HELD_MS,
    HOST_MS,
    Device,
    Planner,
    cpu_device,
    device_of,
    gpu_share,
    reached,
    read_devices,
    read_points,
)
from edgedrag.benchmarks.latency.tables import Table, name_of
from edgedrag.benchmarks.report import write_report
from edgedrag.runtime.bundle.manifest import Bundle
from edgedrag.runtime.errors import InputError
from edgedrag.runtime.files import write_aside
from edgedrag.runtime.system.processor import cpu_name

WITHIN = 0.35  # claimed relative error; validation points with a larger error are marked


def choose_devices(text: str | None) -> list[Device]:
    """Devices by comma-separated names; None for the whole table; "cpu" is this machine, measured now.

    Raises:
        InputError: an unknown device.
    """
    table = read_devices()
    names = list(table) if text is None else [part.strip() for part in text.split(",")]
    unknown = [name for name in names if name not in (*table, CPU)]
    if unknown:
        raise InputError(f"device: {unknown[0]!r} is not one of {CPU}, {', '.join(table)}")
    from edgedrag.benchmarks.context import memory_mb

    return [cpu_device(cpu_name(), measure_peaks(), memory_mb()) if n == CPU else table[n] for n in names]


def predict(
    bundle: Bundle, devices: Sequence[Device], steps: Sequence[int], target: float | None
) -> list[dict[str, Any]]:
    """Predictions for each device, precision and step count.

    Args:
        target: target latency of a drag, ms.
    """
    planner = Planner(bundle)
    rows = []
    for device in devices:
        for precision in ("fp32", "int8") if device.kind == "cpu" else ("fp16", "int8"):
            needs = planner.memory_mb(device, precision)
            for count in steps:
                ms = planner.drag_ms(device, precision, count)
                low, high = ms / device.band, ms * device.band
                rows.append(
                    {
                        "device": device.name,
                        "title": device.title,
                        "precision": precision,
                        "steps": count,
                        "ms": round(ms, 2),
                        "band_ms": [round(low, 2), round(high, 2)],
                        "first_drag_ms": round(planner.drag_ms(device, precision, count, first=True), 2),
                        "ground_ms": round(planner.ground_ms(device), 2),
                        "memory_mb": round(needs),
                        "fits": None if device.available_mb is None else needs <= device.available_mb,
                        "meets_target": verdict(low, ms, high, target),
                        "marks": list(device.marks),
                    }
                )
    return rows


def verdict(low: float, middle: float, high: float, target: float | None) -> str | None:
    """Whether a predicted time, with its band, meets a target."""
    if target is None:
        return None
    return "yes" if high <= target else "likely" if middle <= target else "perhaps" if low <= target else "no"


def savings(bundle: Bundle, devices: Sequence[Device], steps: int) -> list[dict[str, Any]]:
    """Predicted savings by INT8, half the steps and a smaller decoder, as shares of each device's time."""
    planner, small = Planner(bundle), None
    published = bundle.manifest.get("published")
    decoder = next((graph for graph in bundle.stages["decode"] if graph.name == "vae_decode"), None)
    if published is not None and decoder is not None:
        small = published["small_decoder"]["flops"][1] / max(decoder.cost["flops"][1], 1.0)
    rows = []
    for device in devices:
        base = "fp32" if device.kind == "cpu" else "fp16"
        whole = planner.drag_ms(device, base, steps)
        times = {"int8": planner.drag_ms(device, "int8", steps)}
        if steps > 1:
            times["half_the_steps"] = planner.drag_ms(device, base, steps // 2)
        if small is not None and decoder is not None:
            times["smaller_decoder"] = whole - (1 - small) * planner.graph_ms(decoder, device, base)
        rows.append(
            {"device": device.name, "from": base, "ms": round(whole, 2)}
            | {name: {"ms": round(ms, 2), "saves": round(1 - ms / whole, 3)} for name, ms in times.items()}
        )
    return rows


def validate(bundle: Bundle, reports: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """Predicted and measured times: of the published points (each predicted from the others) and of reports."""
    points, rows = read_points(), []
    for point in points:
        share = gpu_share([other for other in points if other is not point])
        rows.append(
            _row(point["what"], point["device"], point["source"], point["ms"] * reached(point) / share, point["ms"])
        )
    planner = Planner(bundle)
    for report in reports:
        context, title = report["context"] or {}, name_of(report)
        if context.get("bundle") != bundle.name:
            raise InputError(f"{title}: not a report of {bundle.name}")
        device = device_of(report, title)
        for run in report["runs"]:
            megapixels = math.prod(map(int, run["size"].split("x"))) / 1e6
            for kind in ("drag", "first_drag"):
                if not run[kind]["n"]:  # interrupted before the first
                    continue
                first = kind == "first_drag"
                predicted = planner.drag_ms(device, context["precision"], run["steps"], first, megapixels)
                what = f"{bundle.name}, {run['size']}, {run['steps']} step(s), {kind.replace('_', ' ')}"
                rows.append(_row(what, device.title, "measured", predicted, run[kind]["median_ms"]))
    return rows


def _row(what: str, device: str, source: str, predicted: float, measured: float) -> dict[str, Any]:
    error = predicted / measured - 1
    return {
        "what": what,
        "device": device,
        "source": source,
        "predicted_ms": round(predicted, 2),
        "measured_ms": round(measured, 2),
        "error": round(error, 3),
        "within": abs(error) <= WITHIN,
    }


def tables(plan: dict[str, Any]) -> list[Table]:
    """The tables of predictions, savings and validation."""
    target = plan["target_ms"]
    meets = () if target is None else (f"{number(target)} ms",)
    rows = [
        [
            row["title"], row["precision"], str(row["steps"]), f"{row['ms']:.1f}",
            f"{row['band_ms'][0]:.1f} to {row['band_ms'][1]:.1f}", f"{row['first_drag_ms']:.1f}", str(row["memory_mb"]),
            {True: "yes", False: "no", None: "-"}[row["fits"]], *(() if target is None else (row["meets_target"],)),
            "; ".join(row["marks"]) or "measured here",
        ]
        for row in plan["rows"]
    ]  # fmt: skip
    head = ("device", "precision", "steps", "drag, ms", "band", "first drag, ms", "memory, MB", "fits", *meets, "peaks")
    note = (
        "Predicted, not measured. The band is a factor to either side: 1.35 for a processor whose peaks were measured, "
        f"1.6 for a GPU of the table. Outside the graphs {HOST_MS:.0f} ms are assumed, {HOST_MS + HELD_MS:.0f} ms with "
        f"a bundle whose drags hold things, {GROUND_MS:.0f} ms more where that leaves a hole; twice that on a Jetson."
    )
    shown = [Table(f"Predicted: {plan['bundle']}", note, head, rows)]
    kinds = ("int8", "half_the_steps", "smaller_decoder")
    bought = [
        [row["device"], row["from"], f"{row['ms']:.1f}"]
        + [f"{row[k]['ms']:.1f} ({-row[k]['saves']:+.0%})" if k in row else "-" for k in kinds]
        for row in plan["savings"]
    ]
    shown.append(
        Table(
            f"Savings, at {plan['savings_steps']} step(s)", "Milliseconds of a drag.",
            ("device", "from", "ms", "INT8", "half the steps", "a smaller decoder"), bought,
        )
    )  # fmt: skip
    checked = [
        [row["what"], row["device"], row["source"],
         number(row["predicted_ms"], significant=4), number(row["measured_ms"], significant=4),
         f"{row['error']:+.0%}", "yes" if row["within"] else "NO"]
        for row in plan["validation"]
    ]  # fmt: skip
    outside = sum(not row["within"] for row in plan["validation"])
    note = f"{len(checked)} points, {outside} outside {WITHIN:.0%}. Each published point is predicted from the others."
    head = ("what", "device", "source", "predicted, ms", "measured, ms", "error", f"within {WITHIN:.0%}")
    return [*shown, Table("Predicted against measured", note, head, checked)]


def make_plan(
    bundle: Bundle, devices: Sequence[Device], steps: Sequence[int] | None, target: float | None,
    reports: Sequence[dict[str, Any]],
) -> dict[str, Any]:  # fmt: skip
    """The plan as a JSON object."""
    counts = list(steps or (bundle.sampler["default_steps"],))
    most = max(counts)
    return {
        "format": "edgedrag-plan",
        "format_version": 1,
        "bundle": bundle.name,
        "window": list(Planner(bundle).size),
        "target_ms": target,
        "rows": predict(bundle, devices, counts, target),
        "savings_steps": most,
        "savings": savings(bundle, devices, most),
        "validation": validate(bundle, reports),
    }


def as_text(plan: dict[str, Any]) -> str:
    lines: list[str] = []
    for table in tables(plan):
        lines += [f"## {table.title}", "", table.note, "", *markdown(table), ""]
    return "\n".join(lines)


def write(plan: dict[str, Any], output: Path | None) -> None:
    """Write PLAN.json, PLAN.md and PLAN.html with the plot; does nothing if `output` is None."""
    to = stem(output)
    if to is None:
        return
    try:
        from edgedrag.benchmarks.latency.plots import predicted_against_measured

        drawn = f"<figure>{predicted_against_measured(plan['validation'], WITHIN)}</figure>"
    except ImportError as error:
        drawn = f"<p>No plot: {error.name} is not installed (extra [report]).</p>"
    title = f"edgedrag: plan for {plan['bundle']}"
    write_report(plan, to.with_name(f"{to.name}.json"))
    write_aside(to.with_name(f"{to.name}.md"), f"# {title}\n\n{as_text(plan)}".encode())
    write_aside(to.with_name(f"{to.name}.html"), page(title, drawn, tables(plan)).encode())
