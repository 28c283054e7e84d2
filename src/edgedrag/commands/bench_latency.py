"""Measuring time: reports, comparisons, predictions."""

from __future__ import annotations

import json
import shlex
import sys
from pathlib import Path
from typing import Any

import click

from edgedrag.commands.options import FILE, RUNTIME_OPTIONS, TRACE, runtime_options, step_counts, take_runtime_options
from edgedrag.runtime.codes import ExitCode
from edgedrag.runtime.options import RuntimeOptions


def say(text: str) -> None:
    """Progress, for a person who waits."""
    if sys.stderr.isatty():
        click.echo(f"\r\033[K{text}", err=True, nl=False)


@click.command()
@runtime_options
@click.option("--steps", metavar="1,2,4,8", help="Denoising steps.  [default: the bundle's]")
@click.option("--sizes", default="512", show_default=True, help="Photos: a square's side, or WIDTHxHEIGHT; a list.")
@click.option("--scenario", type=click.Choice(["single-stream", "interactive", "sustained"]), default="single-stream",
              show_default=True)  # fmt: skip
@click.option("--seconds", type=click.FloatRange(1), default=12.0, show_default=True,
              help="For each size and step count; p99 takes 662 drags.")  # fmt: skip
@click.option("--minutes", type=click.FloatRange(0.1), default=10.0, show_default=True,
              help="Of the sustained scenario.")  # fmt: skip
@click.option("--peers", default="quick", show_default=True, metavar="LIST",
              help="Measured beside it, in the same run: quick, all, none, or names.")  # fmt: skip
@click.option("-o", "--output", type=FILE, metavar="REPORT", help="Write REPORT.json, REPORT.md and REPORT.html.")
@click.option("--samples", type=FILE, metavar="FILE.csv", help="Write every sample.")
@TRACE
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object on stdout.")
def latency(
    options: RuntimeOptions, steps: str | None, sizes: str, scenario: str, seconds: float, minutes: float,
    peers: str, output: Path | None, samples: Path | None, trace: Path | None, as_json: bool,
) -> None:  # fmt: skip
    """Time drags on this device: percentiles with their bounds, cold start, graphs, memory, energy, peers.

    \b
    single-stream  one drag after the other
    interactive    a pointer's gestures: first preview, result after the release
    sustained      minutes without a pause: drift, clocks, temperatures, throttling
    Ctrl-C ends it with the figures so far, marked incomplete; exit code 1 then.
    """
    from edgedrag.benchmarks.latency import measure as latency
    from edgedrag.benchmarks.latency import report as latency_report
    from edgedrag.benchmarks.latency.peers import chosen
    from edgedrag.benchmarks.latency.scene import read_sizes
    from edgedrag.benchmarks.latency.subject import Configuration
    from edgedrag.runtime.files import check_file
    from edgedrag.runtime.trace_file import tracing

    if trace is not None and scenario != "single-stream":
        raise click.UsageError("--trace records drags of the single-stream scenario alone")
    request = latency.Request(
        Configuration(options),
        None if steps is None else step_counts(steps), read_sizes(sizes), scenario, seconds, minutes, chosen(peers),
    )  # fmt: skip
    stem = latency_report.stem(output)
    if samples is not None:
        check_file(samples)
    with tracing(trace, "edgedrag bench latency"):
        report = latency.measure(request, say)
        say("")
        latency_report.write([report], stem)
        if samples is not None:
            latency_report.write_samples(report, samples)
        click.echo(json.dumps(report) if as_json else latency_report.as_text([report]))
    if not report["complete"]:
        sys.exit(1)


@click.command()
@click.argument("first", type=FILE, metavar="A.json")
@click.argument("second", type=FILE, metavar="B.json")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object on stdout.")
def compare(first: Path, second: Path, as_json: bool) -> None:
    """Compare two reports of `bench latency`: B's time over A's, and how sure that is.

    Exit code 4 where B's drags are slower. Machines drift; `bench ab` measures both in one run.
    """
    from edgedrag.benchmarks.latency.compare import compare_reports, describe, read_report

    found = compare_reports(read_report(first), read_report(second))
    click.echo(json.dumps(found) if as_json else describe(found))
    if found["verdict"] == "slower":
        sys.exit(ExitCode.SLOWER)


@click.command()
@click.option("--a", "first", required=True, metavar="OPTIONS", help='Such as "--precision fp32".')
@click.option("--b", "second", required=True, metavar="OPTIONS",
              help="Any of latency's own of what is opened, --steps, and --source, a checkout to measure.")  # fmt: skip
