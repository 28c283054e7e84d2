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

import cv2
import numpy as np
import pytest
import torch

from edgedrag.generator.batches import Batch, row_of, stack
from edgedrag.generator.checkpoint import load_checkpoint
from edgedrag.generator.checkpoint_file import save_checkpoint
from edgedrag.generator.distillation import distillation_loss
from edgedrag.generator.networks import fields
from edgedrag.generator.networks.embedded import EmbeddedConfig, EmbeddedGenerator, decided, local_error
from edgedrag.generator.objectives import OBJECTIVES
from edgedrag.generator.sampling import sample
from edgedrag.generator.training import CLEAR, TrainConfig, edited_sources, losses, train
from edgedrag.generator.validation import psnr_in_mask
from edgedrag.runtime import compose
from edgedrag.runtime.errors import EdgedragError, InputError
from edgedrag.runtime.image import load_picture


def moving_square(size: int = 64) -> dict[str, np.ndarray]:
    """One pair: a textured square that moves 8 pixels to the right."""
    rng = np.random.default_rng(0)
    coarse = [rng.integers(0, 255, (size // 8, size // 8, 3), dtype=np.uint8) for _ in range(2)]
    ground, patch = (cv2.resize(c, (size, size), interpolation=cv2.INTER_CUBIC) for c in coarse)
    source, target, flow = ground.copy(), ground.copy(), np.zeros((size, size, 2), np.float16)
    source[20:40, 16:36], target[20:40, 24:44] = patch[:20, :20], patch[:20, :20]
    flow[20:40, 24:44, 0] = -8
    mask, valid = np.zeros((size, size), bool), np.ones((size, size), bool)
    mask[16:44, 12:48] = True
    valid[20:40, 16:24] = False
    return {"source": source, "target": target, "flow": flow, "valid": valid, "mask": mask}


def batch_of(pair: dict[str, np.ndarray]) -> Batch:
    source, target = (pair[k].astype(np.float32) / 127.5 - 1 for k in ("source", "target"))
    points = np.array([[26, 30, 34, 30]], np.float32)
    row = row_of(source, target, pair["flow"].astype(np.float32), pair["valid"], pair["mask"], points, back=True)
    return replace(stack([row]), back_prior_flow=None)


pytestmark = pytest.mark.usefixtures("one_thread")


def small_generator() -> EmbeddedGenerator:
    return EmbeddedGenerator(EmbeddedConfig((16, 24, 32), (1, 1, 1), (1, 1, 1, 1), (1, 1, 1)))


@pytest.mark.parametrize("objective", ["diffusion", "regression"])
def test_one_batch_is_learnt(objective: str) -> None:
    torch.manual_seed(0)
    model = small_generator()
    batch = batch_of(moving_square())
    optimiser = torch.optim.Adam(model.parameters(), lr=2e-3)
    history = []
    for step in range(80):
        terms = losses(model, batch, objective, torch.Generator().manual_seed(step))
        optimiser.zero_grad()
        torch.stack(list(terms.values())).sum().backward()
        optimiser.step()
        history.append({k: float(v.detach()) for k, v in terms.items()})
    for name in history[0].keys() - {"gate"}:  # what the gate is to learn changes while the picture does
        first, last = (np.mean([h[name] for h in part]) for part in (history[:8], history[-8:]))
        assert last < (1.0 if name in ("edges", "bends") else 0.8) * first, name
    told = model.tell(batch)
    end = sample(model, batch, told, 4, torch.Generator().manual_seed(0))[-1]
    edit = model.finish(batch, told, model.decode(end, told))
    assert float(psnr_in_mask(edit.detach(), batch)) > float(psnr_in_mask(batch.source, batch)) + 3
    outside = batch.mask == 0
    assert torch.equal((edit * outside), (batch.source * outside))


def far(picture: torch.Tensor, truth: torch.Tensor, weight: torch.Tensor) -> torch.Tensor:
    """A ruler."""
    return ((picture - truth).square() * weight).sum() / weight.sum()


def learners(model: EmbeddedGenerator) -> set[str]:
    return {k for k, p in model.named_parameters() if p.grad is not None and p.grad.abs().max() > 0}


def test_a_ruler_teaches_the_motion_and_where_to_draw_but_no_draw() -> None:
    torch.manual_seed(0)
    model, batch = small_generator(), batch_of(moving_square())
    for head in (model.denoiser.head, model.motion.flow_head, model.motion.gate_head):
        torch.nn.init.normal_(head.weight, std=0.02)
    losses(model, batch, "diffusion", torch.Generator().manual_seed(0), ruler=far)["perceptual"].backward()
    found = learners(model)
    assert {"motion.flow_head.weight", "motion.gate_head.weight", "encoder.enter.weight"} <= found
    assert not any(name.startswith(("denoiser", "condition")) for name in found)


def test_a_ruler_teaches_a_draw_only_where_it_shows_through_the_noise() -> None:
    torch.manual_seed(0)
    model, batch = small_generator(), batch_of(moving_square())
    torch.nn.init.normal_(model.denoiser.head.weight, std=0.02)
    judged = 0
    for seed in range(12):
        noise = torch.Generator().manual_seed(seed)
        clear = float(OBJECTIVES["diffusion"](model, batch, model.tell(batch), noise)[2].detach().max()) > CLEAR
        terms = losses(model, batch, "diffusion", torch.Generator().manual_seed(seed), motion=False, ruler=far)
        assert ("drawn" in terms) == clear
        if clear:
            terms["drawn"].backward()
            judged += 1
    assert 0 < judged < 12
    assert "denoiser.head.weight" in learners(model) and "motion.flow_head.weight" not in learners(model)
    noise = torch.Generator().manual_seed(0)
    assert "drawn" not in losses(model, batch, "diffusion", noise, denoiser=False, ruler=far)


def test_a_ruler_teaches_a_student_what_to_draw_but_no_motion() -> None:
    torch.manual_seed(0)
    teacher, batch = small_generator(), batch_of(moving_square())
    for head in (teacher.denoiser.head, teacher.motion.flow_head, teacher.motion.gate_head):
        torch.nn.init.normal_(head.weight, std=0.02)
    found = []
    for seed in range(8):
        student = teacher.student()
        torch.nn.init.normal_(student.denoiser.head.weight, std=0.02)  # a picture like the warp says not where
        noise = torch.Generator().manual_seed(seed)
        distillation_loss(student, teacher, batch, [0], 4, noise, ruler=far)["perceptual"].backward()
        found.append(learners(student))
        assert not any(name.startswith(("motion.", "encoder.")) for name in found[-1])
    assert all("denoiser.head.weight" in names for names in found), "the whole answer, and what is shown of it"
    assert not learners(teacher)


def test_a_students_first_answer_is_the_warped_photo() -> None:
    torch.manual_seed(0)
    teacher, batch = small_generator(), batch_of(moving_square())
    torch.nn.init.normal_(teacher.denoiser.head.weight, std=0.02)
    student = teacher.student()
    told = student.tell(batch)
    first = student.decode(sample(student, batch, told, 1, torch.Generator().manual_seed(0))[-1], told)
    torch.testing.assert_close(first, told.warped, atol=1e-5, rtol=0)
    assert float(teacher.denoiser.head.weight.detach().abs().max()) > 0


def test_training_shows_as_much_as_the_runtime_shows() -> None:
    revealed = torch.linspace(0, 1, 21, requires_grad=True)
    weights = decided(revealed)
    np.testing.assert_allclose(weights.detach(), compose.decided(revealed.detach().numpy()), atol=1e-6)
    weights.sum().backward()
    assert revealed.grad is not None and torch.equal(revealed.grad, torch.ones(21)), "also where nothing is shown"


def test_training_moves_and_shows_as_the_runtime_does() -> None:
    torch.manual_seed(0)
    model, batch = small_generator(), batch_of(moving_square())
    batch = replace(batch, mask=torch.ones_like(batch.mask))
    far = 3 * torch.randn(1, 2, 64, 64)
    told = model.tell(batch)._replace(
        flow=far, revealed=torch.rand(1, 1, 64, 64), warped=fields.warp(batch.source, far)
    )
    answer = torch.rand(1, 3, 64, 64) * 2 - 1
    window, result = (((x[0].permute(1, 2, 0) + 1) / 2).numpy() for x in (batch.source, answer))
    flow, revealed = (x[0].permute(1, 2, 0).numpy() for x in (told.flow, told.revealed))
    window = np.rint(window * 255).astype(np.uint8)
    change = compose.change_of(window, batch.points[0, :, 2:].numpy(), result, flow, revealed)
    shown = compose.compose(window, np.ones((64, 64), bool), compose.Generated(result, flow, revealed, change))
    finished = (model.finish(batch, told, answer)[0].permute(1, 2, 0).numpy() + 1) / 2 * 255
    assert np.abs(shown - finished.clip(0, 255))[2:-2, 2:-2].max() < 4, "OpenCV moves by 32nds of a pixel"


def widths(*points: tuple[float, ...]) -> list[float]:
    return fields.grip_widths(torch.tensor([points]))[0].tolist()


def test_long_drags_take_more_along() -> None:
    points = torch.tensor([[[64.0, 64.0, 64.0, 68.0]], [[64.0, 64.0, 64.0, 164.0]]])
    near, far_ = fields.closeness(points[..., :2], fields.drag_widths(points), 128, 128)[:, 0, 64]
    assert float(near[64]) > 0.98 and float(far_[64]) > 0.98 and float(far_[104]) > float(near[104]) + 0.3


def test_a_drag_alone_takes_more_along_than_one_beside_another() -> None:
    drag, beside, away = (40.0, 40.0, 60.0, 40.0), (50.0, 70.0, 60.0, 80.0), (300.0, 300.0, 320.0, 320.0)
    (alone,), (first, _) = widths(drag), widths(drag, beside)
    assert alone > first > 20
    assert widths(drag, drag, drag) == [alone] * 3, "a repeated row is no other drag"
    assert widths(drag, away)[0] == alone


def test_targets_show_their_handles_whatever_the_network_says() -> None:
    torch.manual_seed(0)
    points = torch.tensor([[[20.0, 40.0, 33.0, 28.0], [50.0, 44.0, 41.0, 51.0]]])
    flow = fields.land(8 * torch.randn(1, 2, 64, 96), points)
    for hx, hy, tx, ty in points[0].tolist():
        np.testing.assert_allclose(flow[0, :, int(ty), int(tx)], [hx - tx, hy - ty], atol=0.4)
    repeated = fields.land(torch.zeros(1, 2, 64, 96), torch.cat([points, points[:, :1].expand(-1, 5, -1)], 1))
    torch.testing.assert_close(repeated, fields.land(torch.zeros(1, 2, 64, 96), points), rtol=1e-4, atol=1e-4)


def test_the_gate_opens_where_the_picture_is_nearer_the_truth_than_the_warp(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fields, "GRIP", 10.0)  # in so small a picture the grip leaves too little to the gate
    torch.manual_seed(0)
    batch = batch_of(moving_square())
    model = small_generator().requires_grad_(False)
    model.motion.gate_head.requires_grad_(True)
    optimiser = torch.optim.Adam(model.motion.gate_head.parameters(), lr=0.02)
    flow = model.tell(batch).flow
    left = (torch.arange(64) < 30).expand(1, 1, 64, 64)
    good, bad = batch.target, torch.full_like(batch.target, 0.9)
    for _ in range(60):
        told = model.tell(batch)
        loss = model.gate_losses(batch, told, torch.where(left, good, bad))["gate"]
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    told = model.tell(batch)
    wrong = local_error(told.warped, batch.target) > 0.2
    inside = (batch.mask > 0) & wrong
    assert float(told.revealed.detach()[inside & left].mean() - told.revealed.detach()[inside & ~left].mean()) > 0.1
    assert torch.equal(told.flow, flow), "the motion is not touched"


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
    model, notes = load_checkpoint(weights)
    assert notes["steps"] == "2" and len(notes["training_data_sha256"]) == 64
    assert json.loads(notes["training_clips"]) == ["clip.mp4"] and notes["objective"] == "diffusion"
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


def test_the_command_line_brings_the_ruler(
    cache: Path, tmp_path: Path, edit_cli: Callable[..., subprocess.CompletedProcess[str]]
) -> None:
    settings = {**asdict(config(cache, 1)), "sizes": [[64, 1, 1.0]], "perceptual": 0.5}
    (tmp_path / "config.json").write_text(json.dumps(settings))
    done = edit_cli("train", tmp_path / "config.json", "-o", tmp_path / "run")
    assert done.returncode == 0, done.stderr
    assert "perceptual" in json.loads((tmp_path / "run" / "log.jsonl").read_text().splitlines()[0])
    weights = tmp_path / "run" / "weights.safetensors"
    steps = ("--steps", "1", "--teacher-steps", "2", "--updates", "1", "--perceptual", "0.5")
    done = edit_cli("distill", weights, *steps, "-o", tmp_path / "student")
    assert done.returncode == 0, done.stderr
    assert load_checkpoint(tmp_path / "student" / "weights.safetensors")[1]["objective"] == "distillation"


def test_two_processes_learn_the_same_weights(cache: Path, tmp_path: Path) -> None:
    settings = {**asdict(config(cache, 2)), "sizes": [[64, 1, 1.0]]}
    (tmp_path / "config.json").write_text(json.dumps(settings))
    command = ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2", "-m", "edgedrag", "train"]
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

    monkeypatch.setattr("edgedrag.generator.training.losses", poisoned)
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
        [sys.executable, "-m", "edgedrag", "train", str(tmp_path / "config.json"), "-o", str(run)],
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
        import edgedrag.generator.training as training

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
    file = Path(train.__code__.co_filename).parent / "configs" / f"{name}.json"
    assert TrainConfig.read(file).steps > 0


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
    found, notes = load_checkpoint(tmp_path / "two.safetensors")
    assert notes == {"a": "b"}
    for name, weight in two.state_dict().items():
        assert torch.equal(weight, found.state_dict()[name])
    save_checkpoint(two, tmp_path / "one.safetensors", {})
    with pytest.raises(InputError, match=r"belongs beside another one\.safetensors"):
        load_checkpoint(tmp_path / "two.safetensors")
