"""`edgedrag bench plan`: predicted latency by device, and the accuracy of the predictions."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from edgedrag.benchmarks.latency.efficiency import COVERAGE, Calibration
from edgedrag.benchmarks.latency.left_out import drags, left_out_rows
from edgedrag.benchmarks.latency.peaks import measure_peaks
from edgedrag.benchmarks.latency.plan_tables import as_markdown, tables
from edgedrag.benchmarks.latency.report import page, stem
from edgedrag.benchmarks.latency.roofline import (
    CPU,
    PHOTO,
    Device,
    Planner,
    cpu_device,
    device_of,
    efficiency_of,
    is_measured,
    read_devices,
)
from edgedrag.benchmarks.latency.tables import name_of
from edgedrag.benchmarks.report import write_report
from edgedrag.runtime.bundle.manifest import Bundle
from edgedrag.runtime.errors import InputError
from edgedrag.runtime.files import write_aside
from edgedrag.runtime.system.processor import cpu_name, vector_instructions


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

    return [_this_cpu(memory_mb()) if name == CPU else table[name] for name in names]


def _this_cpu(memory: float | None) -> Device:
    return cpu_device(cpu_name(), measure_peaks(), memory, vector_instructions())


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
                found = estimate(planner, device, precision, count)
                low, high = found["band_ms"]
                rows.append(
                    {
                        "device": device.name,
                        "title": device.title,
                        "engine": device.engine,
                        "precision": precision,
                        "steps": count,
                        **found,
                        "first_drag_ms": estimate(planner, device, precision, count, first=True)["ms"],
                        "memory_mb": round(needs),
                        "fits": None if device.available_mb is None else needs <= device.available_mb,
                        "meets_target": verdict(low, found["ms"], high, target, found["interval_holds"]),
                        "marks": list(device.marks),
                    }
                )
    return rows


def estimate(
    planner: Planner, device: Device, precision: str, steps: int, first: bool = False, megapixels: float = PHOTO
) -> dict[str, Any]:
    """The predicted time of a drag with its interval.

    Returns:
        `ms` and `band_ms`, `graphs_ms` and `graphs_band_ms`, whether the drag's time is `known` and whether such an
        `interval_holds` enough left-out points, and `why`. Where the time is not known, `ms` is None; `band_ms` then
        has no upper end where the time outside the graphs is not known.
    """
    graphs = planner.graphs_ms(device, precision, steps, first)
    host = planner.host_ms(device, megapixels)
    errors = drags() if is_measured(device) else efficiency_of(device).calibration
    low, high = graphs / errors.factor, graphs * errors.factor
    known = host is not None and errors.known
    band = [low, None] if host is None else [(graphs + host) / errors.factor, (graphs + host) * errors.factor]
    return {
        "ms": round(graphs + host, 2) if known and host is not None else None,
        "band_ms": [None if end is None else round(end, 2) for end in band],
        "graphs_ms": round(graphs, 2),
        "graphs_band_ms": [round(low, 2), round(high, 2)],
        "known": known,
        "interval_holds": errors.known,
        "why": _why(planner, device, host, errors),
    }


def _why(planner: Planner, device: Device, host: float | None, errors: Calibration) -> list[str]:
    """What a prediction rests on, or why there is none."""
    reasons = []
    if host is None:
        name = f"{planner.bundle.name} {planner.version}"
        reasons.append(f"the time outside the graphs was not measured for {name}")
    if not is_measured(device):
        reasons.append(f"{device.engine} was not measured on this class of device, so the interval is wide")
    if not errors.known:
        reasons.append(f"intervals hold {errors.coverage:.0%} of left-out points, fewer than {COVERAGE:.0%}")
    return reasons or [f"measured: {device.engine} on {device.family}"]


def verdict(
    low: float | None, middle: float | None, high: float | None, target: float | None, holds: bool = True
) -> str | None:
    """Whether a predicted time, with its interval, meets a target; what is None is not known."""
    if target is None:
        return None
    if not holds:
        return "not known"
    if low is not None and low > target:
        return "no"
    if high is not None and high <= target:
        return "yes"
    return "not known" if middle is None else "likely" if middle <= target else "perhaps"


def savings(bundle: Bundle, devices: Sequence[Device], steps: int) -> list[dict[str, Any]]:
    """Predicted savings by INT8, half the steps and a smaller decoder, as shares of the time of a drag's graphs."""
    planner, small = Planner(bundle), None
    published = bundle.manifest.get("published")
    decoder = next((graph for graph in bundle.stages["decode"] if graph.name == "vae_decode"), None)
    if published is not None and decoder is not None:
        small = published["small_decoder"]["flops"][1] / max(decoder.cost["flops"][1], 1.0)
    rows = []
    for device in devices:
        base = "fp32" if device.kind == "cpu" else "fp16"
        whole = planner.graphs_ms(device, base, steps)
        times = {"int8": planner.graphs_ms(device, "int8", steps)}
        if steps > 1:
            times["half_the_steps"] = planner.graphs_ms(device, base, steps // 2)
        if small is not None and decoder is not None:
            times["smaller_decoder"] = whole - (1 - small) * planner.graph_ms(decoder, device, base)
        rows.append(
            {"device": device.name, "from": base, "ms": round(whole, 2)}
            | {name: {"ms": round(ms, 2), "saves": round(1 - ms / whole, 3)} for name, ms in times.items()}
        )
    return rows


def validate(bundle: Bundle, reports: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """Predicted and measured times: of the repository's points, each left out, and of reports."""
    rows, planner = left_out_rows(), Planner(bundle)
    for report in reports:
        context, title = report["context"] or {}, name_of(report)
        if context.get("bundle") != bundle.name:
            raise InputError(f"{title}: not a report of {bundle.name}")
        if context.get("bundle_version") != planner.version:
            version = context.get("bundle_version") or "an unstated version"
            raise InputError(f"{title}: a report of {version} of the bundle; the prediction is for {planner.version}")
        device = device_of(report, title)
        for run in report["runs"]:
            megapixels = math.prod(map(int, run["size"].split("x"))) / 1e6
            for kind in ("drag", "first_drag"):
                if run[kind]["median_ms"] is None:  # too few of them, or interrupted before the first
                    continue
                first = kind == "first_drag"
                found = estimate(planner, device, context["precision"], run["steps"], first, megapixels)
                what = f"{bundle.name}, {run['size']}, {run['steps']} step(s), {kind.replace('_', ' ')}"
                rows.append(_row(what, title, found, run[kind]["median_ms"]))
    return rows


def _row(what: str, device: str, found: dict[str, Any], measured: float) -> dict[str, Any]:
    """A report's drag; `covered` is None where no interval is known."""
    ms, (low, high) = found["ms"], found["band_ms"]
    return {
        "kind": "report", "what": what, "device": device, "source": "measured", "predicted_ms": ms,
        "measured_ms": round(measured, 2), "error": None if ms is None else round(ms / measured - 1, 3),
        "covered": None if ms is None else low <= measured <= high,
    }  # fmt: skip


def make_plan(
    bundle: Bundle, devices: Sequence[Device], steps: Sequence[int] | None, target: float | None,
    reports: Sequence[dict[str, Any]],
) -> dict[str, Any]:  # fmt: skip
    """The plan as a JSON object."""
    counts = list(steps or (bundle.sampler["default_steps"],))
    most = max(counts)
    return {
        "format": "edgedrag-plan",
        "format_version": 2,
        "bundle": bundle.name,
        "window": list(Planner(bundle).size),
        "target_ms": target,
        "rows": predict(bundle, devices, counts, target),
        "savings_steps": most,
        "savings": savings(bundle, devices, most),
        "validation": validate(bundle, reports),
    }


def as_text(plan: dict[str, Any]) -> str:
    return as_markdown(tables(plan))


def write(plan: dict[str, Any], output: Path | None) -> None:
    """Write PLAN.json, PLAN.md and PLAN.html with the plot; does nothing if `output` is None."""
    to = stem(output)
    if to is None:
        return
    try:
        from edgedrag.benchmarks.latency.plots import predicted_against_measured

        drawn = f"<figure>{predicted_against_measured(plan['validation'])}</figure>"
    except ImportError as error:
        drawn = f"<p>No plot: {error.name} is not installed (extra [report]).</p>"
    title = f"edgedrag: plan for {plan['bundle']}"
    write_report(plan, to.with_name(f"{to.name}.json"))
    write_aside(to.with_name(f"{to.name}.md"), f"# {title}\n\n{as_text(plan)}".encode())
    write_aside(to.with_name(f"{to.name}.html"), page(title, drawn, tables(plan)).encode())
