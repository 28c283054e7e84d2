"""DragBench by the published protocol: the split, RegionDrag's distance, DIFT on small random networks."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from edgedrag.benchmarks.quality import published
from edgedrag.benchmarks.quality.dift import Dift
from edgedrag.metrics.drag_sets import Task
from edgedrag.runtime.errors import InputError


@pytest.mark.parametrize(
    ("name", "split"),
    [("dragbench-dr/animals/cat", "DragBench-DR"), ("SR/x", "DragBench-SR"), ("DragBench_SR/x", "DragBench-SR"),
     ("cat", published.OTHER), ("animals/dr", published.OTHER)],
)  # fmt: skip
def test_samples_are_split_by_their_folder(name: str, split: str) -> None:
    assert published.split_of(name) == split


def test_the_distance_is_relative_to_the_sides() -> None:
    """Unit features that name each pixel: what was at the handle is now 4 right and 2 below the target."""
    height, width = 40, 80
    before = torch.eye(height * width).reshape(height * width, height, width)
    after = torch.roll(before, (2, 14), dims=(1, 2))
    points = np.array([[20.7, 10.2, 30.9, 10.0]], np.float32)
    task = Task(np.zeros((height, width, 3), np.uint8), points, np.ones((height, width), bool))
    assert published.relative_distance(before, after, task) == pytest.approx(np.hypot(4 / width, 2 / height))


def test_what_may_be_compared_is_said() -> None:
    part = {"samples": 27, "whole": False, "methods": {}}
    assert "205 samples" in published.comparable("DragBench-DR", part)
    methods = {published.OWN: {"md_dift": None, "if_lpips": None}}
    whole = {"samples": 205, "whole": True, "methods": methods}
    assert "Neither" in published.comparable("DragBench-DR", whole)
    methods[published.OWN]["md_dift"] = 0.1
    assert published.comparable("DragBench-DR", whole).startswith("MD by DIFT: by RegionDrag's protocol")
    assert "No published number" in published.comparable(published.OTHER, whole)


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Stable Diffusion's parts, tiny and random, as diffusers and transformers write them."""
    diffusers, transformers = pytest.importorskip("diffusers"), pytest.importorskip("transformers")
    folder = tmp_path_factory.mktemp("sd")
    torch.manual_seed(0)
    diffusers.AutoencoderKL(
        block_out_channels=(8, 8), down_block_types=("DownEncoderBlock2D",) * 2, latent_channels=4, norm_num_groups=4,
        up_block_types=("UpDecoderBlock2D",) * 2,
    ).save_pretrained(folder / "vae")  # fmt: skip
    diffusers.UNet2DConditionModel(
        block_out_channels=(8, 8), down_block_types=("CrossAttnDownBlock2D", "DownBlock2D"), layers_per_block=1,
        up_block_types=("UpBlock2D", "CrossAttnUpBlock2D"), cross_attention_dim=8, norm_num_groups=4,
        attention_head_dim=4,
    ).save_pretrained(folder / "unet")  # fmt: skip
    diffusers.DDPMScheduler().save_pretrained(folder / "scheduler")
    text = transformers.CLIPTextConfig(
        hidden_size=8, intermediate_size=8, num_attention_heads=2, num_hidden_layers=1, vocab_size=4,
        max_position_embeddings=7, bos_token_id=2, eos_token_id=3, pad_token_id=3,
    )  # fmt: skip
    transformers.CLIPTextModel(text).save_pretrained(folder / "text_encoder")
    (folder / "vocab.json").write_text(json.dumps({"a</w>": 0, "b</w>": 1, "<|startoftext|>": 2, "<|endoftext|>": 3}))
    (folder / "merges.txt").write_text("#version: 0.2\n")
    tokenizer = transformers.CLIPTokenizer(str(folder / "vocab.json"), str(folder / "merges.txt"))
    tokenizer.save_pretrained(folder / "tokenizer")
    return folder


@pytest.mark.slow
def test_dift_loads_and_is_the_same_each_time(weights: Path) -> None:
    dift = Dift(weights, side=32)
    photo = np.random.default_rng(0).integers(0, 256, (40, 56, 3), np.uint8)
    one, again = dift.features(photo, ""), dift.features(photo, "")
    assert one.shape == (8, 40, 56) and torch.equal(one, again)
    assert torch.allclose(one.norm(dim=0), torch.ones(40, 56), atol=1e-4)
    assert not torch.equal(one, dift.features(255 - photo, ""))


def test_a_folder_without_a_part_is_refused(tmp_path: Path) -> None:
    (tmp_path / "vae").mkdir()
    with pytest.raises(InputError, match="unet/ is missing"):
        Dift(tmp_path)


def test_the_protocol_needs_samples(edit_cli: Callable[..., Any], tmp_path: Path) -> None:
    done = edit_cli("bench", "quality", "--protocol", "published", "--pairs", tmp_path)
    assert done.returncode == 2 and "--dragbench" in done.stderr
