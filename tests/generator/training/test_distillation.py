"""The student of a teacher; and that training and distillation know a generator by its contract alone."""

from __future__ import annotations

import copy
import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from moving_square import batch_of, moving_square
from torch import Tensor, nn

from edgedrag.generator.data.batches import Batch
from edgedrag.generator.diffusion.contract import DragGenerator, clean_latent, levels
from edgedrag.generator.diffusion.sampling import sample
from edgedrag.generator.networks.checkpoint_file import save_checkpoint
from edgedrag.generator.networks.embedded import EmbeddedConfig, EmbeddedGenerator
from edgedrag.generator.training.adversary import Adversary
from edgedrag.generator.training.checkpoint import load_checkpoint
from edgedrag.generator.training.distillation import (
    DistillConfig,
    Lesson,
    distill,
    distillation_loss,
    load_denoiser,
    matching_teacher_steps,
)
from edgedrag.generator.training.processes import Processes
from edgedrag.generator.training.trainer import losses
from edgedrag.runtime.errors import InputError

pytestmark = pytest.mark.slow


class LatentGenerator(DragGenerator):
    """Shaped like the full-size one: a latent at 1/8, epsilon, a guidance pair on the drag, no motion."""

    prediction = "epsilon"

    def __init__(self, guidance: float = 3.0):
        super().__init__()
        self.guidance = guidance
        self.net = nn.Sequential(nn.Conv2d(4 + 4 + 2, 32, 3, padding=1), nn.SiLU(), nn.Conv2d(32, 4, 3, padding=1))
        self.calls = 0

    def encode(self, picture: Tensor) -> Tensor:
        small = nn.functional.avg_pool2d(picture, 8)
        return torch.cat([small, small.mean(1, keepdim=True)], 1)

    def decode(self, latent: Tensor, conditioning: Any) -> Tensor:
        return nn.functional.interpolate(latent[:, :3], scale_factor=8)

    def conditioning(self, batch: Batch) -> dict[str, Tensor]:
        return {"appearance": self.encode(batch.source), "drag": nn.functional.avg_pool2d(batch.prior_flow, 8) / 8}

    def unconditional(self, conditioning: dict[str, Tensor]) -> dict[str, Tensor]:
        return {**conditioning, "drag": torch.zeros_like(conditioning["drag"])}

    def predict(self, latent: Tensor, conditioning: dict[str, Tensor], timestep: Tensor) -> Tensor:
        self.calls += 1
        return self.net(torch.cat([latent, conditioning["appearance"], conditioning["drag"]], 1))

    def prior(self, batch: Batch, conditioning: Any) -> Tensor:
        return conditioning["appearance"]

    def finish(self, batch: Batch, conditioning: Any, picture: Tensor) -> Tensor:
        return batch.source + batch.mask * (picture - batch.source)

    def denoiser_parts(self) -> Iterable[nn.Module]:
        return (self.net,)

    def clone(self) -> LatentGenerator:
        return copy.deepcopy(self)

    def write(self, path: Path, metadata: dict[str, str]) -> None:
        torch.save(self.state_dict(), path)


def test_another_topology_trains_and_distils_with_the_same_code() -> None:
    torch.manual_seed(0)
    batch = batch_of(moving_square())
    teacher = LatentGenerator()
    optimiser = torch.optim.Adam(teacher.parameters(), lr=3e-3)
    history = []
    for step in range(60):
        terms = losses(teacher, batch, "diffusion", torch.Generator().manual_seed(step))
        assert set(terms) == {"diffusion"}, "no motion, no motion's losses"
        optimiser.zero_grad()
        terms["diffusion"].backward()
        optimiser.step()
        history.append(float(terms["diffusion"].detach()))
    assert np.mean(history[-10:]) < 0.9 * np.mean(history[:10])

    student = teacher.student()
    optimiser = torch.optim.Adam(student.parameters(), lr=3e-3)
    places = matching_teacher_steps((1, 2), 8)
    history = []
    for step in range(150):
        teacher.calls = student.calls = 0
        terms = distillation_loss(student, Lesson(teacher, places, 8), batch, torch.Generator().manual_seed(step))
        assert teacher.calls == 2 * 8, "the teacher runs its guidance pair"
        assert student.calls == 1, "the student has guidance folded in: no step runs twice"
        optimiser.zero_grad()
        torch.stack(list(terms.values())).sum().backward()
        optimiser.step()
        history.append(float(terms["latent"].detach()))
    # By how much a place is missed depends on its noise; half of the draws are of the noisiest.
    assert np.mean(history[-30:]) < 0.7 * np.mean(history[:30])


def test_a_critic_separates_blurred_from_true_pictures_and_passes_gradients() -> None:
    """Judged against a texture, a flat picture learns to be less flat."""
    torch.manual_seed(0)
    adversary = Adversary(2e-3, "cpu", Processes(0, 1))
    true, where = torch.rand(4, 3, 32, 32) * 2 - 1, torch.ones(4, 1, 32, 32)
    drawn = torch.zeros(4, 3, 32, 32, requires_grad=True)
    painter = torch.optim.Adam([drawn], lr=0.02)
    for _ in range(60):
        loss = adversary.judge(drawn, true, where)
        painter.zero_grad()
        loss.backward()
        painter.step()
    assert float(drawn.detach().std()) > 0.1