@click.option("--size", default="512", show_default=True, help="Photo: a square's side, or WIDTHxHEIGHT.")
@click.option("--seconds", type=click.FloatRange(1), default=20.0, show_default=True, help="For both together.")
@click.option("-o", "--output", type=FILE, help="Write the figures to this JSON file.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object on stdout.")
def ab(first: str, second: str, size: str, seconds: float, output: Path | None, as_json: bool) -> None:
    """Compare two configurations that take turns in one run: B's time over A's. Exit code 4 where B is slower.

    \b
    edgedrag bench ab --a "--precision fp32" --b "--precision int8"
    edgedrag bench ab --a "--source ../before" --b ""
    """
    from edgedrag.benchmarks.latency.compare import describe, measure_ab
    from edgedrag.benchmarks.latency.scene import read_sizes
    from edgedrag.benchmarks.report import write_report
    from edgedrag.runtime.files import check_folder

    if output is not None:
        check_folder(output.parent)
    found = measure_ab(_side("--a", first), _side("--b", second), read_sizes(size)[0], seconds, say)
    say("")
    write_report(found, output)
    click.echo(json.dumps(found) if as_json else describe(found))
    if not found["complete"]:
        sys.exit(1)
    if found["verdict"] == "slower":
        sys.exit(ExitCode.SLOWER)


@click.command()
@click.argument("reports", nargs=-1, required=True, type=FILE, metavar="REPORT.json...")
@click.option("-o", "--output", type=FILE, required=True, metavar="FLEET", help="Write FLEET.html and FLEET.md.")
def report(reports: tuple[Path, ...], output: Path) -> None:
    """One page and one summary of several devices' reports."""
    from edgedrag.benchmarks.latency import report as latency_report
    from edgedrag.benchmarks.latency.compare import read_report

    stem = latency_report.stem(output)
    read = [read_report(file) for file in reports]
    latency_report.write(read, stem)
    click.echo(f"{stem}.html and {stem}.md: {len(read)} report(s)")


@click.command()
@click.argument("bundle", default="embedded")
@click.option("--device", metavar="LIST", help="Such as orin-nano,l4; cpu is this machine.  [default: the whole table]")
@click.option("--steps", metavar="1,2,4,8", help="Denoising steps.  [default: the bundle's]")
@click.option("--target-ms", type=click.FloatRange(0, min_open=True), help="What a drag may take.")
@click.option("--measured", type=FILE, multiple=True, metavar="REPORT.json",
              help="A report of `bench latency` to hold predictions against; repeatable.")  # fmt: skip
@click.option("-o", "--output", type=FILE, metavar="PLAN", help="Write PLAN.json, PLAN.md and PLAN.html.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object on stdout.")
def plan(
    bundle: str, device: str | None, steps: str | None, target_ms: float | None, measured: tuple[Path, ...],
    output: Path | None, as_json: bool,
) -> None:  # fmt: skip
    """Predict what a drag of BUNDLE takes on devices, from its graphs' FLOPs and bytes and a table of devices."""
    from edgedrag.benchmarks.latency import plan
    from edgedrag.benchmarks.latency.compare import read_report
    from edgedrag.benchmarks.latency.report import stem
    from edgedrag.runtime.bundle.manifest import open_bundle

    stem(output)
    counts = None if steps is None else step_counts(steps)
    reports = [read_report(file) for file in measured]
    made = plan.make_plan(open_bundle(bundle), plan.choose_devices(device), counts, target_ms, reports)
    plan.write(made, output)
    click.echo(json.dumps(made) if as_json else plan.as_text(made))


def _side(name: str, text: str) -> tuple[Any, int | None]:
    """A side's options as configuration and steps."""
    from edgedrag.benchmarks.latency.subject import Configuration

    command = click.Command(name, add_help_option=False)
    for option in (
        *RUNTIME_OPTIONS,
        click.option("--source", type=FILE),
        click.option("--steps", type=click.IntRange(1)),
    ):
        command = option(command)
    try:
        values = command.make_context(name, shlex.split(text)).params
    except ValueError as error:
        raise click.BadParameter(f"{text!r}: {error}", param_hint=name) from None
    except click.UsageError as error:
        raise click.BadParameter(f"{text!r}: {error.format_message()}", param_hint=name) from None
    steps = values.pop("steps")
    return Configuration(take_runtime_options(values), **values), steps
