"""Commands in families. A command that lacks a package says which extra of edgedrag brings it."""

from __future__ import annotations

from typing import Any

import click

from edgedrag.runtime.extras import missing_package


class Command(click.Command):
    """A command; `extra` is the extra of the package that brings what it imports beyond the runtime."""

    def __init__(self, *args: Any, extra: str | None = None, **settings: Any):
        super().__init__(*args, **settings)
        self.extra = extra

    def invoke(self, ctx: click.Context) -> Any:
        """Run it. Raises EngineError where a package of an extra is missing."""
        try:
            return super().invoke(ctx)
        except ModuleNotFoundError as error:
            missing = missing_package(error.name or "", self.extra)
            if missing is None:
                raise
            raise missing from error


class Family(click.Group):
    """A group of commands; its help lists them in the order in which they were added."""

    command_class = Command

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(self.commands)


def json_option(command: Any) -> Any:
    """Add the option --json, as the argument `as_json`."""
    return click.option("--json", "as_json", is_flag=True, help="Print one JSON object on stdout.")(command)
