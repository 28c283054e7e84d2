"""Weights as files: what does not fit is named, and what is shared is written once."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from moving_square import small_generator

from edgedrag.generator.networks.checkpoint_file import save_checkpoint
from edgedrag.generator.training.checkpoint import load_checkpoint
from edgedrag.runtime.errors import InputError


def test_checkpoints_that_do_not_fit_are_named(tmp_path: Path) -> None:
    (tmp_path / "a.safetensors").write_bytes(b"nonsense")
    with pytest.raises(InputError, match="not a checkpoint"):
        load_checkpoint(tmp_path / "a.safetensors")
    small = small_generator()
    del small.motion.gate_head
    save_checkpoint(small, tmp_path / "b.safetensors", {})
    with pytest.raises(InputError, match=r"motion\.gate_head\.bias, motion\.gate_head\.weight"):
        load_checkpoint(tmp_path / "b.safetensors")


def test_a_checkpoint_may_share_the_rest_with_another(tmp_path: Path) -> None:
    one, two = small_generator(), small_generator()
    two.load_state_dict(one.state_dict())
    torch.nn.init.normal_(two.denoiser.head.weight)
    save_checkpoint(one, tmp_path / "one.safetensors", {})
    save_checkpoint(two, tmp_path / "two.safetensors", {"a": "b"}, rest=tmp_path / "one.safetensors")
    assert (tmp_path / "two.safetensors").stat().st_size < 0.2 * (tmp_path / "one.safetensors").stat().st_size
    found, metadata = load_checkpoint(tmp_path / "two.safetensors")
    assert metadata == {"a": "b"}
    for name, weight in two.state_dict().items():
        assert torch.equal(weight, found.state_dict()[name])
    save_checkpoint(two, tmp_path / "one.safetensors", {})
    with pytest.raises(InputError, match=r"shares weights with one\.safetensors"):
        load_checkpoint(tmp_path / "two.safetensors")
