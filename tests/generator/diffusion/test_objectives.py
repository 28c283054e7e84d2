"""What one batch teaches which part of the networks."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from moving_square import batch_of, moving_square, small_generator

from edgedrag.generator.diffusion.objectives import OBJECTIVES
from edgedrag.generator.diffusion.sampling import sample
from edgedrag.generator.networks import fields
from edgedrag.generator.networks.embedded import EmbeddedGenerator
from edgedrag.generator.networks.embedded_losses import local_error
from edgedrag.generator.training.distillation import Lesson, distillation_loss
from edgedrag.generator.training.trainer import CLEAR, losses
from edgedrag.generator.training.validation import psnr_in_mask

pytestmark = pytest.mark.usefixtures("one_thread")


@pytest.mark.parametrize("objective", ["diffusion", "regression"])
def test_one_batch_can_be_overfitted(objective: str) -> None:
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
    conditioning = model.conditioning(batch)
    end = sample(model, batch, conditioning, 4, torch.Generator().manual_seed(0))[-1]
    edit = model.finish(batch, conditioning, model.decode(end, conditioning))
    assert float(psnr_in_mask(edit.detach(), batch)) > float(psnr_in_mask(batch.source, batch)) + 3
    outside = batch.mask == 0
    assert torch.equal((edit * outside), (batch.source * outside))


def far(picture: torch.Tensor, truth: torch.Tensor, weight: torch.Tensor) -> torch.Tensor:
    """A perceptual loss."""
    return ((picture - truth).square() * weight).sum() / weight.sum()


def learners(model: EmbeddedGenerator) -> set[str]:
    return {k for k, p in model.named_parameters() if p.grad is not None and p.grad.abs().max() > 0}


def test_a_perceptual_loss_trains_the_motion_and_the_gate_but_no_draw() -> None:
    torch.manual_seed(0)
    model, batch = small_generator(), batch_of(moving_square())
    for head in (model.denoiser.head, model.motion.flow_head, model.motion.gate_head):
        torch.nn.init.normal_(head.weight, std=0.02)
    losses(model, batch, "diffusion", torch.Generator().manual_seed(0), perceptual_loss=far)["perceptual"].backward()
    found = learners(model)
    assert {"motion.flow_head.weight", "motion.gate_head.weight", "encoder.enter.weight"} <= found
    assert not any(name.startswith(("denoiser", "condition")) for name in found)


def test_a_perceptual_loss_trains_a_draw_only_at_low_noise() -> None:
    torch.manual_seed(0)
    model, batch = small_generator(), batch_of(moving_square())
    torch.nn.init.normal_(model.denoiser.head.weight, std=0.02)
    judged = 0
    for seed in range(12):
        noise = torch.Generator().manual_seed(seed)
        clear = float(OBJECTIVES["diffusion"](model, batch, model.conditioning(batch), noise)[2].detach().max()) > CLEAR
        terms = losses(
            model, batch, "diffusion", torch.Generator().manual_seed(seed), learns="denoiser", perceptual_loss=far
        )
        assert ("drawn" in terms) == clear
        if clear:
            terms["drawn"].backward()
            judged += 1
    assert 0 < judged < 12
    assert "denoiser.head.weight" in learners(model) and "motion.flow_head.weight" not in learners(model)
    noise = torch.Generator().manual_seed(0)
    assert "drawn" not in losses(model, batch, "diffusion", noise, learns="motion", perceptual_loss=far)


def test_a_perceptual_loss_trains_a_student_to_draw_but_no_motion() -> None:
    torch.manual_seed(0)
    teacher, batch = small_generator(), batch_of(moving_square())
    for head in (teacher.denoiser.head, teacher.motion.flow_head, teacher.motion.gate_head):
        torch.nn.init.normal_(head.weight, std=0.02)
    found = []
    for seed in range(8):
        student = teacher.student()
        torch.nn.init.normal_(student.denoiser.head.weight, std=0.02)  # a picture like the warp says not where
        noise = torch.Generator().manual_seed(seed)
        distillation_loss(student, Lesson(teacher, [0], 4, perceptual_loss=far), batch, noise)["perceptual"].backward()
        found.append(learners(student))
        assert not any(name.startswith(("motion.", "encoder.")) for name in found[-1])
    assert all("denoiser.head.weight" in names for names in found), "the whole answer, and what is shown of it"
    assert not learners(teacher)


def test_a_students_first_answer_is_the_warped_photo() -> None:
    torch.manual_seed(0)
    teacher, batch = small_generator(), batch_of(moving_square())
    torch.nn.init.normal_(teacher.denoiser.head.weight, std=0.02)
    student = teacher.student()
    conditioning = student.conditioning(batch)
    first = student.decode(sample(student, batch, conditioning, 1, torch.Generator().manual_seed(0))[-1], conditioning)
    torch.testing.assert_close(first, conditioning.warped, atol=1e-5, rtol=0)
    assert float(teacher.denoiser.head.weight.detach().abs().max()) > 0


def test_the_gate_opens_where_the_picture_is_nearer_the_truth_than_the_warp(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fields, "GRIP", 10.0)  # in so small a picture the grip leaves too little to the gate
    torch.manual_seed(0)
    batch = batch_of(moving_square())
    model = small_generator().requires_grad_(False)
    model.motion.gate_head.requires_grad_(True)
    optimiser = torch.optim.Adam(model.motion.gate_head.parameters(), lr=0.02)
    flow = model.conditioning(batch).flow
    left = (torch.arange(64) < 30).expand(1, 1, 64, 64)
    good, bad = batch.target, torch.full_like(batch.target, 0.9)
    for _ in range(60):
        conditioning = model.conditioning(batch)
        loss = model.gate_losses(batch, conditioning, torch.where(left, good, bad))["gate"]
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    conditioning = model.conditioning(batch)
    wrong = local_error(conditioning.warped, batch.target) > 0.2
    inside = (batch.mask > 0) & wrong
    assert (
        float(
            conditioning.revealed.detach()[inside & left].mean() - conditioning.revealed.detach()[inside & ~left].mean()
        )
        > 0.1
    )
    assert torch.equal(conditioning.flow, flow), "the motion is not touched"
