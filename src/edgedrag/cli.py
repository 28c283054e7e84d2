"""The command line."""

from __future__ import annotations

import sys

import click

import edgedrag
from edgedrag.commands.bench import bench
from edgedrag.commands.bundle import bundle
from edgedrag.commands.edit import batch, drag
from edgedrag.commands.engines import engines
from edgedrag.commands.hold import hold
from edgedrag.commands.info import doctor, info
from edgedrag.commands.learn import learn
from edgedrag.commands.renamed import RootFamily
from edgedrag.commands.streams import close_stdout, raised_by_echo, stdout_error
from edgedrag.commands.studio import studio
from edgedrag.runtime.codes import ExitCode
from edgedrag.runtime.errors import EdgedragError

COMMANDS = (drag, batch, hold, info, doctor, studio, bench, engines, bundle, learn)


@click.group(cls=RootFamily, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(edgedrag.__version__, prog_name="edgedrag")
def cli() -> None:
    """Edit photos by dragging: grab a point, move it, and the picture changes as the real object would.

    Everything runs on this device. Exit codes: 0 done, 2 bad usage or input, 3 no usable engine or
    bundle, or a package is missing, 4 slower (bench compare and ab), 1 anything else.
    """


for command in COMMANDS:
    cli.add_command(command)


def main() -> None:
    """The console script: one-sentence errors, and a traceback only for a bug."""
    try:
        sys.exit(cli.main(standalone_mode=False) or 0)
    except click.ClickException as error:
        error.show()
        sys.exit(error.exit_code)
    except EdgedragError as error:
        click.echo(f"error: {error}", err=True)
        sys.exit(error.exit_code)
    except OSError as error:
        if not raised_by_echo(error):
            raise
        close_stdout()
        click.echo(f"error: {stdout_error(error)}", err=True)
        sys.exit(ExitCode.OTHER)
    except (click.Abort, KeyboardInterrupt):
        click.echo("interrupted", err=True)
        sys.exit(ExitCode.OTHER)
