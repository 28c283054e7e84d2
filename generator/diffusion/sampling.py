"""The runtime's sampler in PyTorch, driven by the same coefficient table."""

from __future__ import annotations

import torch
from torch import Tensor

from edgedrag.generator.data.batches import Batch
from edgedrag.generator.diffusion.contract import Conditioning, DragGenerator, clean_latent, levels
from edgedrag.generator.diffusion.objectives import draw_noise
from edgedrag.generator.diffusion.schedule import sampler
from edgedrag.runtime.sampling.sampler import make_table


@torch.no_grad()
def sample(
    model: DragGenerator, batch: Batch, conditioning: Conditioning, steps: int, generator: torch.Generator
) -> tuple[list[Tensor], list[int], Tensor]:
    """Sample an edit's latent in `steps` DDIM steps, with the published guidance schedule if the generator has a scale.

    Returns:
        The input latent of each step, the timestep of each step, and the final clean latent.
    """
    table = make_table({**sampler("sample", steps), "guidance": {"schedule": "inv_square", "scale": model.guidance}})
    a, _, c = table.start
    prior = model.prior(batch, conditioning)
    latent = float(a) * prior + float(c) * draw_noise(prior, generator)
    entered: list[Tensor] = []
    for (a, b, _), timestep, guidance in zip(table.steps, table.timesteps, table.guidance):
        entered.append(latent)
        at = torch.full((len(latent),), float(timestep), device=latent.device)
        latent = float(a) * latent + float(b) * clean_latent(
            model, latent, conditioning, at, levels(at, latent), float(guidance)
        )
    return entered, table.timesteps.tolist(), latent
