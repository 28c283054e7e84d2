"""Our loader and our builder on NVIDIA's real classes, of every version that its users have; no GPU is needed."""

from __future__ import annotations

import importlib.util
import os
import subprocess
import sys
from pathlib import Path

import pytest
from conftest import REPOSITORY

pytestmark = [pytest.mark.bindings, pytest.mark.slow]

TESTS = REPOSITORY / "tests"
VERSIONS = ("10.3.0", "10.13.3.9.post1", "10.16.1.11", "11.0.0.114", "11.4.0.106")
LEAN = ("10.16.1.11", "11.4.0.106")
NO_BINDINGS = 77


def run(library: str, version: str, part: str, folder: Path) -> str:
    """In a process of its own, for one process imports one version; returns what it wrote to stderr."""
    command = [sys.executable, str(TESTS / "bindings" / "one_version.py"), library, version, part, str(folder)]
    paths = [str(TESTS), *filter(None, [os.environ.get("PYTHONPATH")])]
    done = subprocess.run(
        command, capture_output=True, text=True, timeout=900, env=os.environ | {"PYTHONPATH": os.pathsep.join(paths)}
    )
    if done.returncode == NO_BINDINGS:
        pytest.skip(done.stdout.strip())
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stderr


@pytest.mark.parametrize("version", VERSIONS)
def test_the_loader_runs_to_its_end(version: str, tmp_path: Path) -> None:
    run("tensorrt", version, "loader", tmp_path)


@pytest.mark.parametrize("version", VERSIONS)
def test_the_builder_runs_to_its_end(version: str, tmp_path: Path) -> None:
    said = run("tensorrt", version, "builder", tmp_path)
    assert said.count("measured by another TensorRT or on another GPU; replaced") == 1


@pytest.mark.parametrize("version", LEAN)
def test_the_lean_runtime_imports_with_its_library_and_loads(version: str, tmp_path: Path) -> None:
    run("tensorrt-lean", version, "loader", tmp_path)


@pytest.mark.skipif(importlib.util.find_spec("tensorrt_rtx") is None, reason="TensorRT-RTX is not installed")
def test_the_loader_of_tensorrt_rtx_runs_to_its_end(tmp_path: Path) -> None:
    run("tensorrt-rtx", "installed", "loader", tmp_path)
