"""The runtime's sampler in PyTorch, from the same table of coefficients."""

from __future__ import annotations

import torch
from torch import Tensor

from edgedrag.generator.batches import Batch
from edgedrag.generator.contract import DragGenerator, Told, clean_latent, levels
from edgedrag.generator.objectives import draw_noise
from edgedrag.generator.schedule import sampler
from edgedrag.runtime.sampler import make_table


@torch.no_grad()
def sample(
    model: DragGenerator, batch: Batch, told: Told, steps: int, generator: torch.Generator
) -> tuple[list[Tensor], list[int], Tensor]:
    """Draw an edit's latent in `steps` DDIM steps.

    Returns:
        The latents that entered each step, the timesteps they entered at, and the clean latent at the end.
    """
    table = make_table(sampler("sample", steps))
    a, _, c = table.start
    latent = float(a) * model.prior(batch, told) + float(c) * draw_noise(model, batch, generator)
    entered: list[Tensor] = []
    for (a, b, _), timestep in zip(table.steps, table.timesteps):
        entered.append(latent)
        at = torch.full((len(latent),), float(timestep), device=latent.device)
        latent = float(a) * latent + float(b) * clean_latent(model, latent, told, at, *levels(at, latent))
    return entered, table.timesteps.tolist(), latent
