"""What is in a bundle, and what this machine can run."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import click

import edgedrag
from edgedrag.commands.family import Command, json_option
from edgedrag.commands.options import FILE
from edgedrag.runtime.codes import ExitCode


@click.command(cls=Command)
@click.argument("bundle", default="embedded")
@click.option(
    "--cost", is_flag=True, help="FLOPs, bytes and parameters: by graph, by schedule, and of the published code."
)
@json_option
def info(bundle: str, cost: bool, as_json: bool) -> None:
    """Show what is in BUNDLE, where it came from, and its figures.

    BUNDLE is a folder or a shipped name. With --json the object holds the manifest and the INT8 recipe, with
    --cost the cost of each graph and schedule too.
    """
    from edgedrag.runtime.bundle.cost import costs_as_json, describe_cost
    from edgedrag.runtime.bundle.describe import bundle_as_json, describe_bundle
    from edgedrag.runtime.bundle.manifest import open_bundle

    opened = open_bundle(bundle)
    if as_json:
        click.echo(json.dumps({**bundle_as_json(opened), **({"cost": costs_as_json(opened)} if cost else {})}))
    else:
        click.echo(describe_cost(opened) if cost else describe_bundle(opened))


@click.command(cls=Command)
@click.option("--bundle", default="embedded", show_default=True, help="A bundle's folder, or a shipped name.")
@click.option("--engines", type=FILE, help="Folder of built engines, for TensorRT.  [default: the user's cache]")
@json_option
def doctor(bundle: str, engines: Path | None, as_json: bool) -> None:
    """Show which backend is chosen here and why, and test it. Also: power mode, clocks, throttling, swap."""
    from edgedrag.runtime.selection.doctor import describe, examine

    facts = examine(edgedrag.__version__, bundle, engines)
    click.echo(json.dumps(facts) if as_json else describe(facts))
    test = facts["bundle"]["self_test"]
    if facts["chosen"] is None or (test is not None and not test["passed"]):
        sys.exit(ExitCode.UNAVAILABLE)
