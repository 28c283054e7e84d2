"""A small decoder in place of the VAE's, and too little room for a bundle."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from published_checkpoint import write_small_decoder

from edgedrag.export import capacity
from edgedrag.export.checkpoints import export_random
from edgedrag.export.lightningdrag.bundle import with_decoder
from edgedrag.export.lightningdrag.graphs import graphs_of
from edgedrag.generator.networks.lightningdrag.sizes import TINY
from edgedrag.generator.networks.lightningdrag.weights import RandomWeights
from edgedrag.runtime.errors import InputError
from edgedrag.runtime.system.memory import Memory

pytestmark = pytest.mark.slow


def test_a_small_decoder_takes_the_decoders_place(tmp_path: Path) -> None:
    decoder = write_small_decoder(tmp_path / "taesd.safetensors")
    plain = graphs_of(TINY)
    graphs = with_decoder(plain, decoder)
    assert graphs[:-1] == plain[:-1] and graphs[-1].name == "small_decode"
    module = graphs[-1].branches[0].build(RandomWeights(TINY, 0))
    picture = module(torch.zeros(1, 4, 32, 40))
    assert picture.shape == (1, 3, 256, 320) and float(picture.detach().abs().max()) <= 1
    with pytest.raises(InputError, match="taesd"):
        decoder.write_bytes(decoder.read_bytes()[:1000])
        with_decoder(plain, decoder)


def test_too_little_room_is_said_in_numbers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(capacity, "read_memory", lambda: Memory(10**10, 500_000_000, 10**10, 0))
    with pytest.raises(InputError, match=r"too little memory: the export needs 3\.\d GB, 0\.5 GB are free"):
        export_random(0, "tiny", tmp_path / "bundle")
    monkeypatch.setattr(capacity, "read_memory", lambda: None)
    monkeypatch.setattr(capacity.shutil, "disk_usage", lambda _: SimpleNamespace(total=10, used=9, free=1))
    with pytest.raises(InputError, match=r"too little disk space: the bundle needs 0\.\d GB, 0\.0 GB are free"):
        export_random(0, "tiny", tmp_path / "bundle")
    assert not (tmp_path / "bundle").exists()
