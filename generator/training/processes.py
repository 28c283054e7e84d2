"""Training in several processes, started by `torchrun`."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass

import torch
import torch.distributed as dist
from torch import Tensor


@dataclass(frozen=True)
class Processes:
    """This process's rank and the number of processes; (0, 1) without `torchrun`."""

    rank: int
    count: int

    @classmethod
    def join(cls, device: str) -> Processes:
        count = int(os.environ.get("WORLD_SIZE", "1"))
        if count > 1 and not dist.is_initialized():
            dist.init_process_group("nccl" if device.startswith("cuda") else "gloo")
        return cls(int(os.environ.get("RANK", "0")), count)

    @property
    def leads(self) -> bool:
        return self.rank == 0

    def batch_makers(self, device: str) -> int:
        """The number of data loading workers; with a GPU, all cores but one are free for them."""
        return 1 if device == "cpu" else max(1, (os.cpu_count() or 1) // self.count - 1)

    def average_gradients(self, parameters: Sequence[Tensor]) -> None:
        """Average the gradients over all processes, in one all-reduce."""
        if self.count == 1:
            return
        gradients = [p.grad if p.grad is not None else torch.zeros_like(p) for p in parameters]
        flat = torch.cat([g.flatten() for g in gradients])
        dist.all_reduce(flat)
        flat /= self.count
        for parameter, part in zip(parameters, flat.split([g.numel() for g in gradients])):
            parameter.grad = part.view_as(parameter)
