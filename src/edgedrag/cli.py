"""The command line."""

from __future__ import annotations

import sys

import click

import edgedrag
from edgedrag.commands.bench import bench
from edgedrag.commands.build import calibrate, export
from edgedrag.commands.edit import batch, doctor, drag, info
from edgedrag.commands.engines import build, engines
from edgedrag.commands.learn import average, distill, finetune, pairs, train
from edgedrag.commands.studio import studio
from edgedrag.runtime.errors import EdgedragError

COMMANDS = (
    drag,
    batch,
    info,
    doctor,
    pairs,
    train,
    distill,
    average,
    finetune,
    export,
    calibrate,
    build,
    engines,
    studio,
    bench,
)


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(edgedrag.__version__, prog_name="edgedrag")
def cli() -> None:
    """Edit photos by dragging: grab a point, move it, and the picture changes as the object would.

    Runs on this device alone. Exit codes: 0 done, 2 bad usage or input, 3 no usable engine or
    bundle, 4 slower (bench compare and ab), 1 anything else.
    """


for command in COMMANDS:
    cli.add_command(command)


def main() -> None:
    """The console script: messages for people, no traceback for what they can mend."""
    try:
        sys.exit(cli.main(standalone_mode=False) or 0)
    except click.ClickException as error:
        error.show()
        sys.exit(error.exit_code)
    except EdgedragError as error:
        click.echo(f"error: {error}", err=True)
        sys.exit(error.exit_code)
    except (click.Abort, KeyboardInterrupt):
        click.echo("interrupted", err=True)
        sys.exit(1)
