"""A complete check on a GPU: engines, self-test, parity, latency, and the same networks in PyTorch.

python -m edgedrag.benchmarks.engines.gpu -o REPORT.json [--backend tensorrt-rtx] [--size full]

The most important parts come first and the report is written after each part, since time on a GPU may be short.
Without a GPU, `--backend cpu --size tiny` is a dry run of the same code; its figures say nothing about a GPU.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import click
import numpy as np

import edgedrag
from edgedrag.benchmarks.context import machine
from edgedrag.benchmarks.engines.parity import graph_parity
from edgedrag.benchmarks.latency.profile import graph_spans
from edgedrag.benchmarks.report import write_report
from edgedrag.export.engines.build import Request, build_engines
from edgedrag.runtime.backends.registry import probe
from edgedrag.runtime.backends.tensorrt.library import MODULES
from edgedrag.runtime.bundle.describe import cost_at
from edgedrag.runtime.bundle.graphs import DRAG_STAGES
from edgedrag.runtime.bundle.manifest import Bundle, open_bundle
from edgedrag.runtime.errors import EdgedragError
from edgedrag.runtime.files import scratch_folder
from edgedrag.runtime.options import BACKENDS, BackendName, PrecisionName
from edgedrag.runtime.sampling.sampler import GUIDANCE_EPSILON, make_table
from edgedrag.runtime.selection.self_test import Golden, read_golden, run_golden, self_test
from edgedrag.runtime.session.edit import Edit
from edgedrag.runtime.session.runtime import Runtime
from edgedrag.runtime.trace import recording

STEPS = (1, 2, 4, 8)


def measure_bundle(
    bundle: Bundle, backend: BackendName, precision: PrecisionName, engines: Path, drags: int, peak: float
) -> Iterator[dict[str, Any]]:
    """Build, open, test, time and compare a bundle in one precision; yields the row so far after each part.

    A failure is stored in the row as `error`.
    """
    row: dict[str, Any] = {"bundle": bundle.name, "precision": precision, "backend": backend}
    golden = read_golden(bundle)
    try:
        if backend in MODULES:
            size = bundle.sizes[0] if golden is None else golden["picture"].shape[:2]
            request = Request(backend, ("this-gpu",), precision, ((int(size[0]), int(size[1])),))
            row["engines"] = list(build_engines(bundle, request, engines))
            yield row
        started = time.perf_counter()
        runtime = edgedrag.open(bundle.folder, backend, precision, engines)
        row["open_ms"] = round((time.perf_counter() - started) * 1e3, 2)
        row["device"] = runtime.backend.device
        outcome: Golden | None = runtime.golden or self_test(bundle, runtime.stages)
        row["self_test"] = None if outcome is None else outcome.__dict__
        yield row
        row["drags"] = {str(steps): time_drags(runtime, steps, drags) for steps in STEPS}
        yield row
        row["device_bytes"] = device_bytes(runtime)
        row["graphs"] = time_graphs(runtime, drags, peak)
        yield row
        row["parity"] = graph_parity(bundle, runtime.stages)
    except EdgedragError as error:
        row["error"] = str(error)
    yield row


def time_drags(runtime: Runtime, steps: int, drags: int) -> dict[str, Any]:
    """Times of first drags (on a newly loaded photo) and second drags, at the first window size."""
    height, width = runtime.stages.sizes[0]
    rng = np.random.default_rng(0)
    picture = np.kron(rng.integers(0, 255, (height // 16, width // 16, 3)), np.ones((16, 16, 1))).astype(np.uint8)
    mask = np.zeros((height, width), np.uint8)
    mask[height // 4 : -height // 4, width // 4 : -width // 4] = 255
    first, second = [], []
    for turn in range(drags + 2):
        photo = runtime.load(np.roll(picture, turn, axis=1))
        x, y = width / 2, height / 2
        edits = [photo.drag([((x, y), (x + reach, y + turn))], mask, steps=steps) for reach in (20, 10)]
        if turn >= 2:
            first.append(edits[0])
            second.append(edits[1])
    return {"first": figures(first), "second": figures(second)}


def figures(edits: list[Edit]) -> dict[str, Any]:
    """Medians in milliseconds, and the share of time outside the four stages."""
    outside = [1 - sum(e.timings[s] for s in DRAG_STAGES) / e.timings["total"] for e in edits]
    timings = {name: round(statistics.median(e.timings[name] for e in edits), 3) for name in edits[0].timings}
    return {"n": len(edits), **timings, "outside_share": round(statistics.median(outside), 4)}


def time_graphs(runtime: Runtime, drags: int, peak: float) -> dict[str, dict[str, float]]:
    """For each graph and branch in the golden drag: median ms, TFLOP/s, and the share of `peak` (TFLOP/s)."""
    golden = read_golden(runtime.bundle)
    if golden is None:
        return {}
    with recording() as events:
        for _ in range(drags):
            run_golden(runtime.bundle, runtime.stages, golden)
    spans = graph_spans(events)
    rows = {}
    for _, graph in runtime.bundle.graphs():
        for branch, cost in (("single", graph.cost), ("pair", graph.pair_cost or graph.cost)):
            same = (graph.name, branch)
            if durations := [s["dur"] / 1e3 for s in spans if (s["name"], s["args"]["branch"]) == same]:
                ms = statistics.median(durations)
                tflops = cost_at(cost["flops"], *golden["picture"].shape[:2]) / ms / 1e9
                rows[f"{graph.name} {branch}"] = {
                    "ms": round(ms, 3),
                    "tflops": round(tflops, 3),
                    "share_of_peak": round(tflops / peak, 3),
                }
    return rows


def device_bytes(runtime: Runtime) -> dict[str, int] | None:
    """Device memory of weights and buffers, if the backend counts it."""
    workspace = getattr(runtime.backend, "workspace", None)
    if workspace is None:
        return None
    return {"weights": workspace.residency.held_bytes, "buffers": workspace.buffers.held_bytes}


def compare_with_torch(
    bundle: Bundle, size_name: str, device: str, compiled: bool, timed: int, ours: list[dict]
) -> dict[str, Any]:
    """LightningDrag's networks and the published schedule in PyTorch, and their time ratios to the rows `ours`."""
    from edgedrag.benchmarks.engines.torch_networks import our_drag_ms, published_drag_ms, time_networks
    from edgedrag.generator.networks.lightningdrag.sizes import SIZES

    size = SIZES[size_name]
    height, width = bundle.sizes[0]
    rows = time_networks(size, height, width, device, compiled, timed)
    scales = make_table(bundle.sampler, 8).guidance
    pairs = int((abs(scales - 1) > GUIDANCE_EPSILON).sum())
    report: dict[str, Any] = {"networks_ms": rows, "height": height, "width": width, "drag_ms": {}, "ratios": {}}
    for how in ("eager", "compile"):
        report["drag_ms"][how] = {
            "our schedule": our_drag_ms(rows, size, how, pairs, 8 - pairs),
            "published, 1 image": published_drag_ms(rows, how, 1),
            "published, 4 images one after another": published_drag_ms(rows, how, 4),
        }
    for row in ours:
        if "drags" in row and row["bundle"] == bundle.name:
            mine = row["drags"]["8"]["first"]["total"]
            report["ratios"][f"{row['backend']} {row['precision']}"] = {
                f"{how}, {what}": round(ms / mine, 2)
                for how, drags in report["drag_ms"].items()
                for what, ms in drags.items()
                if ms
            }
    return report


