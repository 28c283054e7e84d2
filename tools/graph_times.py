"""Collects the measured times of graphs from benchmarks/results for `bench plan`.

Writes benchmarks/latency/graph_times.json:

python tools/graph_times.py

Each row is a graph on one engine, device and precision, with the peaks that were measured or are stated for that
device. The reports of versions 4 to 6.1 do not state the shares of INT8 in a graph; they are those of the recipe.
"""

from __future__ import annotations

import json
import statistics
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from edgedrag.benchmarks.latency.efficiency import FILE, device_class
from edgedrag.benchmarks.latency.roofline import read_devices

RESULTS = Path(__file__).parents[1] / "benchmarks" / "results"
INT8_SHARES = {"encoder": 1.0, "motion": 0.436, "condition": 1.0, "denoiser": 0.988, "decoder": 0.0}  # of version 6.1
REPORTS = (
    "latency_int8_61.json", "latency_fp32_61.json", "latency_int8.json", "latency_fp32.json", "latency_h200.json",
)  # fmt: skip
VNNI = ("avx2", "avx512_vnni")  # of the processor whose reports do not state its instructions; see docs/latency.md
WINDOW_PIXELS = {"embedded": 256 * 256, "lightningdrag-sd15": 512 * 512}
HOLD = ("hold_features", "hold_answers")
HOLD_PIXELS = [96 * 96, 160 * 160, 224 * 224]  # of each run of these graphs on a square photo
ONCE_FOR_A_PHOTO = ("encoder", "hold_features")
H200_FP32_GFLOPS = 51.1e3  # measured, a large matrix product without TF32
# Engines of openvino.json by the names of its columns; what it holds of TensorRT's placement is not for a CPU.
COLUMNS = {
    "onnxruntime fp32": ("cpu", "fp32"), "onnxruntime int8": ("cpu", "int8"),
    "openvino f32 fp32": ("openvino", "fp32"), "openvino f32 int8": ("openvino", "int8"),
}  # fmt: skip


def read(name: str) -> dict[str, Any]:
    return json.loads((RESULTS / name).read_text(encoding="utf-8"))


def row(graph: str, ms: float, precision: str, peaks: dict[str, float], **more: Any) -> dict[str, Any]:
    share = INT8_SHARES.get(graph, 0.0) if precision == "int8" else 0.0
    pixels = HOLD_PIXELS if graph in HOLD else [WINDOW_PIXELS[more["network"]]]
    return {
        **more, "graph": graph, "pixels": pixels, "precision": precision, "int8_share": share, "peaks": peaks,
        "ms": round(ms, 3),
    }  # fmt: skip


def cpu_peaks(report: dict[str, Any]) -> dict[str, float]:
    measured = report["peaks"]
    return {"arithmetic": measured["fp32_gflops"], "int8": measured["int8_gops"], "gb_s": measured["copy_gb_s"]}


def gpu_peaks(precision: str) -> dict[str, float]:
    h200 = read_devices()["h200"]
    arithmetic = h200.gops["fp16"] if precision == "fp16" else H200_FP32_GFLOPS
    return {"arithmetic": arithmetic, "int8": h200.gops["int8"], "gb_s": h200.gb_s}


def class_of(context: dict[str, Any]) -> str:
    return device_class(context["backend"], context["device"], context.get("vector_instructions") or VNNI)


def of_reports() -> Iterator[dict[str, Any]]:
    """The profiles of reports of `bench latency`: each graph's median over sizes and step counts, for one run."""
    for name in REPORTS:
        report = read(name)
        context = report["context"]
        gpu = context["backend"] != "cpu"
        profiles = [(run["steps"], run["profile"]["graphs_ms"]) for run in report["runs"]]
        for graph in profiles[0][1]:
            times = [times[graph] / (steps if graph == "denoiser" else 1) for steps, times in profiles]
            yield row(
                graph, statistics.median(times), context["precision"],
                gpu_peaks(context["precision"]) if gpu else cpu_peaks(report),
                source=name, network="embedded", engine=context["backend"], device=context["device"],
                **{"class": class_of(context)},
            )  # fmt: skip


