"""Build time, peak memory and size of a bundle's engines with TensorRT-RTX, ahead of time.

Made the table of engine builds in docs/lightningdrag.md and benchmarks/results/build_full.json:

python tools/builds.py BUNDLE --size 512x512 -o REPORT.json

Each graph is built in its own process, so that its peak memory is measured separately.
"""

from __future__ import annotations

import re
import resource
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict
from multiprocessing import get_context
from pathlib import Path

import click
from tqdm import tqdm

from edgedrag.benchmarks.context import machine
from edgedrag.benchmarks.report import write_report
from edgedrag.export.engines.builder import TARGETS, build_file
from edgedrag.runtime.backends.tensorrt.cache import profile
from edgedrag.runtime.bundle.manifest import open_bundle
from edgedrag.runtime.system.processor import cpu_name


def build_one(folder: Path, name: str, index: int, size: tuple[int, int], target: str) -> dict:
    """Build variant `index` of a graph; returns its figures."""
    bundle = open_bundle(folder)
    graph = next(g for _, g in bundle.graphs() if g.name == name)
    variant = graph.variants[index]
    engine = build_file(bundle.verified_file(variant), profile(bundle, graph, size), target)
    return {
        "graph": Path(variant.file).stem,
        "precision": variant.precision,
        "file_bytes": variant.nbytes(folder),
        "target": target,
        "seconds": round(engine.seconds, 1),
        "peak_memory_mb": round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024),
        "engine_bytes": len(engine.plan),
        **asdict(engine.facts),
    }


@click.command()
@click.argument("bundle", type=click.Path(path_type=Path))
@click.option("--size", default="512x512", show_default=True, help="Height x width of the window, pixels.")
@click.option("--targets", default="sm_86,sm_89", show_default=True, help=f"Some of {', '.join(TARGETS)}.")
@click.option("-o", "--output", type=click.Path(path_type=Path))
def main(bundle: Path, size: str, targets: str, output: Path | None) -> None:
    """Build the engines of BUNDLE and print their figures."""
    match = re.fullmatch(r"(\d+)x(\d+)", size)
    if match is None:
        raise click.BadParameter(f"{size!r} is not height x width like 512x512", param_hint="--size")
    height, width = map(int, match.groups())
    opened = open_bundle(bundle)
    work = [
        (graph.name, index, target)
        for _, graph in opened.graphs()
        for index, variant in enumerate(graph.variants)
        if (variant.precision, variant.placement) != ("int8", "ort")  # TensorRT does not accept its zero points
        for target in targets.split(",")
    ]
    rows = []
    for name, index, target in tqdm(work, desc="engines"):
        with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as process:
            row = process.submit(build_one, bundle, name, index, (height, width), target).result()
        rows.append(row)
        click.echo("  ".join(f"{k} {v}" for k, v in row.items()))
    report = {
        **machine(f"{cpu_name()}, no GPU"),
        "bundle": opened.name,
        "height": height,
        "width": width,
        "engines": rows,
    }
    write_report(report, output)


if __name__ == "__main__":
    main()
