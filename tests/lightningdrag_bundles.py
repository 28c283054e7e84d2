"""LightningDrag's tiny bundles, exported once in a run of the tests, and a whole drag through one."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Callable
from pathlib import Path
from subprocess import CompletedProcess

import numpy as np
import pytest
from published_checkpoint import write_checkpoint, write_lora

from edgedrag.runtime.bundle.manifest import Bundle
from edgedrag.runtime.drag.run import DragRun
from edgedrag.runtime.drag.stages import Stages
from edgedrag.runtime.sampling.sampler import make_table

Cli = Callable[..., CompletedProcess[str]]
SEED = 5  # of the random weights in fp32


def made_once(factory: pytest.TempPathFactory, name: str, make: Callable[[Path], object]) -> Path:
    """A folder that `make` writes, shared by all tests of a run, those in other workers of pytest-xdist too."""
    own = factory.getbasetemp()
    shared = own.parent if "PYTEST_XDIST_WORKER" in os.environ else own
    with (shared / f"{name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not (shared / name).exists():
            make(shared / f"{name}.partial")
            (shared / f"{name}.partial").rename(shared / name)
    return shared / name


def export(edit_cli: Cli, folder: Path, precision: str, *weights: str | Path) -> None:
    done = edit_cli("bundle", "export", *weights, "--precision", precision, "-o", folder)
    assert done.returncode == 0, done.stderr


@pytest.fixture(scope="session")
def published(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """A checkpoint folder and the folder of an LCM-LoRA."""

    def write(folder: Path) -> None:
        write_checkpoint(folder / "checkpoint", seed=3)
        (folder / "lcm-lora").mkdir()
        layers = ("mid_block.attentions.0.transformer_blocks.0.attn1.to_q",)
        write_lora(folder / "lcm-lora" / "pytorch_lora_weights.safetensors", layers)

    folder = made_once(tmp_path_factory, "lightningdrag-published", write)
    return folder / "checkpoint", folder / "lcm-lora"


@pytest.fixture(scope="session")
def fp16(tmp_path_factory: pytest.TempPathFactory, published: tuple[Path, Path], edit_cli: Cli) -> Path:
    """The bundle in fp16 of the folder with the LoRA, through the command line."""
    weights = (published[0], "--lora", published[1])
    return made_once(tmp_path_factory, "lightningdrag-fp16", lambda f: export(edit_cli, f, "fp16", *weights))


@pytest.fixture(scope="session")
def fp32(tmp_path_factory: pytest.TempPathFactory, edit_cli: Cli) -> Path:
    """The bundle in fp32 of random weights, through the command line."""
    weights = ("--random-weights", str(SEED), "--size", "tiny")
    return made_once(tmp_path_factory, "lightningdrag-fp32", lambda f: export(edit_cli, f, "fp32", *weights))


def whole_drag(bundle: Bundle, stages: Stages, steps: int = 4) -> np.ndarray:
    """The generator's picture of a drag, [256, 320, 3] in 0..1."""
    rng = np.random.default_rng(0)
    picture = np.kron(rng.integers(0, 255, (8, 10, 3)), np.ones((32, 32, 1))).astype(np.uint8)
    mask = np.zeros((256, 320), bool)
    mask[60:200, 80:250] = True
    points = np.array([[120.0, 100, 150, 110], [200, 150, 190, 170]])
    run = DragRun(bundle, stages, picture, mask, points)
    table = make_table(bundle.sampler, steps)
    run.reference()
    run.start(table, seed=1)
    for step in range(steps):
        run.denoise(table, step)
    result = run.decode().result
    assert result is not None
    return result
