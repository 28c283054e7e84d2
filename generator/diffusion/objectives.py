"""Training objectives of a denoiser: diffusion, and one-step regression as the baseline."""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor

from edgedrag.generator.data.batches import Batch
from edgedrag.generator.diffusion.contract import Conditioning, DragGenerator, clean_latent, levels
from edgedrag.generator.diffusion.schedule import STEPS

PerceptualLoss = Callable[[Tensor, Tensor, Tensor], Tensor]  # (picture, truth, weight) -> distance

JUDGED = 256 * 256  # pixels of each batch that enter a perceptual loss on a CPU, where its network costs most of a step
SNR_CAP, SNR_FLOOR = 5.0, 0.2  # of the weights of noise levels (min-SNR, Hang et al., ICCV 2023)
UNCONDITIONAL_SHARE = 0.1  # of batches without the drag, for generators with guidance (Ho and Salimans 2022)


def masked_mean(value: Tensor, weight: Tensor) -> Tensor:
    """Mean of [B, C, H, W] under a weight [B, 1, H, W]."""
    return (value * weight).sum() / (weight.sum() * value.shape[1] + 1e-6)


def edge_loss(a: Tensor, b: Tensor, weight: Tensor, most: float = math.inf) -> Tensor:
    """L1 distance of the two pictures' horizontal and vertical differences, each clamped to `most`."""
    along_x, along_y = ((a - b).diff(dim=axis).abs().clamp_max(most) for axis in (-1, -2))
    return masked_mean(along_x, weight[..., :, 1:]) + masked_mean(along_y, weight[..., 1:, :])


def perceptual_distance(
    perceptual_loss: PerceptualLoss, edit: Tensor, batch: Batch, which: Tensor | None = None
) -> Tensor:
    """The distance between edits [B, 3, H, W] and the truth inside the mask.

    Only the rows `which` [M >= 1] count, all by default; on a CPU, only the first of them, up to JUDGED pixels.
    """
    rows = torch.arange(len(edit)) if which is None else which
    if edit.device.type == "cpu":
        rows = rows[: max(1, JUDGED // edit[0, 0].numel())]
    truth, mask = batch.target[rows], batch.mask[rows]
    return perceptual_loss(truth + mask * (edit[rows].clamp(-1, 1) - truth), truth, mask)


def draw_noise(latent: Tensor, generator: torch.Generator) -> Tensor:
    """Standard normal noise of a latent's shape, drawn on the CPU so that it is the same on every device."""
    return torch.randn(latent.shape, generator=generator).to(latent)


def diffusion(
    model: DragGenerator, batch: Batch, conditioning: Conditioning, generator: torch.Generator
) -> tuple[dict[str, Tensor], Tensor, Tensor]:
    """Predict the clean latent at a random noise level (Ho et al. 2020); high levels are drawn more often.

    Returns the weighted loss, the predicted latent, and alpha of the noise level, [B, 1, 1, 1].
    """
    count = len(batch.mask)
    timestep = torch.randint(0, STEPS, (count,), generator=generator)
    high = torch.rand(count, generator=generator) < 0.3
    timestep = torch.where(high, STEPS - 1 - timestep // 4, timestep).to(batch.target.device)
    with torch.no_grad():
        clean = model.encode(batch.target)
    noise = draw_noise(clean, generator)
    if model.guidance != 1.0 and float(torch.rand((), generator=generator)) < UNCONDITIONAL_SHARE:
        conditioning = model.unconditional(conditioning)
    alpha, sigma = levels(timestep, batch.target)
    predicted = clean_latent(model, alpha * clean + sigma * noise, conditioning, timestep.float(), (alpha, sigma))
    weight = F.adaptive_avg_pool2d(model.loss_weight(batch), (clean.shape[-2], clean.shape[-1]))
    certain = ((alpha / sigma) ** 2).clamp_max(SNR_CAP)
    if model.prediction != "sample":
        # Below the cap this equals the squared error of the predicted noise.
        return {"diffusion": masked_mean((predicted - clean).square() * certain, weight)}, predicted, alpha
    # Huber is quadratic near zero: the prediction is a conditional mean, as diffusion sampling requires.
    error = F.huber_loss(predicted, clean, reduction="none", delta=0.5)
    return {"diffusion": 10 * masked_mean(error * (certain + SNR_FLOOR), weight)}, predicted, alpha


def regression(
    model: DragGenerator, batch: Batch, conditioning: Conditioning, generator: torch.Generator
) -> tuple[dict[str, Tensor], Tensor, Tensor]:
    """Predict the picture in one step from the sampler's starting latent, with L1 losses of pixels and edges.

    Returns what `diffusion` does.
    """
    timestep = torch.full((len(batch.mask),), STEPS - 1, device=batch.target.device)
    alpha, sigma = levels(timestep, batch.target)
    prior = model.prior(batch, conditioning).detach()
    start = alpha * prior + sigma * draw_noise(prior, generator)
    predicted = clean_latent(model, start, conditioning, timestep.float(), (alpha, sigma))
    picture = model.decode(predicted, conditioning)
    weight = model.loss_weight(batch)
    terms = {
        "picture": masked_mean((picture - batch.target).abs(), weight),
        "edges": 0.5 * edge_loss(picture, batch.target, weight),
        **model.gate_losses(batch, conditioning, picture),
    }
    return terms, predicted, alpha


OBJECTIVES = {"diffusion": diffusion, "regression": regression}