def of_openvino() -> Iterator[dict[str, Any]]:
    """openvino.json: on the processor, and the day, of latency_int8_61.json, whose peaks it takes."""
    peaks = cpu_peaks(read("latency_int8_61.json"))
    for graph, columns in read("openvino.json")["graphs"].items():
        for column, (engine, precision) in COLUMNS.items():
            yield row(
                graph, columns[column]["median_ms"], precision, peaks, source="openvino.json", network="embedded",
                engine=engine, device="AMD EPYC", **{"class": device_class(engine, "AMD EPYC", VNNI)},
            )  # fmt: skip


def of_gpu() -> Iterator[dict[str, Any]]:
    """gpu_h200.json: both networks on ONNX Runtime CUDA."""
    report = read("gpu_h200.json")
    for bundle in report["bundles"]:
        for graph, figures in bundle["graphs"].items():
            name, branch = graph.rsplit(" ", 1)
            name = name if branch == "single" else f"{name}, {branch}"
            yield row(
                name, figures["ms"], bundle["precision"], gpu_peaks(bundle["precision"]), source="gpu_h200.json",
                network=bundle["bundle"], engine="cuda", device=report["device"],
                **{"class": device_class("cuda", report["device"], ())},
            )  # fmt: skip


def drags_of_reports() -> Iterator[dict[str, Any]]:
    """Whole drags of reports of `bench latency`: medians, and the time outside the graphs."""
    for name in REPORTS:
        report = read(name)
        context = report["context"]
        for run in report["runs"]:
            width, height = map(int, run["size"].split("x"))
            for kind in ("drag", "first_drag"):
                runs = {graph: run["steps"] if graph == "denoiser" else 1 for graph in run["profile"]["graphs_ms"]}
                if kind == "drag":
                    runs = {graph: n for graph, n in runs.items() if graph not in ONCE_FOR_A_PHOTO}
                yield {
                    "source": name, "network": "embedded", "version": context.get("bundle_version", "6.1.0"),
                    "engine": context["backend"], "class": class_of(context), "precision": context["precision"],
                    "megapixels": round(width * height / 1e6, 3), "steps": run["steps"], "first": kind == "first_drag",
                    "runs": runs, "outside_ms": run["profile"]["outside_graphs_ms"][kind], "ms": run[kind]["median_ms"],
                }  # fmt: skip


def drags_of_gpu() -> Iterator[dict[str, Any]]:
    """Whole first drags of gpu_h200.json, of 512 x 512."""
    report = read("gpu_h200.json")
    for bundle in report["bundles"]:
        for steps, kinds in bundle["drags"].items():
            figures = kinds["first"]
            runs = {name.removesuffix(" single").replace(" pair", ", pair"): 1 for name in bundle["graphs"]}
            runs |= {name: int(steps) for name in runs if name in ("denoiser", "unet, pair")}
            yield {
                "source": f"gpu_h200.json, {bundle['bundle']} {bundle['precision']}", "network": bundle["bundle"],
                "version": "4.0.0" if bundle["bundle"] == "embedded" else "1.0.0", "engine": "cuda",
                "class": device_class("cuda", report["device"], ()), "precision": bundle["precision"],
                "megapixels": 0.262, "steps": int(steps), "first": True, "runs": runs,
                "outside_ms": round(figures["total"] * figures["outside_share"], 2), "ms": figures["total"],
            }  # fmt: skip


def main() -> None:
    graphs, drags = [*of_reports(), *of_openvino(), *of_gpu()], [*drags_of_reports(), *drags_of_gpu()]
    lines = [",\n".join(f"  {json.dumps(entry)}" for entry in entries) for entries in (graphs, drags)]
    about = "Measured times of graphs and drags, written by tools/graph_times.py from benchmarks/results."
    FILE.write_text(
        f'{{\n "about": {json.dumps(about)},\n "graphs": [\n{lines[0]}\n ],\n "drags": [\n{lines[1]}\n ]\n}}\n'
    )


if __name__ == "__main__":
    main()
