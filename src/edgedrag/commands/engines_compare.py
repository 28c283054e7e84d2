"""Two engines on one bundle's graphs, layer by layer."""

from __future__ import annotations

import json
from pathlib import Path

import click

from edgedrag.commands.family import Command, json_option
from edgedrag.commands.options import FILE
from edgedrag.runtime.errors import InputError


@click.command(cls=Command, extra="compare")
@click.argument("bundle", default="embedded")
@click.option("--graph", metavar="G", help="Only this graph of the bundle, with every layer of it in the table.")
@click.option(
    "--backend",
    "backends",
    multiple=True,
    metavar="A",
    help="Twice: the reference, and what is compared "
    "with it. BACKEND or BACKEND:PRECISION, of cpu, cuda (ONNX Runtime), tensorrt, tensorrt-rtx and fp32, "
    "fp16, int8; without PRECISION the bundle's highest.  [default: cpu:fp32 and cpu:int8]",
)
@click.option(
    "--drag",
    "jobs",
    type=FILE,
    metavar="JOBS",
    help="JSONL of drags as for `batch`, as inputs.  [default: a drag on a synthetic picture]",
)
@click.option(
    "--tolerance",
    "least_db",
    type=click.FloatRange(0, 200),
    metavar="DB",
    help="Least signal to difference.  [default: 60, with fp16 40, with int8 20]",
)
@json_option
def compare(
    bundle: str,
    graph: str | None,
    backends: tuple[str, ...],
    jobs: Path | None,
    least_db: float | None,
    as_json: bool,
) -> None:
    """Compare two engines on BUNDLE's graphs, layer by layer. Names the first layer beyond tolerance.

    \b
    edgedrag engines compare embedded --backend cpu:fp32 --backend tensorrt:int8 --drag jobs.jsonl
    """
    from edgedrag.benchmarks.engines.comparison.runners import check_installed, check_usable, parse_sides
    from edgedrag.runtime.bundle.manifest import open_bundle

    opened = open_bundle(bundle)
    sides = parse_sides(backends, opened)
    names = [named.name for _, named in opened.graphs()]
    if graph is not None and graph not in names:
        raise InputError(f"--graph {graph}: bundle '{opened.name}' has {', '.join(names)}")
    check_installed()
    for side in sides:
        check_usable(side)

    from edgedrag.benchmarks.engines.comparison.drag_inputs import read_drags, record_inputs
    from edgedrag.benchmarks.engines.comparison.layers import compare_graphs, tolerance
    from edgedrag.benchmarks.engines.comparison.report import ComparisonReport

    report = ComparisonReport(opened.name, sides, tolerance(sides) if least_db is None else least_db)
    inputs = record_inputs(opened, read_drags(jobs))
    wanted = {place: feeds for place, feeds in inputs.items() if graph in (None, place[0])}
    if not as_json:
        click.echo("\n".join(report.heading()))
    for found in compare_graphs(opened, sides, wanted, report.tolerance_db):
        report.graphs.append(found)
        if not as_json:
            click.echo("\n".join(report.rows(found, every_layer=graph is not None)))
    click.echo(json.dumps(report.as_json()) if as_json else report.last_line())
