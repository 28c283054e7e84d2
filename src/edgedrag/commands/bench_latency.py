"""Measuring time: reports, comparisons, predictions."""

from __future__ import annotations

import json
import shlex
import sys
from pathlib import Path
from typing import Any

import click

from edgedrag.commands.family import Command, json_option
from edgedrag.commands.option_groups import option, option_group, option_groups
from edgedrag.commands.options import FILE, TRACE, runtime_options, step_counts, take_runtime_options
from edgedrag.runtime.codes import ExitCode
from edgedrag.runtime.options import RuntimeOptions


@option_group
class Measurement:
    """What `bench latency` measures, and for how long."""

    steps: str | None = option("--steps", metavar="1,2,4,8", help="Denoising steps.  [default: the bundle's]")
    sizes: str = option(
        "--sizes", default="512", show_default=True, help="Photos: a square's side, or WIDTHxHEIGHT; a list."
    )
    scenario: str = option(
        "--scenario",
        type=click.Choice(["single-stream", "interactive", "sustained", "offline", "server"]),
        default="single-stream",
        show_default=True,
    )
    seconds: float = option(
        "--seconds",
        type=click.FloatRange(1),
        default=12.0,
        show_default=True,
        help="For each size and step count; p99 takes 662 drags.",
    )
    minutes: float = option(
        "--minutes", type=click.FloatRange(0.1), default=10.0, show_default=True, help="Of the sustained scenario."
    )
    peers: str = option(
        "--peers",
        default="quick",
        show_default=True,
        metavar="LIST",
        help="Measured beside it, in the same run: quick, all, none, or names.",
    )


@option_group
class Mlperf:
    """MLPerf's scenarios and logs."""

    folder: Path | None = option(
        "--mlperf", type=FILE, metavar="DIR", help="Run one of its scenarios by LoadGen, and write LoadGen's logs."
    )
    rate: float | None = option(
        "--rate",
        type=click.FloatRange(0, min_open=True),
        help="Of server: arrivals a second.  [default: 60% of what drags one after the other reach]",
    )
    bound_ms: float = option(
        "--bound-ms",
        type=click.FloatRange(0, min_open=True),
        default=250.0,
        show_default=True,
        help="Of server: latency that nine of ten drags must keep.",
    )


@option_group
class LatencyFiles:
    """What `bench latency` writes."""

    output: Path | None = option(
        "-o", "--output", type=FILE, metavar="REPORT", help="Write REPORT.json, REPORT.md and REPORT.html."
    )
    samples: Path | None = option("--samples", type=FILE, metavar="FILE.csv", help="Write every sample.")


def print_progress(text: str) -> None:
    """Progress, for a person who waits."""
    if sys.stderr.isatty():
        click.echo(f"\r\033[K{text}", err=True, nl=False)


@click.command(cls=Command, extra="cpu")
@runtime_options
@option_groups(measurement=Measurement, mlperf=Mlperf, files=LatencyFiles)
@TRACE
@json_option
def latency(
    options: RuntimeOptions,
    measurement: Measurement,
    mlperf: Mlperf,
    files: LatencyFiles,
    trace: Path | None,
    as_json: bool,
) -> None:
    """Time drags on this device. Percentiles with bounds, cold start, graphs, memory, energy, peers.

    \b
    single-stream  one drag after the other
    interactive    a pointer's gestures: first preview, result after the release
    sustained      minutes without a pause: drift, clocks, temperatures, throttling
    offline        as many drags as fit, all waiting from the start
    server         drags that arrive at random, with a bound of the latency
    Ctrl-C ends it with the figures so far, marked incomplete; exit code 1 then.
    """
    from edgedrag.benchmarks.latency import measure as latency
    from edgedrag.benchmarks.latency import report as latency_report
    from edgedrag.benchmarks.latency.mlperf.scenarios import Asked
    from edgedrag.benchmarks.latency.peers import chosen
    from edgedrag.benchmarks.latency.scene import read_sizes
    from edgedrag.benchmarks.latency.subject import Configuration
    from edgedrag.runtime.files import check_file, check_folder
    from edgedrag.runtime.trace_file import tracing

    if trace is not None and measurement.scenario != "single-stream":
        raise click.UsageError("--trace records drags of the single-stream scenario alone")
    if mlperf.folder is not None:
        if measurement.scenario in ("interactive", "sustained"):
            raise click.UsageError("--mlperf is of the scenarios single-stream, offline and server alone")
        check_folder(mlperf.folder.parent)
    request = latency.Request(
        Configuration(options),
        None if measurement.steps is None else step_counts(measurement.steps),
        read_sizes(measurement.sizes),
        measurement.scenario,
        measurement.seconds,
        measurement.minutes,
        chosen(measurement.peers),
        Asked(mlperf.folder, mlperf.rate, mlperf.bound_ms),
    )
    stem = latency_report.stem(files.output)
    if files.samples is not None:
        check_file(files.samples)
    with tracing(trace, "edgedrag bench latency"):
        report = latency.measure(request, print_progress)
        print_progress("")
        latency_report.write([report], stem)
        if files.samples is not None:
            latency_report.write_samples(report, files.samples)
        click.echo(json.dumps(report) if as_json else latency_report.as_text([report]))
    if not report["complete"]:
        sys.exit(ExitCode.OTHER)


