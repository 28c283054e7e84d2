"""The mean of two checkpoints, part by part."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from click.testing import CliRunner
from moving_square import small_generator

from edgedrag.cli import cli
from edgedrag.generator.networks.checkpoint_file import save_checkpoint
from edgedrag.generator.networks.embedded import EmbeddedConfig, EmbeddedGenerator
from edgedrag.generator.training.averaging import average
from edgedrag.generator.training.checkpoint import load_checkpoint
from edgedrag.runtime.errors import InputError


def written(path: Path, seed: int) -> Path:
    torch.manual_seed(seed)
    save_checkpoint(small_generator(), path, {"default_steps": str(seed)})
    return path


def test_each_part_has_its_share_of_the_new(tmp_path: Path) -> None:
    new, old = written(tmp_path / "new.safetensors", 2), written(tmp_path / "old.safetensors", 1)
    out = tmp_path / "mean.safetensors"
    shares = ["--motion", "0.75", "--denoiser", "0.5", "--reveal", "2"]
    done = CliRunner().invoke(cli, ["learn", "average", str(new), str(old), "-o", str(out), *shares])
    assert done.exit_code == 0 and done.stdout.strip() == str(out)
    mean, metadata = load_checkpoint(out)
    assert metadata["default_steps"] == "2"
    first, second = (load_checkpoint(p)[0].state_dict() for p in (old, new))
    for name, value in mean.state_dict().items():
        share = 0.75 if name.startswith("motion.") else 0.5
        expected = first[name] + share * (second[name] - first[name])
        expected = expected + 2 if name == "motion.gate_head.bias" else expected
        torch.testing.assert_close(value, expected, rtol=1e-3, atol=1e-5, msg=name)


def test_other_networks_have_no_mean(tmp_path: Path) -> None:
    new, old = written(tmp_path / "new.safetensors", 2), tmp_path / "old.safetensors"
    save_checkpoint(EmbeddedGenerator(EmbeddedConfig((8, 8, 8), (0, 0, 0), (0, 0, 0, 0), (0, 0, 0))), old, {})
    with pytest.raises(InputError, match=r"old\.safetensors .*only networks of the same size"):
        average(new, old, 0.5, 0.5, 0.0, tmp_path / "mean.safetensors")
    assert not (tmp_path / "mean.safetensors").exists()
