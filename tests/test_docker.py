"""The Dockerfiles against the repository: what they copy, install and start is there."""

from __future__ import annotations

import os
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import click
import pytest
from conftest import REPOSITORY

from edgedrag.cli import cli

DOCKERFILES = sorted((REPOSITORY / "docker").glob("*.Dockerfile"))
PAGE = (REPOSITORY / "docs" / "docker.md").read_text()
PYPROJECT = (REPOSITORY / "pyproject.toml").read_text()


def instructions(file: Path) -> list[tuple[str, str]]:
    """(instruction, arguments) in order, without comments, continued lines joined."""
    lines = [line for line in file.read_text().splitlines() if not line.lstrip().startswith("#")]
    joined = re.sub(r"\\\n\s*", " ", "\n".join(lines))
    return [(line.split()[0], line.split(maxsplit=1)[1]) for line in joined.splitlines() if line]


def taken() -> list[str]:
    """What .dockerignore lets into an image."""
    lines = (REPOSITORY / ".dockerignore").read_text().splitlines()
    assert lines[1] == "*", "all else stays outside"
    return [line.removeprefix("!") for line in lines if line.startswith("!")]


@pytest.fixture(params=DOCKERFILES, ids=lambda file: file.name)
def steps(request: pytest.FixtureRequest) -> list[tuple[str, str]]:
    return instructions(request.param)


def test_there_is_one_for_each_kind_of_machine_and_the_page_names_it() -> None:
    assert [file.name.split(".")[0] for file in DOCKERFILES] == ["cpu", "gpu", "jetpack6", "jetpack7"]
    for file in DOCKERFILES:
        base = dict(instructions(file))["ARG"].removeprefix("BASE=")
        row = next(line for line in PAGE.splitlines() if line.startswith(f"| [`docker/{file.name}`]"))
        assert f"`{base}`" in row


def test_what_is_copied_exists(steps: list[tuple[str, str]]) -> None:
    copies = [shlex.split(arguments) for name, arguments in steps if name == "COPY"]
    assert copies
    for copy in copies:
        sources = [part for part in copy if not part.startswith("--")][:-1]
        if not any(part.startswith("--from=") for part in copy):
            assert all((REPOSITORY / source).exists() for source in sources), copy


def test_all_that_a_wheel_is_made_of_is_taken() -> None:
    links = [link.resolve().name for link in (REPOSITORY / "src" / "edgedrag").iterdir() if link.is_symlink()]
    readme = re.search(r'^readme = "(.*)"', PYPROJECT, re.M)
    assert readme is not None
    assert set(taken()) == {"pyproject.toml", "src", "LICENSE", readme[1], *links}
    assert all((REPOSITORY / name).exists() for name in taken())


def test_the_extras_that_are_installed_exist(steps: list[tuple[str, str]]) -> None:
    command = next(arguments for name, arguments in steps if "pip install" in arguments)
    asked = re.search(r'"/src\[([\w,]+)\]"', command)
    assert asked is not None
    for extra in asked[1].split(","):
        assert re.search(rf"^{extra} = \[", PYPROJECT, re.M), extra
    assert "studio" in asked[1]


def test_what_is_installed_is_what_the_copied_environment_starts(steps: list[tuple[str, str]]) -> None:
    of = dict(steps)
    program = re.findall(r'"([^"]*)"', of["ENTRYPOINT"])
    assert program == ["/opt/edgedrag/bin/edgedrag"]
    assert "edgedrag = " in PYPROJECT[PYPROJECT.index("[project.scripts]") :]
    assert of["COPY"].endswith("/opt/edgedrag /opt/edgedrag")
    name, *options = re.findall(r'"([^"]*)"', of["CMD"])
    command = cli.commands[name]
    known = {flag for option in command.params if isinstance(option, click.Option) for flag in option.opts}
    assert {option for option in options if option.startswith("--")} <= known


def test_it_runs_as_a_user_who_owns_its_volume_alone(steps: list[tuple[str, str]]) -> None:
    of = dict(steps)
    assert of["USER"] == "10001" and of["VOLUME"] == of["WORKDIR"] == "/data"
    assert any("useradd --uid 10001" in arguments for name, arguments in steps if name == "RUN")
    names = [name for name, _ in steps]
    assert "RUN" not in names[names.index("USER") :], "nothing is installed as that user"


def test_health_is_asked_where_the_station_answers(steps: list[tuple[str, str]]) -> None:
    of = dict(steps)
    port = next(option.default for option in cli.commands["studio"].params if option.name == "port")
    assert of["EXPOSE"] == str(port) and f"http://127.0.0.1:{port}/healthz" in of["HEALTHCHECK"]
    assert '@app.get("/healthz"' in (REPOSITORY / "studio" / "api" / "app.py").read_text()


@pytest.mark.parametrize("file", DOCKERFILES, ids=lambda file: file.name)
def test_hadolint_finds_nothing(file: Path) -> None:
    program = shutil.which("hadolint", path=f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}")
    if program is None:
        pytest.skip("hadolint is not installed; the extra [test] brings it")
    done = subprocess.run([program, "--no-color", file], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
