"""Editing: one drag, or a list of them."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from edgedrag.commands.family import Command, json_option
from edgedrag.commands.option_groups import option, option_group, option_groups
from edgedrag.commands.options import FILE, NO_MARK, TRACE, Engine, engine_options
from edgedrag.commands.streams import DASH, check_dashes, piped_outputs, read_inputs
from edgedrag.runtime.codes import ExitCode
from edgedrag.runtime.drag.motion_names import MOTIONS, MotionName
from edgedrag.runtime.errors import EdgedragError, InputError
from edgedrag.runtime.session.variants import MAX_CANDIDATES

if TYPE_CHECKING:
    from edgedrag.runtime.session.jobs import Job


@option_group
class EditFiles:
    """The mask that a drag reads, and the pictures that it writes; `-` is stdin or stdout."""

    mask: Path | None = option(
        "--mask",
        type=FILE,
        help="Picture of the photo's size, nonzero = may change; - is stdin.  [default: made from the drags]",
    )
    output: Path | None = option(
        "-o",
        "--output",
        type=FILE,
        help="PNG, TIFF or WebP (lossless), JPEG or AVIF; - is PNG on stdout.  [default: ./PHOTO-edited.png]",
    )
    sheet: Path | None = option("--sheet", type=FILE, help="Also write before, drag and after side by side.")
    mask_out: Path | None = option(
        "--mask-out", type=FILE, help="Also write the mask that was used, to correct it and pass it as --mask."
    )
    no_mark: bool = option("--no-mark", is_flag=True, help=NO_MARK)


@option_group
class Answers:
    """How what is held moves, and how many answers are written."""

    motion: MotionName = option(
        "--motion",
        type=click.Choice(MOTIONS),
        default="auto",
        show_default=True,
        help="Of what the drags hold: whole = rigidly, bend = near the handle most, stretch = with its far end fixed.",
    )
    candidates: int | None = option(
        "--candidates",
        type=click.IntRange(1, MAX_CANDIDATES),
        help="Write up to so many answers, the likeliest first, as OUTPUT-1, OUTPUT-2, ...",
    )


@click.command(cls=Command, extra="cpu")
@click.argument("photo", type=FILE)
@click.option(
    "--drag",
    "drags",
    multiple=True,
    required=True,
    metavar="X,Y:X,Y",
    help="Handle and target in pixels of the photo as displayed; repeat for several points.",
)
@option_groups(files=EditFiles, answers=Answers)
@engine_options
@TRACE
@json_option
def drag(
    photo: Path,
    drags: tuple[str, ...],
    files: EditFiles,
    answers: Answers,
    engine: Engine,
    trace: Path | None,
    as_json: bool,
) -> None:
    """Edit PHOTO: what each handle holds moves to its target. With - as PHOTO it is read from stdin.

    A drag onto itself, X,Y:X,Y, is a pin: what it holds stays.

    \b
    edgedrag drag cat.jpg --drag 120,80:140,80 --mask mask.png -o out.png --sheet sheet.png
    edgedrag drag - --drag 120,80:140,80 -o - < cat.jpg > out.png
    """
    from edgedrag.runtime.drag.drags import parse_drag
    from edgedrag.runtime.files import remove_leftovers
    from edgedrag.runtime.session.jobs import Job, check_outputs, run_job
    from edgedrag.runtime.trace_file import tracing

    if photo == DASH and files.output is None:
        raise click.UsageError("a photo from stdin has no name: give -o FILE, or -o - for stdout")
    outputs = (files.output or Path(f"{photo.stem}-edited.png"), files.sheet, files.mask_out)
    if answers.candidates is not None and outputs[0] == DASH:
        raise click.UsageError("--candidates are several files: name them with -o FILE")
    to_stdout = check_dashes(outputs, as_json)
    pairs = [parse_drag(text) for text in drags]
    with piped_outputs(outputs) as (output, sheet, mask_out):
        assert output is not None
        source, mask = read_inputs(photo, files.mask)
        assert source is not None
        asked = engine.steps, engine.seed, engine.max_megapixels, not files.no_mark, answers.motion, answers.candidates
        job = Job(source, pairs, output, mask, sheet, mask_out, *asked)
        check_outputs(job)
        for folder in {file.parent for file in outputs if file is not None}:
            remove_leftovers(folder)
        with tracing(trace, "edgedrag drag"):
            runtime, opened_ms = engine.open()
            report = run_job(runtime, job, opened_ms, warn)
    if outputs[0] == DASH:
        report["output"] = "stdout"
    _print_report(report, as_json, err=to_stdout)


def warn(sentence: str) -> None:
    """Print a warning on stderr."""
    click.echo(f"warning: {sentence}", err=True)


def _print_report(report: dict[str, Any], as_json: bool, err: bool) -> None:
    """Print what a drag did, on stderr where a picture went to stdout."""
    output = report["output"]
    if not report["outside_exact"]:
        form = Path(output).suffix[1:].upper().replace("JPG", "JPEG")
        warn(f"{output}: {form} changes pixels outside the mask too; write a .png to keep them")
    if as_json:
        click.echo(json.dumps(report))
        return
    total_ms = report["timings_ms"]["total"]
    for number, each in enumerate(report.get("candidates", [report])):
        took = "" if number else f", {total_ms:.0f} ms on {report['backend']}"
        click.echo(f"{each['output']}  {each['motion']}: {each['checks']['verdict']}{took}", err=err)
        for reason in each["checks"]["reasons"]:
            click.echo(f"  {reason}", err=err)


@click.command(cls=Command, extra="cpu")
@click.argument("jobs", type=FILE, metavar="JOBS.jsonl")
@click.option(
    "-o",
    "--output",
    "outdir",
    required=True,
    help="Folder for NAME.png of each job; made where there is none. With --cluster also an address, as s3://shop/out.",
)
@click.option(
    "--cluster",
    metavar="auto|ray://HOST:PORT",
    help="Run on a Ray cluster (extra [cluster]); auto is the one of this machine, else all of its CPUs.",
)
@engine_options
@TRACE
@click.option("--no-mark", is_flag=True, help=NO_MARK)
@click.option("--json", "as_json", is_flag=True, help="Print a line of JSON for each job.")
def batch(
    jobs: Path,
    outdir: str,
    cluster: str | None,
    engine: Engine,
    trace: Path | None,
    no_mark: bool,
    as_json: bool,
) -> None:
    """Run every drag of JOBS.jsonl. With - as JOBS.jsonl it is read from stdin.

    A stopped run continues: results that exist are not made again.

    \b
    A line: {"name": "a", "image": "a.jpg", "mask": "m.png", "drags": [[[120, 80], [140, 80]]], "seed": 0}
    mask and seed may be left out. A bad job is reported and the others run; exit code 1 then.
    """
    from edgedrag.runtime.files import make_folder, remove_leftovers
    from edgedrag.runtime.session.jobs import read_jobs
    from edgedrag.runtime.trace_file import tracing

    if "://" in outdir and cluster is None:
        raise click.UsageError(f"-o {outdir}: an address is written to with --cluster alone")
    folder = Path(outdir)
    listed = list(read_jobs(jobs, folder, engine.steps, engine.seed, engine.max_megapixels, not no_mark))
    if cluster is not None:
        if trace is not None:
            raise click.UsageError("--trace: not with --cluster, whose workers are other processes")
        failed = _run_on_cluster(listed, outdir, engine, cluster, as_json)
    else:
        make_folder(folder)
        remove_leftovers(folder)
        with tracing(trace, "edgedrag batch"):
            failed = _run_jobs(listed, engine, as_json)
    if failed:
        sys.exit(ExitCode.OTHER)


def _warn_of_job(name: str, sentence: str) -> None:
    """Print a warning on stderr without breaking the progress bar."""
    from tqdm import tqdm

    tqdm.write(f"warning: {name}: {sentence}", file=sys.stderr)


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
                warn_of_job = partial(_warn_of_job, name)
                line = {"name": name, **run_job(runtime, job, opened_ms, warn_of_job)}
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


def _run_on_cluster(
    listed: Sequence[tuple[str, Job | InputError]], outdir: str, engine: Engine, cluster: str, as_json: bool
) -> int:
    """Run jobs on a cluster, each reported when it is done; returns how many failed."""
    from tqdm import tqdm

    from edgedrag.runtime.cluster.batch import run_batch
    from edgedrag.runtime.cluster.results import open_results
    from edgedrag.runtime.extras import missing_package

    failed = skipped = 0
    try:
        results = open_results(outdir)
        outcomes = run_batch(listed, results, engine.options, cluster)
        for name, done in tqdm(outcomes, total=len(listed), desc="drags", unit="drag", file=sys.stderr):
            if done is None:
                skipped += 1
                line = {"name": name, "skipped": True}
            elif done.error:
                failed += 1
                tqdm.write(f"error: {name}: {done.error}", file=sys.stderr)
                line = {"name": name, "error": done.error}
            else:
                for sentence in done.warnings:
                    _warn_of_job(name, sentence)
                line = {"name": name, **done.report}
            if as_json:
                click.echo(json.dumps(line))
    except ModuleNotFoundError as error:
        raise missing_package(error.name or "", "cluster") or error from error
    click.echo(f"{len(listed) - failed - skipped} done, {skipped} were there, {failed} failed", err=True)
    return failed
