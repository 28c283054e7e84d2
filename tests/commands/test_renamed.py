"""Old names of commands: they run what has the new name, say so, and are in no help."""

from __future__ import annotations

import click
import pytest
from click.testing import CliRunner

from edgedrag.cli import cli
from edgedrag.commands.renamed import RENAMED


@pytest.mark.parametrize("old", sorted(RENAMED))
def test_an_old_name_runs_the_new_command_and_says_so(old: str) -> None:
    done, new = (CliRunner().invoke(cli, [*words, "--help"]) for words in ([old], RENAMED[old]))
    assert done.exit_code == new.exit_code == 0
    assert done.stdout == new.stdout and not new.stderr
    assert len(done.stderr.splitlines()) == 1 and f"`edgedrag {' '.join(RENAMED[old])}`" in done.stderr


def test_old_names_are_hidden() -> None:
    assert not set(RENAMED) & set(cli.list_commands(click.Context(cli)))


def test_an_unknown_name_is_a_usage_error() -> None:
    done = CliRunner().invoke(cli, ["abacus"])
    assert done.exit_code == 2 and "abacus" in done.stderr