def peak_of_matrix_products(device: str) -> dict[str, float]:
    """TFLOP/s of large matrix products in PyTorch, as the device's practical peak."""
    import torch

    from edgedrag.benchmarks.engines.torch_networks import median_ms

    side, dtypes = (1024, (torch.float32,)) if device == "cpu" else (8192, (torch.float32, torch.float16))
    tflops = {}
    for dtype in dtypes:
        a = torch.rand(side, side, device=device).to(dtype)
        tflops[str(dtype).removeprefix("torch.")] = round(
            2 * side**3 / median_ms(partial(torch.mm, a, a), device) / 1e9, 2
        )
    return tflops


@click.command()
@click.option(
    "--backend", "backends", multiple=True, help=f"Of {', '.join(BACKENDS)}; repeatable.  [default: all usable]"
)
@click.option("--size", type=click.Choice(["tiny", "full"]), default="full", show_default=True, help="LightningDrag's.")
@click.option("--lightningdrag", type=click.Path(path_type=Path), help="Its bundle.  [default: random weights]")
@click.option("--compile/--no-compile", "compiled", default=True, show_default=True, help="Also time torch.compile.")
@click.option("--drags", default=12, show_default=True, help="Timed drags of each kind.")
@click.option("--engines", type=click.Path(path_type=Path), help="Folder of engines.  [default: a temporary folder]")
@click.option("-o", "--output", type=click.Path(path_type=Path), required=True)
def main(
    backends: tuple[BackendName, ...],
    size: str,
    lightningdrag: Path | None,
    compiled: bool,
    drags: int,
    engines: Path | None,
    output: Path,
) -> None:
    """Measure all backends of this machine on both generators, and PyTorch."""
    import torch

    from edgedrag.export.checkpoints import export_random

    device = "cuda" if torch.cuda.is_available() else "cpu"
    named = backends or tuple(name for name in BACKENDS if probe(name).usable)
    report: dict[str, Any] = {**machine(torch.cuda.get_device_name() if device == "cuda" else "no GPU")}
    report |= {"dry_run": device == "cpu", "torch": torch.__version__, "size": size, "bundles": []}
    report["matrix_product_tflops"] = peak_of_matrix_products(device)
    peak = max(report["matrix_product_tflops"].values())
    with scratch_folder() as scratch:
        if lightningdrag is None:
            lightningdrag = scratch / "lightningdrag"
            export_random(0, size, lightningdrag, "fp16" if device == "cuda" else "fp32", None)
        for bundle in (open_bundle("embedded"), open_bundle(lightningdrag)):
            for backend in named:
                for precision in ("fp32", "fp16", "int8"):
                    if all(g.files(precision, "tensorrt" if backend in MODULES else "ort") for _, g in bundle.graphs()):
                        click.echo(f"{bundle.name} on {backend} in {precision}")
                        engine_folder = engines or scratch / "engines"
                        rows = report["bundles"]
                        for row in measure_bundle(bundle, backend, precision, engine_folder, drags, peak):
                            report["bundles"] = [*rows, row]
                            write_report(report, output)
        report["torch_networks"] = compare_with_torch(
            open_bundle(lightningdrag), size, device, compiled, drags, report["bundles"]
        )
        write_report(report, output)
    for row in report["bundles"]:
        eight = row.get("drags", {}).get("8")
        first, second = (eight[kind]["total"] if eight else None for kind in ("first", "second"))
        summary = row.get("error") or f"8 steps, first drag {first} ms, second drag {second} ms"
        click.echo(f"{row['bundle']} on {row['backend']} in {row['precision']}: {summary}")


if __name__ == "__main__":
    main()