@click.command(cls=Command)
@click.argument("first", type=FILE, metavar="A.json")
@click.argument("second", type=FILE, metavar="B.json")
@json_option
def compare(first: Path, second: Path, as_json: bool) -> None:
    """Compare two reports of `bench latency`. B's time over A's, with its confidence interval.

    Exit code 4 where B's drags are slower. Machines drift; `bench ab` measures both in one run. Two reports of
    `bench quality --jobs` are compared by what B's edits gained and lost.
    """
    from edgedrag.benchmarks.latency.compare import compare_reports, describe, read_report
    from edgedrag.benchmarks.quality.edits import comparison

    reports = [comparison.read_edits(file) for file in (first, second)]
    if reports[0] is not None and reports[1] is not None:
        edits = comparison.compare_edits(reports[0], reports[1])
        click.echo(json.dumps(edits) if as_json else comparison.describe(edits))
        return
    found = compare_reports(read_report(first), read_report(second))
    click.echo(json.dumps(found) if as_json else describe(found))
    if found["verdict"] == "slower":
        sys.exit(ExitCode.SLOWER)


@click.command(cls=Command)
@click.option("--a", "first", required=True, metavar="OPTIONS", help='Such as "--precision fp32".')
@click.option(
    "--b",
    "second",
    required=True,
    metavar="OPTIONS",
    help="Any of latency's own of what is opened, --steps, and --source, a checkout to measure.",
)
@click.option("--size", default="512", show_default=True, help="Photo: a square's side, or WIDTHxHEIGHT.")
@click.option("--seconds", type=click.FloatRange(1), default=20.0, show_default=True, help="For both together.")
@click.option("-o", "--output", type=FILE, help="Write the figures to this JSON file.")
@json_option
def ab(first: str, second: str, size: str, seconds: float, output: Path | None, as_json: bool) -> None:
    """Compare two configurations that take turns in one run. B's time over A's; exit code 4 where B is slower.

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
    found = measure_ab(_side("--a", first), _side("--b", second), read_sizes(size)[0], seconds, print_progress)
    print_progress("")
    write_report(found, output)
    click.echo(json.dumps(found) if as_json else describe(found))
    if not found["complete"]:
        sys.exit(ExitCode.OTHER)
    if found["verdict"] == "slower":
        sys.exit(ExitCode.SLOWER)


@click.command(cls=Command)
@click.argument("reports", nargs=-1, required=True, type=FILE, metavar="REPORT...")
@click.option(
    "-o", "--output", type=FILE, required=True, metavar="DEVICE", help="Write DEVICE.json, DEVICE.md and DEVICE.html."
)
def report(reports: tuple[Path, ...], output: Path) -> None:
    """Put all reports of a device into one file, or those of a fleet.

    Of `bench latency` and `bench accuracy`, what stations answer at /metrics (text), and files that this command
    wrote, whose reports are merged. The page has a table of the stations and a plot of quality against latency.
    """
    from edgedrag.benchmarks.latency import device_report
    from edgedrag.benchmarks.latency.report import stem

    to = stem(output)
    assert to is not None, "the option is required"
    read = device_report.read_reports(reports)
    device_report.write(read, to)
    counts = f"{len(read.latency)} of latency, {len(read.accuracy)} of accuracy, {len(read.stations)} of stations"
    click.echo(f"{to}.json, .md and .html: {counts}")


@option_group
class Planned:
    """What `bench plan` predicts, and what it holds the predictions against."""

    device: str | None = option(
        "--device", metavar="LIST", help="Such as orin-nano,l4; cpu is this machine.  [default: the whole table]"
    )
    steps: str | None = option("--steps", metavar="1,2,4,8", help="Denoising steps.  [default: the bundle's]")
    target_ms: float | None = option(
        "--target-ms", type=click.FloatRange(0, min_open=True), help="What a drag may take."
    )
    measured: tuple[Path, ...] = option(
        "--measured",
        type=FILE,
        multiple=True,
        metavar="REPORT.json",
        help="A report of `bench latency` to compare predictions with; repeatable.",
    )
    output: Path | None = option(
        "-o", "--output", type=FILE, metavar="PLAN", help="Write PLAN.json, PLAN.md and PLAN.html."
    )


@click.command(cls=Command)
@click.argument("bundle", default="embedded")
@option_groups(options=Planned)
@json_option
def plan(bundle: str, options: Planned, as_json: bool) -> None:
    """Predict what a drag of BUNDLE takes on other devices.

    From the work of the bundle's graphs and the efficiencies of measured devices; says where it does not know.
    """
    from edgedrag.benchmarks.latency import plan
    from edgedrag.benchmarks.latency.compare import read_report
    from edgedrag.benchmarks.latency.report import stem
    from edgedrag.runtime.bundle.manifest import open_bundle

    stem(options.output)
    counts = None if options.steps is None else step_counts(options.steps)
    reports = [read_report(file) for file in options.measured]
    devices = plan.choose_devices(options.device)
    made = plan.make_plan(open_bundle(bundle), devices, counts, options.target_ms, reports)
    plan.write(made, options.output)
    click.echo(json.dumps(made) if as_json else plan.as_text(made))


@click.command(add_help_option=False)
@runtime_options
@click.option("--source", type=FILE)
@click.option("--steps", type=click.IntRange(1))
def _side_options(**_: Any) -> None:
    """Never runs: it parses the options of one side of `ab`."""


def _side(name: str, text: str) -> tuple[Any, int | None]:
    """A side's options as configuration and steps."""
    from edgedrag.benchmarks.latency.subject import Configuration

    try:
        values = _side_options.make_context(name, shlex.split(text)).params
    except ValueError as error:
        raise click.BadParameter(f"{text!r}: {error}", param_hint=name) from None
    except click.UsageError as error:
        raise click.BadParameter(f"{text!r}: {error.format_message()}", param_hint=name) from None
    steps = values.pop("steps")
    return Configuration(take_runtime_options(values), **values), steps
