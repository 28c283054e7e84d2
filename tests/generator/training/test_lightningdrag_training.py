"""LightningDrag is taught by the code that teaches the embedded generator: tiny, with random weights."""

from __future__ import annotations

import json
from collections.abc import Iterator
from itertools import repeat
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from conftest import EXAMPLES
from moving_square import batch_of, moving_square
from published_checkpoint import write_checkpoint

from edgedrag.generator.data.batches import Batch, augment, stack
from edgedrag.generator.data.pairs import Rejected, made_pair
from edgedrag.generator.data.synthetic_motion import KINDS
from edgedrag.generator.networks.lightningdrag.generator import (
    LightningDragTeacher,
    Networks,
    point_maps,
    start_lightningdrag,
)
from edgedrag.generator.networks.lightningdrag.lora import read_lora
from edgedrag.generator.networks.lightningdrag.published import PublishedWeights
from edgedrag.generator.networks.lightningdrag.sizes import TINY
from edgedrag.generator.networks.lightningdrag.weights import RandomWeights
from edgedrag.generator.training.checkpoint import open_generator
from edgedrag.generator.training.distillation import DistillConfig, distill
from edgedrag.generator.training.trainer import TrainConfig, losses, train
from edgedrag.runtime.errors import InputError
from edgedrag.runtime.photo.picture import load_picture

pytestmark = [pytest.mark.usefixtures("one_thread"), pytest.mark.slow]


def real_batches() -> Iterator[Batch]:
    """Drags of synthetic motion on real photos."""
    photos = [cv2.resize(load_picture(EXAMPLES / f"{name}.png").pixels, (256, 256)) for name in ("chelsea", "coffee")]
    rng = np.random.default_rng(0)
    while True:
        still, other = photos[:: int(rng.choice([-1, 1]))]
        try:
            row = augment(vars(made_pair(still, other, str(rng.choice(KINDS)), rng)), 64, rng)
        except Rejected:
            continue
        if row is not None:
            yield stack([row])


@pytest.mark.parametrize(
    ("batches", "falls_to"),
    [(repeat(batch_of(moving_square())), 0.3), (real_batches(), 0.7)],
    ids=["one", "real"],
)
def test_the_loss_falls(batches: Iterator[Batch], falls_to: float) -> None:
    """Random weights have no trained denoiser, so here it learns too, and the others through it."""
    torch.manual_seed(0)
    networks = Networks.of(RandomWeights(TINY, 0))
    networks.points.zero_init()
    model = LightningDragTeacher(networks).train()
    parameters = [*model.parameters(), *networks.denoiser.unet.requires_grad_(True).parameters()]
    optimiser = torch.optim.Adam(parameters, lr=2e-3)
    history = []
    for step, batch in zip(range(40), batches):
        loss = losses(model, batch, "diffusion", torch.Generator().manual_seed(step))["diffusion"]
        optimiser.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(parameters, 1.0)
        optimiser.step()
        history.append(float(loss.detach()))
    assert np.mean(history[-8:]) < falls_to * np.mean(history[:4])
    assert all(p.grad is not None for p in model.parameters())
    adapters = networks.points.adapters
    assert all(a.proj.weight.abs().max() > 0 for a in adapters), "the points start at zero and are trained"


def test_a_repeated_point_counts_once() -> None:
    batch = batch_of(moving_square())
    handles, targets = point_maps(batch)
    assert handles.max() == targets.max() == 1
    assert handles[0, 0, 30, 26] == targets[0, 0, 30, 34] == 1


@pytest.fixture
def pairs(tmp_path: Path) -> Path:
    folder = tmp_path / "cache" / "train"
    folder.mkdir(parents=True)
    pair = moving_square(256)
    np.savez(folder / "clip.mp4.npz", **{k: v[None] for k, v in pair.items()}, kind=["video"])
    return folder.parent


def test_base_weights_to_a_checkpoint_and_a_student(tmp_path: Path, pairs: Path) -> None:
    """From base weights, to a folder in the published layout, to a LoRA that `export --lora` fuses."""
    base = write_checkpoint(tmp_path / "base", lightningdrag=False)
    start = start_lightningdrag(base).networks
    unet, encoder = start.denoiser.unet, start.encoder.unet
    assert torch.equal(encoder.conv_in.weight, unet.conv_in.weight[:, :4])
    assert torch.equal(encoder.conv_in.bias, unet.conv_in.bias)
    assert not any(a.proj.weight.any() for a in start.points.adapters)

    config = tmp_path / "run.json"
    values = {"generator": "lightningdrag-sd15", "start": str(base), "pairs": str(pairs), "sizes": [[64, 1, 1.0]]}
    values |= {"steps": 3, "learning_rate": 1e-3, "warmup": 1, "average": 0.0, "edited": 0.0}
    config.write_text(json.dumps(values))
    checkpoint = train(TrainConfig.read(config), tmp_path / "run")
    trained = PublishedWeights(checkpoint)
    assert torch.equal(trained.denoiser().unet.conv_in.weight, unet.conv_in.weight), "the denoiser is frozen"
    moved = trained.appearance_encoder().unet.conv_in.weight - encoder.conv_in.weight
    assert 0 < moved.abs().max() < 0.1
    assert any(a.proj.weight.any() for a in trained.point_network().adapters)
    assert open_generator(checkpoint)[1]["pairs"] == str(pairs)

    quick = DistillConfig(steps=2, learning_rate=1e-2, warmup=1, average=0.0, teacher_steps=4, sizes=((64, 1, 1.0),))
    lora = distill(checkpoint, quick, None, tmp_path / "student")
    layers = read_lora(lora)
    assert len(layers) == 4 * 8 and not any(".to_k" in name and "attn2" in name for name in layers)
    fused = PublishedWeights(checkpoint, lora).denoiser().unet
    name = "down_blocks.0.attentions.0.transformer_blocks.0.attn1.to_q"
    change = fused.get_submodule(name).weight - unet.get_submodule(name).weight
    assert 0 < change.abs().max() < 0.2
    quick.steps = 3
    assert distill(checkpoint, quick, None, tmp_path / "student") == lora, "goes on"


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"start": ""}, "not a folder with LightningDrag's base weights"),
        ({"start": "nowhere"}, "not a folder with LightningDrag's base weights"),
        ({"objective": "regression"}, 'has objective "diffusion"'),
        ({"sizes": [[96, 1, 1.0]]}, "multiples of 64"),
        ({"generator": "sdxl"}, "not one of embedded, lightningdrag-sd15"),
    ],
)
def test_configs_that_make_no_run(tmp_path: Path, values: dict, words: str) -> None:
    config = {"generator": "lightningdrag-sd15", "pairs": "cache", "start": str(tmp_path), **values}
    file = tmp_path / "config.json"
    file.write_text(json.dumps(config))
    with pytest.raises(InputError, match=words):
        TrainConfig.read(file)


def test_a_start_without_a_base_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"no folder holds unet/config\.json"):
        start_lightningdrag(tmp_path)
