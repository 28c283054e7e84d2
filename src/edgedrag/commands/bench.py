"""Measuring."""

from __future__ import annotations

import json
from pathlib import Path

import click

from edgedrag.commands.bench_latency import ab, compare, latency, plan, report
from edgedrag.commands.options import FILE, Engine, engine_options


@click.group()
def bench() -> None:
    """Measure latency, quality, what many rounds leave, and the touch station."""


for command in (latency, compare, ab, plan, report):
    bench.add_command(command)


@bench.command()
@click.option("--pairs", type=FILE, help="Folder of mined pairs: compare with the true frames of CACHE/held_out.")
@click.option("--dragbench", type=FILE, help="Folder of samples in DragBench's form: see where the content went.")
@click.option("--per-clip", default=12, show_default=True, type=click.IntRange(1),
              help="Pairs of real frames of each clip; each kind of made motion gets a quarter.")  # fmt: skip
@click.option("--compare", multiple=True, metavar="NAME=BUNDLE", help="A further bundle in the table; repeatable.")
@click.option("--weights", type=FILE, help="Folder of the metric networks' weights.  [default: of their packages]")
@engine_options
@click.option("-o", "--output", type=FILE, help="Write the figures to this JSON file.")
@click.option("--sheet", type=FILE, help="Write a picture of results side by side.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object on stdout.")
def quality(
    pairs: Path | None,
    dragbench: Path | None,
    per_clip: int,
    compare: tuple[str, ...],
    weights: Path | None,
    engine: Engine,
    output: Path | None,
    sheet: Path | None,
    as_json: bool,
) -> None:
    """Compare edits with the true frames of held-out clips, or judge them on drags without a truth; and baselines."""
    from edgedrag.benchmarks.quality.measure import Request, describe, measure
    from edgedrag.benchmarks.report import write_report
    from edgedrag.runtime.files import check_folder
    from edgedrag.runtime.photo.picture import Picture, check_output, save_picture

    if (pairs is None) == (dragbench is None):
        raise click.UsageError("give one of --pairs and --dragbench")
    further = dict(text.partition("=")[::2] for text in compare)
    if not all(further) or not all(further.values()):
        raise click.BadParameter("write it as NAME=BUNDLE", param_hint="--compare")
    if sheet is not None:
        check_output(sheet)
    if output is not None:
        check_folder(output.parent)
    runtime, _ = engine.open()
    relatives = engine.options.bundle == "embedded"
    figures, picture = measure(
        runtime,
        Request(
            pairs, dragbench, weights, per_clip, further, relatives, engine.steps, engine.seed, engine.max_megapixels
        ),
    )
    write_report(figures, output)
    if sheet is not None:
        save_picture(sheet, Picture(picture))
    click.echo(json.dumps(figures) if as_json else describe(figures))


@bench.command()
@click.argument("photos", nargs=-1, required=True, type=FILE)
@click.option("--rounds", default=10, show_default=True, help="Drags and inverses in all, an even number.")
@click.option("--seeds", default=3, show_default=True, type=click.IntRange(1), help="Random sequences of each photo.")
@engine_options
@click.option("-o", "--output", type=FILE, help="Write the figures to this JSON file.")
@click.option("--sheet", type=FILE, help="Write a picture of what is left of each photo.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object on stdout.")
def rounds(
    photos: tuple[Path, ...],
    rounds: int,
    seeds: int,
    engine: Engine,
    output: Path | None,
    sheet: Path | None,
    as_json: bool,
) -> None:
    """Drag PHOTOS forth and back, many times: what is left of them, and of a chain of single edits."""
    from edgedrag.benchmarks.quality.rounds import describe, measure
    from edgedrag.benchmarks.report import write_report
    from edgedrag.runtime.files import check_folder
    from edgedrag.runtime.photo.picture import Picture, check_output, save_picture

    if sheet is not None:
        check_output(sheet)
    if output is not None:
        check_folder(output.parent)
    runtime, _ = engine.open()
    figures, picture = measure(runtime, photos, rounds, seeds, engine.steps, engine.seed, engine.max_megapixels)
    write_report(figures, output)
    if sheet is not None:
        save_picture(sheet, Picture(picture))
    click.echo(json.dumps(figures) if as_json else describe(figures))


@bench.command()
@click.option("--visitors", default=32, show_default=True, type=click.IntRange(1), help="At once, under load.")
@click.option("--seconds", default=120.0, show_default=True, type=click.FloatRange(1), help="Of load.")
@click.option("-o", "--output", type=FILE, help="Write the figures to this JSON file.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object on stdout.")
def studio(visitors: int, seconds: float, output: Path | None, as_json: bool) -> None:
    """Time the touch station: previews and results in a real browser, memory over many edits, many visitors."""
    import edgedrag
    from edgedrag.benchmarks.report import write_report
    from edgedrag.runtime.errors import InputError
    from edgedrag.runtime.files import check_folder

    try:
        from edgedrag.benchmarks.station.measure import describe, measure
    except ImportError as error:
        raise InputError(f"{error.name} is not installed: install edgedrag[studio]") from None
    if output is not None:
        check_folder(output.parent)
    figures = measure(edgedrag.open(), visitors, seconds)
    write_report(figures, output)
    click.echo(json.dumps(figures) if as_json else describe(figures))
