"""The training run: it learns, it resumes to the same weights, it stops on nonsense."""

from __future__ import annotations

import json
import os
import resource
import subprocess
import sys
from collections.abc import Callable
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from conftest import REPOSITORY
from moving_square import batch_of, moving_square, small_generator

from edgedrag.generator.data.batches import Batch
from edgedrag.generator.networks.checkpoint_file import save_checkpoint
from edgedrag.generator.networks.embedded import EmbeddedGenerator
from edgedrag.generator.training.checkpoint import load_checkpoint
from edgedrag.generator.training.trainer import TrainConfig, edited_sources, train
from edgedrag.runtime.errors import EdgedragError, InputError
from edgedrag.runtime.photo.picture import load_picture

pytestmark = [pytest.mark.usefixtures("one_thread"), pytest.mark.slow]


def test_sources_that_are_edits_hold_the_target_content_at_the_handle() -> None:
    """Dragged back by the network: inside the mask the source is made of the target, outside it is the target."""
    batch = batch_of(moving_square())
    back = replace(batch, back_prior_flow=-batch.prior_flow)
    edited = edited_sources(small_generator(), back, torch.Generator().manual_seed(0))
    outside = (batch.mask == 0).expand_as(batch.source)
    assert torch.equal(edited.source[outside], batch.target[outside])
    assert not torch.equal(edited.source, batch.target) and float(edited.real.max()) == 0
    torch.testing.assert_close(edited.source[0, :, 30, 26], batch.target[0, :, 30, 34], atol=0.2, rtol=0)


@pytest.fixture
def cache(tmp_path: Path) -> Path:
    """A cache of one clip, for training and held out."""
    pair = moving_square(256)
    for split in ("train", "held_out"):
        folder = tmp_path / "cache" / split
        folder.mkdir(parents=True)
        np.savez(folder / "clip.mp4.npz", **{k: np.stack([v, v]) for k, v in pair.items()}, kind=["video"] * 2)
    return tmp_path / "cache"


def config(cache: Path, steps: int, **others: object) -> TrainConfig:
    settings = {"warmup": 1, "sizes": ((64, 1, 1.0),), "log_every": 1, "save_every": 2, "validate_every": 2}
    return TrainConfig(pairs=str(cache), steps=steps, **{**settings, **others})


def test_a_run_writes_weights_log_curves_and_samples(cache: Path, tmp_path: Path) -> None:
    weights = train(config(cache, 2), tmp_path / "run")
    model, metadata = load_checkpoint(weights)
    assert metadata["steps"] == "2" and len(metadata["training_data_sha256"]) == 64
    assert json.loads(metadata["training_clips"]) == ["clip.mp4"] and metadata["objective"] == "diffusion"
    assert all(torch.equal(p, p.half().float()) for p in model.parameters()), "weights are those that ship"
    lines = [json.loads(line) for line in (tmp_path / "run" / "log.jsonl").read_text().splitlines()]
    assert [line["step"] for line in lines] == [1, 2, 2] and "flow" in lines[0]
    assert lines[2]["held_out_psnr_unedited"] > 5 and "held_out_psnr_4_step" in lines[2]
    for picture in ("curves.png", "samples.png"):
        assert load_picture(tmp_path / "run" / picture).pixels.shape[2] >= 3
    assert not list((tmp_path / "run").glob("*.partial"))


def test_bf16_learns_the_same_way(cache: Path, tmp_path: Path) -> None:
    """The first step's losses agree with fp32's to bf16's precision, and the weights stay numbers."""
    logs = []
    for precision in ("fp32", "bf16"):
        weights = train(config(cache, 2, precision=precision), tmp_path / precision)
        assert all(torch.isfinite(p).all() for p in load_checkpoint(weights)[0].parameters())
        logs.append(json.loads((tmp_path / precision / "log.jsonl").read_text().splitlines()[0]))
    for name in ("flow", "warp", "diffusion"):
        assert logs[1][name] == pytest.approx(logs[0][name], rel=0.05)


