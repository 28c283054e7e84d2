"""Editing, and what it needs to know of a bundle and a machine."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

import edgedrag
from edgedrag.commands.options import FILE, TRACE, Engine, engine_options
from edgedrag.runtime.errors import EdgedragError, InputError

if TYPE_CHECKING:
    from edgedrag.runtime.session.jobs import Job


@click.command()
@click.argument("photo", type=FILE)
@click.option("--drag", "drags", multiple=True, required=True, metavar="X,Y:X,Y",
              help="Handle and target in pixels of the photo as displayed; repeat for several points.")  # fmt: skip
@click.option(
    "--mask", type=FILE, help="Picture of the photo's size, nonzero = may change.  [default: made from the drags]"
)
@click.option("-o", "--output", type=FILE, help="PNG or WebP (lossless) or JPEG.  [default: ./PHOTO-edited.png]")
@click.option("--sheet", type=FILE, help="Also write before, drag and after side by side.")
@click.option("--mask-out", type=FILE, help="Also write the mask that was used, to correct it and give it as --mask.")
@engine_options
@TRACE
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object on stdout.")
def drag(
    photo: Path,
    drags: tuple[str, ...],
    mask: Path | None,
    output: Path | None,
    sheet: Path | None,
    mask_out: Path | None,
    engine: Engine,
    trace: Path | None,
    as_json: bool,
) -> None:
    """Edit PHOTO: what lies at each handle moves to its target.

    \b
    edgedrag drag cat.jpg --drag 120,80:140,80 --mask mask.png -o out.png --sheet sheet.png
    """
    from edgedrag.runtime.drag.drags import parse_drag
    from edgedrag.runtime.session.jobs import Job, check_outputs, run_job
    from edgedrag.runtime.trace_file import tracing

    output = output or Path(f"{photo.stem}-edited.png")
    pairs = [parse_drag(text) for text in drags]
    job = Job(photo, pairs, output, mask, sheet, mask_out, engine.steps, engine.seed, engine.max_megapixels)
    check_outputs(job)
    with tracing(trace, "edgedrag drag"):
        runtime, opened_ms = engine.open()
        _tell(run_job(runtime, job, opened_ms), as_json)


def _tell(report: dict[str, Any], as_json: bool) -> None:
    """Print what a drag did."""
    output = report["output"]
    if not report["outside_exact"]:
        click.echo(f"warning: {output}: JPEG changes pixels outside the mask too; write a .png to keep them", err=True)
    if as_json:
        click.echo(json.dumps(report))
        return
    checks = report["checks"]
    click.echo(f"{output}  {checks['verdict']}, {report['timings_ms']['total']:.0f} ms on {report['backend']}")
    for reason in checks["reasons"]:
        click.echo(f"  {reason}")


@click.command()
@click.argument("jobs", type=FILE, metavar="JOBS.jsonl")
@click.option("-o", "--output", "outdir", type=FILE, required=True, help="Existing folder for NAME.png of each job.")
@engine_options
@TRACE
@click.option("--json", "as_json", is_flag=True, help="Print a line of JSON for each job.")
def batch(
    jobs: Path,
    outdir: Path,
    engine: Engine,
    trace: Path | None,
    as_json: bool,
) -> None:
    """Run every drag of JOBS.jsonl; results that exist are kept, so a stopped run goes on.

    \b
    A line: {"name": "a", "image": "a.jpg", "mask": "m.png", "drags": [[[120, 80], [140, 80]]], "seed": 0}
    mask and seed may be left out. A bad job is reported and the rest goes on; exit code 1 then.
    """
    from edgedrag.runtime.files import check_folder
    from edgedrag.runtime.session.jobs import read_jobs
    from edgedrag.runtime.trace_file import tracing

    check_folder(outdir)
    listed = list(read_jobs(jobs, outdir, engine.steps, engine.seed, engine.max_megapixels))
    with tracing(trace, "edgedrag batch"):
        failed = _run_jobs(listed, engine, as_json)
    if failed:
        sys.exit(1)


def _run_jobs(listed: Sequence[tuple[str, Job | InputError]], engine: Engine, as_json: bool) -> int:
    """Run jobs by name, each reported; returns how many failed."""
    from tqdm import tqdm

    from edgedrag.runtime.session.jobs import run_job

    runtime, opened_ms = engine.open()
    failed = skipped = 0
    for name, job in tqdm(listed, desc="drags", unit="drag", file=sys.stderr):
        try:
            if isinstance(job, InputError):
                raise job
            if job.output.exists():
                skipped += 1
                line = {"name": name, "output": str(job.output), "skipped": True}
            else:
                line = {"name": name, **run_job(runtime, job, opened_ms)}
            opened_ms = 0.0
        except Exception as error:  # one job must not take the others with it
            failed += 1
            text = str(error) if isinstance(error, EdgedragError) else f"{type(error).__name__}: {error}"
            tqdm.write(f"error: {name}: {text}", file=sys.stderr)
            line = {"name": name, "error": text}
        if as_json:
            click.echo(json.dumps(line))
    click.echo(f"{len(listed) - failed - skipped} done, {skipped} were there, {failed} failed", err=True)
    return failed


@click.command()
@click.argument("bundle", default="embedded")
@click.option("--cost", is_flag=True, help="What a drag costs: by graph, by schedule, beside the published code.")
def info(bundle: str, cost: bool) -> None:
    """Show what is in BUNDLE (a folder or a shipped name), where it came from, and its figures."""
    from edgedrag.runtime.bundle.cost import describe_cost
    from edgedrag.runtime.bundle.describe import describe_bundle
    from edgedrag.runtime.bundle.manifest import open_bundle

    opened = open_bundle(bundle)
    click.echo(describe_cost(opened) if cost else describe_bundle(opened))


@click.command()
@click.option("--bundle", default="embedded", show_default=True, help="A bundle's folder, or a shipped name.")
@click.option("--engines", type=FILE, help="Folder of built engines, for TensorRT.  [default: the user's cache]")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object on stdout.")
def doctor(bundle: str, engines: Path | None, as_json: bool) -> None:
    """Show which engines this machine has, which would be chosen, why not the others, and test the chosen one."""
    from edgedrag.runtime.selection.doctor import describe, examine

    facts = examine(edgedrag.__version__, bundle, engines)
    click.echo(json.dumps(facts) if as_json else describe(facts))
    test = facts["bundle"]["self_test"]
    if facts["chosen"] is None or (test is not None and not test["passed"]):
        sys.exit(3)
