"""Adversarial loss for revealed regions: a patch critic that tells true frames from the student's pictures.

Adversarial distillation (Sauer et al., ECCV 2024) with a patch critic (Isola et al., CVPR 2017) and the hinge
loss. A distance alone is minimised by the blurry average of all plausible pictures; the critic penalises blur.
"""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.utils.parametrizations import spectral_norm

from edgedrag.generator.training.processes import Processes


class PatchCritic(nn.Module):
    """Logits [B, 1, H/8, W/8] for a picture [B, 3, H, W] and a map [B, 1, H, W] of the generated region."""

    def __init__(self, widths: tuple[int, ...] = (32, 64, 128)):
        super().__init__()
        layers: list[nn.Module] = []
        inputs = 4
        for width in widths:
            layers += [spectral_norm(nn.Conv2d(inputs, width, 4, 2, 1)), nn.LeakyReLU(0.2)]
            inputs = width
        self.layers = nn.Sequential(*layers, spectral_norm(nn.Conv2d(inputs, 1, 3, 1, 1)))

    def forward(self, picture: Tensor, where: Tensor) -> Tensor:
        return self.layers(torch.cat([picture, where], 1))


class Adversary:
    """The critic with its own optimiser; each call of `judge` also trains it."""

    def __init__(self, learning_rate: float, device: str, processes: Processes):
        self.critic = PatchCritic().to(device)
        self.optimiser = torch.optim.Adam(self.critic.parameters(), lr=learning_rate, betas=(0.5, 0.99))
        self.processes = processes

    def judge(self, drawn: Tensor, true: Tensor, where: Tensor) -> Tensor:
        """Train the critic on one batch, then return the adversarial loss of `drawn`, to be minimised.

        Args:
            drawn, true: pictures [B, 3, H, W] that differ only in the generated region.
            where: the generated region, [B, 1, H, W] in 0..1.
        """
        weight = F.avg_pool2d(where, 8)
        total = weight.sum() + 1e-6
        self.critic.requires_grad_(True)
        on_true, on_drawn = self.critic(true, where), self.critic(drawn.detach(), where)
        loss = ((F.relu(1 - on_true) + F.relu(1 + on_drawn)) * weight).sum() / total
        self.optimiser.zero_grad()
        loss.backward()
        self.processes.average_gradients(list(self.critic.parameters()))
        self.optimiser.step()
        self.critic.requires_grad_(False)
        return -(self.critic(drawn, where) * weight).sum() / total

    def state_dict(self) -> dict[str, Any]:
        return {"critic": self.critic.state_dict(), "optimiser": self.optimiser.state_dict()}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.critic.load_state_dict(state["critic"])
        self.optimiser.load_state_dict(state["optimiser"])