@pytest.mark.parametrize(("learns", "still"), [("denoiser", "motion"), ("motion", "denoiser")])
def test_only_the_part_that_is_to_learn_changes(cache: Path, tmp_path: Path, learns: str, still: str) -> None:
    start = train(config(cache, 1), tmp_path / "start")
    weights = train(config(cache, 2, learns=learns, start=str(start), average=0.0), tmp_path / "run")
    before, after = (load_checkpoint(p)[0].state_dict() for p in (start, weights))
    changed = {k.split(".")[0] for k in before if not torch.allclose(before[k], after[k], rtol=1e-3, atol=1e-4)}
    assert learns in changed and still not in changed and "encoder" not in changed


def test_the_command_line_passes_the_perceptual_loss(
    cache: Path, tmp_path: Path, edit_cli: Callable[..., subprocess.CompletedProcess[str]]
) -> None:
    settings = {**asdict(config(cache, 1)), "sizes": [[64, 1, 1.0]], "perceptual": 0.5}
    (tmp_path / "config.json").write_text(json.dumps(settings))
    done = edit_cli("learn", "train", tmp_path / "config.json", "-o", tmp_path / "run")
    assert done.returncode == 0, done.stderr
    assert "perceptual" in json.loads((tmp_path / "run" / "log.jsonl").read_text().splitlines()[0])
    weights = tmp_path / "run" / "weights.safetensors"
    steps = ("--steps", "1", "--teacher-steps", "2", "--updates", "1", "--perceptual", "0.5")
    done = edit_cli("learn", "distill", weights, *steps, "-o", tmp_path / "student")
    assert done.returncode == 0, done.stderr
    assert load_checkpoint(tmp_path / "student" / "weights.safetensors")[1]["objective"] == "distillation"


def test_two_processes_learn_the_same_weights(cache: Path, tmp_path: Path) -> None:
    settings = {**asdict(config(cache, 2)), "sizes": [[64, 1, 1.0]]}
    (tmp_path / "config.json").write_text(json.dumps(settings))
    command = [
        "-m",
        "torch.distributed.run",
        "--standalone",
        "--nproc-per-node",
        "2",
        "-m",
        "edgedrag",
        "learn",
        "train",
    ]
    done = subprocess.run(
        [sys.executable, *command, str(tmp_path / "config.json"), "-o", str(tmp_path / "run")],
        capture_output=True,
        text=True,
        timeout=240,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
    )
    assert done.returncode == 0, done.stderr
    lines = (tmp_path / "run" / "log.jsonl").read_text().splitlines()
    assert [json.loads(line)["step"] for line in lines] == [1, 2, 2], "one process writes"
    alone = load_checkpoint(train(config(cache, 2), tmp_path / "alone"))[0].state_dict()
    both = load_checkpoint(tmp_path / "run" / "weights.safetensors")[0].state_dict()
    assert any(not torch.equal(alone[k], both[k]) for k in alone), "the other process's gradients count"


def test_nonsense_stops_the_run_and_keeps_the_last_state(
    cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = tmp_path / "run"
    train(config(cache, 2), run)
    state = (run / "state.pt").read_bytes()

    def poisoned(*_: object, **__: object) -> dict[str, torch.Tensor]:
        return {"flow": torch.tensor(float("nan"), requires_grad=True)}

    monkeypatch.setattr("edgedrag.generator.training.trainer.losses", poisoned)
    with pytest.raises(EdgedragError, match="not a number at step 2"):
        train(config(cache, 4), run)
    assert (run / "state.pt").read_bytes() == state


def test_a_full_disk_leaves_the_last_checkpoint_whole(cache: Path, tmp_path: Path) -> None:
    """Files may not grow beyond 1 MB: the real error of a real write."""
    run = tmp_path / "run"
    train(config(cache, 2), run)
    before = {name: (run / name).read_bytes() for name in ("state.pt", "weights.safetensors")}
    (tmp_path / "config.json").write_text(json.dumps({**asdict(config(cache, 4)), "sizes": [[64, 1, 1.0]]}))
    done = subprocess.run(
        [sys.executable, "-m", "edgedrag", "learn", "train", str(tmp_path / "config.json"), "-o", str(run)],
        capture_output=True,
        text=True,
        timeout=240,
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (2**20, 2**20)),
    )
    assert done.returncode == 1 and "cannot be written at step 4" in done.stderr, done.stderr
    assert {name: (run / name).read_bytes() for name in before} == before
    assert not list(run.glob("*.partial"))


