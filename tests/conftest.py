"""Fixtures that several rooms' tests share."""

from __future__ import annotations

import json
import os
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
from command_line import run_here, run_process
from toy_bundle import write_toy_bundle

import edgedrag
from edgedrag.runtime.backends.device.cuda import find_gpu
from edgedrag.runtime.drag.stages import Stages

REPOSITORY = Path(__file__).resolve().parents[1]
EXAMPLES = REPOSITORY / "examples"
_cache = tempfile.TemporaryDirectory(prefix="edgedrag-tests-")  # until this process ends
os.environ.setdefault("EDGEDRAG_CACHE", _cache.name)  # pytest-xdist's workers share that of the process that began them
os.environ["EDGEDRAG_BUNDLES"] = str(REPOSITORY / "tests" / "none")  # not what whoever runs the tests has installed


def pytest_configure(config: pytest.Config) -> None:
    """Where pytest-xdist runs: a CPU for each worker, and the files in the order of `pytest_collection_modifyitems`."""
    if hasattr(config, "workerinput"):
        os.environ.setdefault("OMP_NUM_THREADS", "1")
    if hasattr(config.option, "loadscopereorder"):
        config.option.loadscopereorder = False


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Skip what cannot run here; files with slow tests come first, so that no worker ends long after the others."""
    slow = {item.path for item in items if "slow" in item.keywords}
    items.sort(key=lambda item: item.path not in slow)
    if not has_gpu():
        skip = pytest.mark.skip(reason="needs an NVIDIA GPU, and there is none here")
        for item in items:
            if "gpu" in item.keywords:
                item.add_marker(skip)
    if "fullsize" not in config.option.markexpr:
        skip = pytest.mark.skip(
            reason="needs the full-size networks: 24 GB of memory, half an hour; `-m fullsize` runs it"
        )
        for item in items:
            if "fullsize" in item.keywords:
                item.add_marker(skip)


def has_gpu() -> bool:
    try:
        find_gpu()
    except edgedrag.EngineError:
        return False
    return True


@pytest.fixture(scope="session")
def runtime() -> edgedrag.Runtime:
    """The shipped bundle on the CPU."""
    return edgedrag.open()


@pytest.fixture(scope="session")
def cat() -> np.ndarray:
    """The example photo, uint8 RGB 300 x 451."""
    return edgedrag.load_picture(EXAMPLES / "chelsea.png").pixels


@pytest.fixture
def one_thread() -> Iterator[None]:
    """Tiny networks lose more to waiting threads than they gain."""
    import torch

    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture
def stages_run(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Grows with the name of each stage that runs."""
    ran: list[str] = []
    run = Stages.run

    def counted(stages: Stages, stage: str, *given: object, **named: object) -> None:
        ran.append(stage)
        run(stages, stage, *given, **named)  # type: ignore[arg-type]

    monkeypatch.setattr(Stages, "run", counted)
    return ran


@pytest.fixture
def toy(tmp_path: Path) -> Path:
    """A bundle with LightningDrag's shape of contract and graphs of a few nodes."""
    return write_toy_bundle(tmp_path / "toy")


@pytest.fixture(scope="session")
def edit_cli() -> Callable[..., subprocess.CompletedProcess[str]]:
    """Run the command line in this process: its exit code and what it prints are those of `edit_process`."""
    return run_here


@pytest.fixture(scope="session")
def edit_process() -> Callable[..., subprocess.CompletedProcess[str]]:
    """Run the command line as a user does: a process of its own, for what only that shows."""
    return run_process


def rewrite_manifest(bundle: Path, change: Callable[[dict], object]) -> None:
    """Apply `change` to a bundle's manifest in place."""
    path = bundle / "bundle.json"
    manifest = json.loads(path.read_text())
    change(manifest)
    path.write_text(json.dumps(manifest))