def test_predictions_of_each_kind_give_the_same_clean_latent() -> None:
    clean, noise = torch.randn(2, 4, 8, 8), torch.randn(2, 4, 8, 8)
    timestep = torch.tensor([100.0, 900.0])
    alpha, sigma = levels(timestep, clean)
    answers = {"sample": clean, "epsilon": noise, "v": alpha * noise - sigma * clean}
    for kind, answer in answers.items():
        model = LatentGenerator(guidance=1.0)
        model.prediction, model.predict = kind, lambda *_, answer=answer: answer  # type: ignore[method-assign]
        found = clean_latent(model, alpha * clean + sigma * noise, None, timestep, (alpha, sigma))
        torch.testing.assert_close(found, clean, atol=1e-3, rtol=1e-3)


def test_sampling_is_the_runtimes() -> None:
    """The path's first place is the noised prior; the same noise gives the same end."""
    torch.manual_seed(0)
    model, batch = LatentGenerator(), batch_of(moving_square())
    conditioning = model.conditioning(batch)
    entered, timesteps, end = sample(model, batch, conditioning, 4, torch.Generator().manual_seed(3))
    assert timesteps == [999, 759, 499, 259] and len(entered) == 4
    alpha, sigma = levels(torch.tensor([999.0]), end)
    noise = torch.randn(end.shape[1:], generator=torch.Generator().manual_seed(3))
    torch.testing.assert_close(
        entered[0], alpha * model.prior(batch, conditioning) + sigma * noise, atol=1e-4, rtol=1e-4
    )
    again = sample(model, batch, conditioning, 4, torch.Generator().manual_seed(3))[-1]
    other = sample(model, batch, conditioning, 4, torch.Generator().manual_seed(4))[-1]
    assert torch.equal(end, again) and not torch.allclose(end, other)


@pytest.mark.parametrize("adversarial", [0.0, 0.1])
def test_a_distillation_writes_a_student_that_shares_the_motion(tmp_path: Path, adversarial: float) -> None:
    for split in ("train", "held_out"):
        folder = tmp_path / "cache" / split
        folder.mkdir(parents=True)
        pair = moving_square(256)
        np.savez(folder / "clip.mp4.npz", **{k: v[None] for k, v in pair.items()}, kind=["video"])
    small = EmbeddedGenerator(EmbeddedConfig((16, 24, 32), (1, 1, 1), (1, 1, 1, 1), (1, 1, 1)))
    nn.init.normal_(small.denoiser.head.weight, std=0.05)  # a fresh head adds nothing, so there is nothing to follow
    save_checkpoint(small, tmp_path / "teacher.safetensors", {"pairs": str(tmp_path / "cache"), "steps": "7"})
    config = DistillConfig(steps=2, sizes=((64, 1, 1.0),), warmup=1, average=0.0, validate_every=2, teacher_steps=4)
    config.learning_rate, config.adversarial = 0.01, adversarial
    student = distill(tmp_path / "teacher.safetensors", config, None, tmp_path / "run")
    model, metadata = load_checkpoint(student)
    assert metadata["default_steps"] == "1" and metadata["teacher_training_steps"] == "7"
    assert json.loads(metadata["distillation"]) == {"steps": [1, 2, 4], "teacher_steps": 4}
    before, after = (m.state_dict() for m in (load_checkpoint(tmp_path / "teacher.safetensors")[0], model))
    changed = {k.split(".")[0] for k in before if not torch.allclose(before[k], after[k], atol=1e-3, rtol=1e-3)}
    assert changed <= {"denoiser", "condition"} and "denoiser" in changed
    line = json.loads((tmp_path / "run" / "log.jsonl").read_text().splitlines()[-1])
    assert {"held_out_psnr_1_step", "held_out_psnr_2_step", "held_out_psnr_4_step"} <= set(line)
    config.steps = 3
    distill(tmp_path / "teacher.safetensors", config, None, tmp_path / "run")  # goes on, critic and all
    lines = [json.loads(line) for line in (tmp_path / "run" / "log.jsonl").read_text().splitlines()]
    assert lines[-1]["step"] == 3


def test_a_student_can_go_on_from_the_denoiser_of_another(tmp_path: Path) -> None:
    teacher, other = EmbeddedGenerator(), EmbeddedGenerator()
    nn.init.normal_(other.denoiser.head.weight, std=0.05)
    save_checkpoint(other, tmp_path / "other.safetensors", {})
    student = teacher.student()
    load_denoiser(student, tmp_path / "other.safetensors")
    torch.testing.assert_close(student.denoiser.head.weight, other.denoiser.head.weight, atol=1e-3, rtol=1e-3)
    assert torch.equal(student.motion.enter.weight, teacher.motion.enter.weight)
    small = EmbeddedGenerator(EmbeddedConfig((16, 24, 32), (1, 1, 1), (1, 1, 1, 1), (1, 1, 1)))
    with pytest.raises(InputError, match=r"other\.safetensors: its denoiser does not have the teacher's shape"):
        load_denoiser(small, tmp_path / "other.safetensors")


def test_steps_that_are_no_part_of_the_path() -> None:
    with pytest.raises(InputError, match="student_steps has 3, which does not divide teacher_steps, 16"):
        DistillConfig(student_steps=(1, 3)).check("--steps")
    with pytest.raises(InputError, match="1 to 50"):
        DistillConfig(teacher_steps=64).check("--steps")