def test_an_interrupted_run_ends_with_the_same_weights(cache: Path, tmp_path: Path) -> None:
    class Interrupted(Exception):
        pass

    whole = train(config(cache, 4), tmp_path / "whole")
    with pytest.MonkeyPatch.context() as patch:
        import edgedrag.generator.training.trainer as training

        real = training.losses

        def stops(model: EmbeddedGenerator, batch: Batch, objective: str, noise: torch.Generator, *rest: Any) -> dict:
            if noise.initial_seed() == 3:
                raise Interrupted
            return real(model, batch, objective, noise, *rest)

        patch.setattr(training, "losses", stops)
        with pytest.raises(Interrupted):
            train(config(cache, 4), tmp_path / "cut")
    again = train(config(cache, 4), tmp_path / "cut")
    one, two = (load_checkpoint(p)[0].state_dict() for p in (whole, again))
    for name in one:
        torch.testing.assert_close(one[name], two[name], rtol=1e-2, atol=1e-4)
    steps = [json.loads(line)["step"] for line in (tmp_path / "cut" / "log.jsonl").read_text().splitlines()]
    assert steps == [1, 2, 2, 3, 4, 4]


def test_a_run_that_was_killed_at_any_point_of_its_last_step_is_completed(
    cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Weights, log and pictures are there before the state that says so; a log line that was cut off is left out."""
    run = tmp_path / "run"
    train(config(cache, 2), run)
    with (run / "log.jsonl").open("a") as log:
        log.write('{"step": 3, "fl')

    def killed(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr("edgedrag.generator.training.learner.torch.save", killed)
        train(config(cache, 3), run)
    assert torch.load(run / "state.pt", weights_only=True)["step"] == 2
    _, metadata = load_checkpoint(train(config(cache, 3), run))
    lines = [json.loads(line) for line in (run / "log.jsonl").read_text().splitlines()]
    assert metadata["steps"] == "3" and [line["step"] for line in lines] == [1, 2, 2, 3, 3]


def test_a_run_of_another_network_is_not_gone_on_with(cache: Path, tmp_path: Path) -> None:
    train(config(cache, 1), tmp_path / "run")
    save_checkpoint(small_generator(), tmp_path / "small.safetensors", {})
    with pytest.raises(InputError, match="another network or config"):
        train(config(cache, 2, start=str(tmp_path / "small.safetensors")), tmp_path / "run")


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("nonsense", "not a training config"),
        ('{"steps": 3}', "'pairs' is missing"),
        ('{"pairs": "a", "x": 1}', "unknown keys: x"),
        ('{"pairs": "a", "steps": 0}', "steps is 0"),
        ('{"pairs": "a", "objective": "magic"}', "objective is 'magic'"),
        ('{"pairs": "a", "precision": "int4"}', "precision is 'int4'"),
        ('{"pairs": "a", "perceptual": -1}', "perceptual is -1"),
        ('{"pairs": "a", "sizes": [[100, 4, 1]]}', "multiple of 32"),
        ('{"pairs": "a", "sizes": [[128, 4, 0.5]]}', "sum to 1"),
        pytest.param(
            '{"pairs": "a", "device": "cuda"}',
            "no CUDA GPU",
            marks=pytest.mark.skipif(torch.cuda.is_available(), reason="this machine has a GPU"),
        ),
    ],
)
def test_configs_that_are_refused(tmp_path: Path, text: str, words: str) -> None:
    file = tmp_path / "config.json"
    file.write_text(text)
    with pytest.raises(InputError, match=words):
        TrainConfig.read(file)


@pytest.mark.parametrize("name", ["teacher", "regression"])
def test_the_committed_configs_read(name: str) -> None:
    file = REPOSITORY / "generator" / "configs" / f"{name}.json"
    assert TrainConfig.read(file).steps > 0
