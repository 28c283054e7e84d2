"""Every command on a machine that has none of the extras: one sentence with the install line, exit code 3."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator

import click
import pytest
from conftest import EXAMPLES, REPOSITORY

from edgedrag.cli import cli
from edgedrag.runtime.extras import IMPORTED_AS, extras

pytestmark = pytest.mark.slow

PHOTO, REPORT = EXAMPLES / "chelsea.png", REPOSITORY / "benchmarks" / "results" / "latency_int8.json"
DRAG = "--drag 265,240:245,250"

# Command: its arguments, and the extra that it asks for; None where it needs no package of an extra
# (learn pairs needs OpenCV alone).
CASES: dict[str, tuple[str, str | None]] = {
    "drag": (f"{PHOTO} {DRAG} -o {{tmp}}/out.png", "cpu"),
    "batch": ("{tmp}/jobs.jsonl -o {tmp}/out", "cpu"),
    "info": ("--cost", None),
    "studio": ("--port 0 --state {tmp}/state", "studio"),
    "hold": (f"{PHOTO} --at 10,10 -o {{tmp}}/held.png", "cpu"),
    "bench latency": ("--seconds 1", "cpu"),
    "bench compare": (f"{REPORT} {REPORT}", None),
    "bench ab": ("--a= --b= --seconds 1", "cpu"),
    "bench plan": ("embedded --device orin-nano", None),
    "bench report": (f"{REPORT} -o {{tmp}}/fleet", None),
    "bench accuracy": ("--steps 1", "quality"),
    "bench quality": ("--pairs {tmp}", "cpu"),
    "bench ground": ("{tmp} {tmp}", "quality"),
    "bench rounds": (f"{PHOTO}", "cpu"),
    "bench studio": ("--seconds 1", "studio"),
    "engines build": ("embedded --engine tensorrt-rtx", "rtx"),
    "engines list": ("--engines {tmp}", None),
    "engines verify": ("--engines {tmp}", None),
    "engines prune": ("--engines {tmp}", None),
    "engines compare": ("embedded", "compare"),
    "engines command": ("condition", None),
    "bundle export": ("{tmp}/weights.safetensors -o {tmp}/bundle", "export"),
    "bundle calibrate": ("embedded --drags {tmp}/jobs.jsonl -o {tmp}/bundle", "quality"),
    "bundle info": ("", None),
    "bundle triton": ("embedded -o {tmp}/models", None),
    "bundle install": ("memory://shop/bundle.zip", "releases"),
    "bundle use": ("--help", None),
    "bundle rollback": ("--help", None),
    "bundle list": ("", None),
    "learn pairs": ("--help", None),
    "learn train": ("{tmp}/config.json", "export"),
    "learn distill": ("{tmp}/weights.safetensors", "export"),
    "learn finetune": ("{tmp}/clip.mp4 -o {tmp}/site", "export"),
    "learn average": ("{tmp}/a.safetensors {tmp}/b.safetensors -o {tmp}/c.safetensors", "export"),
}

# Runs each command in one process that cannot import what the extras bring, nor can the processes that it starts.
SCRIPT = """
import contextlib, io, json, sys
from edgedrag.cli import main
found = {}
for name, arguments in json.loads(sys.argv[1]).items():
    out, err = io.TextIOWrapper(io.BytesIO()), io.StringIO()
    sys.argv = ["edgedrag", *name.split(), *arguments.split()]
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        try:
            main()
        except SystemExit as done:
            code = done.code
        except BaseException as error:
            code = repr(error)
    found[name] = [code, err.getvalue()]
print(json.dumps(found))
"""


def leaves(group: click.Group, path: str = "") -> Iterator[str]:
    for name, command in group.commands.items():
        if isinstance(command, click.Group):
            yield from leaves(command, f"{path}{name} ")
        else:
            yield path + name


def optional_modules() -> set[str]:
    """What the extras bring, by the names under which it is imported."""
    module_of = {package: module for module, package in IMPORTED_AS.items()}
    packages = set().union(*extras().values())
    return {module_of.get(name, name.replace("-", "_")) for name in packages}


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> dict[str, tuple[object, str]]:
    folder = tmp_path_factory.mktemp("bare")
    hidden = sorted(optional_modules())
    assert {"torch", "onnxruntime", "onnx", "fastapi", "cuda", "pynvml"} <= set(hidden)
    site, python = folder / "site", folder / "python"
    site.mkdir()
    (site / "sitecustomize.py").write_text(
        f"import sys\nsys.modules.update(dict.fromkeys({hidden}))\nsys.executable = {str(python)!r}\n"
    )
    python.write_text(f'#!/bin/sh\nPYTHONPATH={site}:"$PYTHONPATH" exec {sys.executable} "$@"\n')
    python.chmod(0o755)
    tmp = folder / "tmp"
    tmp.mkdir()
    job = {"name": "a", "image": str(PHOTO), "drags": [[[265, 240], [245, 250]]]}
    (tmp / "jobs.jsonl").write_text(json.dumps(job))
    (tmp / "config.json").write_text(json.dumps({"pairs": "cache"}))
    for name in ("weights.safetensors", "a.safetensors", "b.safetensors", "clip.mp4"):
        (tmp / name).write_bytes(b"x")
    asked = json.dumps({name: arguments.replace("{tmp}", str(tmp)) for name, (arguments, _) in CASES.items()})
    done = subprocess.run([python, "-c", SCRIPT, asked], capture_output=True, text=True, timeout=900, cwd=REPOSITORY,
                          env={**os.environ, "PYTHONPATH": str(REPOSITORY / "src"),
                               "EDGEDRAG_BUNDLES": str(tmp / "none")})  # fmt: skip
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def test_the_cases_are_all_commands() -> None:
    assert set(CASES) | {"doctor"} == set(leaves(cli)), "doctor itself reports what is missing"


@pytest.mark.parametrize("name", [name for name, (_, extra) in CASES.items() if extra is not None])
def test_a_missing_extra_is_one_sentence_and_exit_code_3(results: dict[str, tuple[object, str]], name: str) -> None:
    code, said = results[name]
    assert code == 3, (code, said)
    assert f'install ".[{CASES[name][1]}]"`' in said and len(said.strip().splitlines()) == 1, said


@pytest.mark.parametrize("name", [name for name, (_, extra) in CASES.items() if extra is None])
def test_what_needs_no_extra_works_without(results: dict[str, tuple[object, str]], name: str) -> None:
    code, said = results[name]
    assert code == 0 and not re.search("install", said), (code, said)
