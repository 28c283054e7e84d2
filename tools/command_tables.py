"""Writes what the docs say about commands, from the command line's own help.

python tools/command_tables.py

README.md gets the table of commands, docs/commands.md is all of it, and any page of docs/ gets a command's options
between the markers `<!-- options of COMMAND: ... -->`.
"""

from __future__ import annotations

import inspect
import re
from collections.abc import Iterator
from pathlib import Path

import click

from edgedrag.cli import cli

ROOT = Path(__file__).resolve().parents[1]
TOOL = "written by python tools/command_tables.py"
COMMANDS = re.compile(rf"(<!-- commands: {TOOL} -->\n).*?(<!-- commands: end -->)", re.S)
OPTIONS = re.compile(rf"(<!-- options of ([a-z ]+): {TOOL} -->\n).*?(<!-- options: end -->)", re.S)


def walk(group: click.Group, context: click.Context) -> Iterator[tuple[click.Command, click.Context]]:
    """All commands and families, each family before its commands, in the order of the help."""
    for name in group.list_commands(context):
        command = group.commands[name]
        inner = click.Context(command, info_name=name, parent=context)
        yield command, inner
        if isinstance(command, click.Group):
            yield from walk(command, inner)


def everything() -> list[tuple[click.Command, click.Context]]:
    return list(walk(cli, click.Context(cli, info_name="edgedrag")))


def usage(command: click.Command, context: click.Context) -> str:
    """Such as `edgedrag engines build [BUNDLE]`."""
    arguments = [p for p in command.get_params(context) if isinstance(p, click.Argument)]
    return " ".join([context.command_path, *(piece for p in arguments for piece in p.get_usage_pieces(context))])


def extra(command: click.Command) -> str:
    """The extra that a command asks for, as it is written for pip."""
    named = getattr(command, "extra", None)
    return f"`[{named}]`" if named else ""


def commands_table() -> str:
    """A line for each command: how it is called, what it does, its extra."""
    lines = ["| command | what it does | extra |", "|---|---|---|"]
    for command, context in everything():
        if not isinstance(command, click.Group):
            short = command.get_short_help_str(limit=200).rstrip(".")
            lines.append(f"| `{usage(command, context)}` | {short} | {extra(command)} |")
    return "\n".join(lines) + "\n"


def options_table(command: click.Command, context: click.Context) -> str:
    """A line for each option, but for --help."""
    options = [p for p in command.get_params(context) if isinstance(p, click.Option) and "--help" not in p.opts]
    records = [record for p in options if (record := p.get_help_record(context)) is not None]
    cells = [[" ".join(text.split()).replace("|", "\\|") for text in record] for record in records]
    if not cells:
        return ""
    return "\n".join(["| option | |", "|---|---|", *(f"| `{names}` | {text} |" for names, text in cells)]) + "\n"


def description(command: click.Command) -> str:
    """The help text; what stands in lines of its own there, as code."""
    paragraphs = inspect.cleandoc(command.help or "").split("\n\n")
    return "\n\n".join(
        f"```\n{paragraph[2:]}\n```" if paragraph.startswith("\b\n") else paragraph for paragraph in paragraphs
    )


def page() -> str:
    """docs/commands.md."""
    parts = [
        "# Commands",
        f"The help of every command, {TOOL}. Exit codes and error codes are in [errors.md](errors.md).",
    ]
    for command, context in everything():
        parts += [f"## {context.command_path}", f"`{usage(command, context)}`"]
        parts += [part for part in (description(command), options_table(command, context).rstrip()) if part]
        if extra(command):
            parts.append(f"Extra: {extra(command)}")
    return "\n\n".join(parts) + "\n"


def rewritten(text: str) -> str:
    """A page with what stands between markers written anew."""
    known = {context.command_path.removeprefix("edgedrag "): (command, context) for command, context in everything()}
    text = COMMANDS.sub(lambda found: found[1] + commands_table() + found[2], text)
    return OPTIONS.sub(lambda found: found[1] + options_table(*known[found[2]]) + found[3], text)


def pages() -> dict[Path, str]:
    """Every page that has generated parts, as it should be."""
    found = {ROOT / "docs" / "commands.md": page()}
    for file in [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]:
        text = file.read_text(encoding="utf-8")
        if TOOL in text and file not in found:
            found[file] = rewritten(text)
    return found


def main() -> None:
    for file, text in pages().items():
        file.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
