"""Measuring accuracy beside time."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click

from edgedrag.commands.bench_latency import print_progress
from edgedrag.commands.family import Command, json_option
from edgedrag.commands.options import FILE, step_counts


@click.command(cls=Command, extra="quality")
@click.option("--bundle", default="embedded", show_default=True, help="A bundle's folder, or a shipped one's name.")
@click.option("--golden", type=FILE, help="Folder with golden.json and its photos.  [default: a checkout's]")
@click.option("--backends", default="cpu", show_default=True, metavar="LIST", help="Such as cpu,openvino.")
@click.option("--precisions", default="fp32,int8", show_default=True, metavar="LIST")
@click.option("--steps", default="1,2,4", show_default=True, metavar="LIST", help="Denoising steps.")
@click.option("--threads", type=click.IntRange(1), help="Of each backend.  [default: the CPUs of this process]")
@click.option("--weights", type=FILE, help="Folder of the metric networks' weights.  [default: of their packages]")
@click.option("-o", "--output", type=FILE, help="Write the figures to this JSON file.")
@json_option
def accuracy(
    bundle: str, golden: Path | None, backends: str, precisions: str, steps: str, threads: int | None,
    weights: Path | None, output: Path | None, as_json: bool,
) -> None:  # fmt: skip
    """Compare what each backend, precision and step count costs: time beside accuracy.

    On a small set of photos with drags: dB and ST-LPIPS from the first backend's first precision, and verdicts, so
    that a faster row cannot hide a worse picture.
    """
    from edgedrag.benchmarks.quality import golden as sets
    from edgedrag.benchmarks.report import write_report
    from edgedrag.metrics.stlpips import STLPIPS
    from edgedrag.runtime.files import check_folder
    from edgedrag.runtime.options import BACKENDS, PRECISIONS

    if output is not None:
        check_folder(output.parent)
    counts = step_counts(steps)
    on, inside = _names(backends, BACKENDS, "--backends"), _names(precisions, PRECISIONS, "--precisions")
    tasks = sets.read_golden(golden or sets.shipped(), 100.0)
    stlpips = STLPIPS(weights)
    runtimes, absent = sets.open_all(bundle, on, inside, threads)
    figures = sets.report(runtimes, absent, sets.measure(runtimes, counts, tasks, stlpips, print_progress))
    print_progress("")
    write_report(figures, output)
    click.echo(json.dumps(figures) if as_json else sets.describe(figures))


def _names(text: str, known: Sequence[str], hint: str) -> list[Any]:
    """A list of names, each once."""
    names = list(dict.fromkeys(part.strip() for part in text.split(",")))
    unknown = [name for name in names if name not in known]
    if unknown:
        raise click.BadParameter(f"{unknown[0]!r} is not one of {', '.join(known)}", param_hint=hint)
    return names
