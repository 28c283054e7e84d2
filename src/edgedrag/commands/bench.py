"""Measuring."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from edgedrag.commands.bench_accuracy import accuracy
from edgedrag.commands.bench_latency import ab, compare, latency, plan, report
from edgedrag.commands.family import Family, json_option
from edgedrag.commands.option_groups import option, option_group, option_groups
from edgedrag.commands.options import FILE, Engine, engine_options

if TYPE_CHECKING:
    import numpy as np


@click.group(cls=Family)
def bench() -> None:
    """Measure latency, quality and the touch station; compare reports."""


for command in (latency, compare, ab, plan, report, accuracy):
    bench.add_command(command)


@option_group
class Written:
    """Where figures and pictures of results are written."""

    output: Path | None = option("-o", "--output", type=FILE, help="Write the figures to this JSON file.")
    sheet: Path | None = option("--sheet", type=FILE, help="Write a picture of results side by side.")

    def check(self) -> None:
        """Raise InputError where a file could not be written, before any work is done."""
        from edgedrag.runtime.files import check_folder
        from edgedrag.runtime.photo.picture import check_output

        if self.sheet is not None:
            check_output(self.sheet)
        if self.output is not None:
            check_folder(self.output.parent)

    def write(self, figures: dict[str, Any], picture: np.ndarray | None) -> None:
        """Write what was asked for; `picture` is uint8 RGB, or None if there is none."""
        from edgedrag.benchmarks.report import write_report
        from edgedrag.runtime.photo.picture import Picture, save_picture

        write_report(figures, self.output)
        if self.sheet is not None and picture is not None:
            save_picture(self.sheet, Picture(picture))


@option_group
class Samples:
    """What `bench quality` measures on, and what beside the bundle."""

    pairs: Path | None = option(
        "--pairs", type=FILE, help="Folder of mined pairs: compare with the true frames of CACHE/held_out."
    )
    dragbench: Path | None = option(
        "--dragbench", type=FILE, help="Folder of samples in DragBench's form: measure where the content moved."
    )
    jobs: Path | None = option(
        "--jobs", type=FILE, help="Pairs of frames (JSONL): edits with masks and one-finger pulls, both measured."
    )
    judged: Path | None = option("--judged", type=FILE, help="Drags to judge on the sheet (JSONL).")
    kinds: Path | None = option(
        "--kinds", type=FILE, help="TSV of names and kinds of things.  [default: the shipped one]"
    )
    every: int = option(
        "--every", default=1, show_default=True, type=click.IntRange(1), help="Of --jobs and --judged: each n-th."
    )
    source: Path | None = option("--source", type=FILE, help="Of --jobs and --judged: another checkout to measure.")
    per_clip: int = option(
        "--per-clip",
        default=12,
        show_default=True,
        type=click.IntRange(1),
        help="Pairs of real frames of each clip; each kind of synthetic motion gets a quarter.",
    )
    compare: tuple[str, ...] = option(
        "--compare", multiple=True, metavar="NAME=BUNDLE", help="A further bundle in the table; repeatable."
    )
    weights: Path | None = option(
        "--weights", type=FILE, help="Folder of the metric networks' weights.  [default: of their packages]"
    )

    protocol: str = option(
        "--protocol",
        type=click.Choice(["own", "published"]),
        default="own",
        show_default=True,
        help="Of --dragbench: published measures as RegionDrag does, see docs/published.md.",
    )
    dift: Path | None = option(
        "--dift", type=FILE, help="Of --protocol published: a folder of Stable Diffusion 2.1, for MD by DIFT."
    )

    def further_bundles(self) -> dict[str, str]:
        """The bundles of --compare by name."""
        further = dict(text.partition("=")[::2] for text in self.compare)
        if not all(further) or not all(further.values()):
            raise click.BadParameter("write it as NAME=BUNDLE", param_hint="--compare")
        return further

    def in_one_run(self) -> bool:
        """Whether several sets of drags are measured in one run.

        Raises:
            UsageError: options that do not go together.
        """
        together = self.jobs is not None or self.judged is not None
        if together and (self.pairs is not None or self.compare):
            raise click.UsageError("--jobs and --judged go together with --dragbench, not with --pairs or --compare")
        if not together and (self.pairs is None) == (self.dragbench is None):
            raise click.UsageError("give one of --pairs and --dragbench, or --jobs, --judged or both")
        if not together and self.source is not None:
            raise click.UsageError("--source needs --jobs or --judged")
        return together


@bench.command(extra="quality")
@option_groups(samples=Samples)
@engine_options
@option_groups(written=Written)
@json_option
def quality(samples: Samples, engine: Engine, written: Written, as_json: bool) -> None:
    """Compare edits with true frames, or judge them on DragBench's drags.

    Beside the bundle stand the unedited photo and an inverse-distance warp, and with the embedded generator its
    teacher and a regression network.

    \b
    edgedrag bench quality --jobs JOBS.jsonl --dragbench DIR --judged JUDGED.jsonl -o A.json
    measures all of these in one run, by kind of thing; `edgedrag bench compare A.json B.json` compares two.
    """
    from edgedrag.benchmarks.quality.measure import Request, describe, measure

    further = samples.further_bundles()
    if samples.in_one_run():
        _measure_edits(samples, engine, written, as_json)
        return
    written.check()
    if samples.protocol == "published":
        _measure_published(samples, engine, written, as_json)
        return
    runtime, _ = engine.open()
    relatives = engine.options.bundle == "embedded"
    figures, picture = measure(
        runtime,
        Request(
            samples.pairs,
            samples.dragbench,
            samples.weights,
            samples.per_clip,
            further,
            relatives,
            engine.steps,
            engine.seed,
            engine.max_megapixels,
        ),
    )
    written.write(figures, picture)
    click.echo(json.dumps(figures) if as_json else describe(figures))


def _measure_published(samples: Samples, engine: Engine, written: Written, as_json: bool) -> None:
    """`bench quality --protocol published`."""
    from edgedrag.benchmarks.context import context
    from edgedrag.benchmarks.quality import published
    from edgedrag.benchmarks.quality.dift import Dift
    from edgedrag.commands.bench_latency import print_progress
    from edgedrag.metrics.drag_sets import find_samples
    from edgedrag.metrics.stlpips import STLPIPS
    from edgedrag.metrics.xfeat import XFeat

    if samples.dragbench is None or samples.compare or written.sheet is not None:
        raise click.UsageError("--protocol published needs --dragbench, and goes with neither --compare nor --sheet")
    folders = find_samples(samples.dragbench)
    dift = None if samples.dift is None else Dift(samples.dift)
    scorer = published.Scorer(STLPIPS(samples.weights), XFeat(samples.weights), dift, published.load_lpips())
    runtime, _ = engine.open()
    steps = engine.steps or runtime.bundle.sampler["default_steps"]
    found = published.measure_published(runtime, steps, folders, engine.max_megapixels, scorer, print_progress)
    print_progress("")
    figures = {**context(runtime), "kind": "dragbench, published protocol", "steps": steps, **found}
    written.write(figures, None)
    click.echo(json.dumps(figures) if as_json else published.describe(figures))


def _measure_edits(samples: Samples, engine: Engine, written: Written, as_json: bool) -> None:
    """`bench quality` on several sets of drags in one run."""
    from edgedrag.benchmarks.quality.edits.measure import EditSets, measure
    from edgedrag.benchmarks.quality.edits.report import describe

    if written.sheet is not None and samples.judged is None:
        raise click.UsageError("--sheet needs --judged")
    written.check()
    sets = EditSets(samples.jobs, samples.dragbench, samples.judged, samples.kinds, samples.every)
    figures, sheet = measure(engine.options, samples.source, sets, samples.weights, engine.seed)
    written.write(figures, sheet)
    click.echo(json.dumps(figures) if as_json else describe(figures))


@bench.command(extra="quality")
@click.argument("photos", nargs=-1, required=True, type=FILE)
@click.option("--rounds", "count", default=10, show_default=True, help="Drags and inverses in all, an even number.")
@click.option("--seeds", default=3, show_default=True, type=click.IntRange(1), help="Random sequences of each photo.")
@engine_options
@option_groups(written=Written)
@json_option
def rounds(photos: tuple[Path, ...], count: int, seeds: int, engine: Engine, written: Written, as_json: bool) -> None:
    """Drag PHOTOS forth and back many times, and measure what changed.

    A chain of single edits, each of the file that the last one wrote, is measured beside it.
    """
    from edgedrag.benchmarks.quality.rounds import Plan, describe, measure

    written.check()
    runtime, _ = engine.open()
    figures, picture = measure(runtime, photos, Plan(count, seeds, engine.steps, engine.seed), engine.max_megapixels)
    written.write(figures, picture)
    click.echo(json.dumps(figures) if as_json else describe(figures))


@bench.command(extra="quality")
@click.argument("stills", type=FILE)
@click.argument("cutouts", type=FILE)
@click.option("--count", default=40, show_default=True, type=click.IntRange(1), help="Cut-outs over photographs.")
@click.option("--weights", type=FILE, help="Folder of the metric networks' weights.  [default: of their packages]")
@engine_options
@option_groups(written=Written)
@json_option
def ground(
    stills: Path, cutouts: Path, count: int, weights: Path | None, engine: Engine, written: Written, as_json: bool
) -> None:
    """Compare what fills the place of a moved thing with the truth.

    STILLS is a folder of photographs, CUTOUTS one of pictures with alpha that are laid over them.
    """
    from edgedrag.benchmarks.quality.ground import describe, measure

    written.check()
    runtime, _ = engine.open()
    figures, picture = measure(runtime, stills, cutouts, count, engine.seed, weights)
    written.write(figures, picture)
    click.echo(json.dumps(figures) if as_json else describe(figures))


@bench.command(extra="studio")
@click.option("--visitors", default=32, show_default=True, type=click.IntRange(1), help="At once, under load.")
@click.option("--seconds", default=120.0, show_default=True, type=click.FloatRange(1), help="Of load.")
@click.option(
    "--edits", default=500, show_default=True, type=click.IntRange(10), help="One after the other, for memory."
)
@click.option("--only", multiple=True, type=click.Choice(["browser", "load", "edits"]), help="This part; repeatable.")
@click.option("-o", "--output", type=FILE, help="Write the figures to this JSON file.")
@json_option
def studio(
    visitors: int, seconds: float, edits: int, only: tuple[str, ...], output: Path | None, as_json: bool
) -> None:
    """Time the touch station in a real browser, and under many visitors.

    Measured are previews and results under a finger, edits of many visitors at once, and memory over many edits.
    """
    import edgedrag
    from edgedrag.benchmarks.report import write_report
    from edgedrag.benchmarks.station.measure import PARTS, Wanted, describe, measure
    from edgedrag.runtime.files import check_folder

    if output is not None:
        check_folder(output.parent)
    wanted = Wanted(visitors, seconds, edits, only or PARTS)
    figures = measure(edgedrag.open(), wanted, lambda text: click.echo(text, err=True))
    write_report(figures, output)
    click.echo(json.dumps(figures) if as_json else describe(figures))
