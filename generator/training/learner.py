"""A training task and the state of its run: parameters, their moving average, the optimiser."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Generic, Protocol, TypeVar

import torch
from safetensors import SafetensorError
from torch import Tensor, nn

from edgedrag.generator.training.config import LoopConfig
from edgedrag.generator.training.processes import Processes
from edgedrag.runtime.errors import EdgedragError, InputError
from edgedrag.runtime.files import aside_file


class Movable(Protocol):
    """A batch."""

    def to(self: BatchT, device: torch.device) -> BatchT: ...


class Trainable(Protocol):
    """A network that a run trains; `file` is the name of its averaged weights in the run's folder."""

    @property
    def file(self) -> str: ...
    def to(self: NetworkT, device: str) -> NetworkT: ...
    def clone(self: NetworkT) -> NetworkT: ...
    def parameters(self) -> Iterator[nn.Parameter]: ...
    def requires_grad_(self, requires_grad: bool) -> Any: ...
    def state_dict(self) -> dict[str, Any]: ...
    def load_state_dict(self, state_dict: dict[str, Any]) -> Any: ...
    def write(self, path: Path, metadata: dict[str, str]) -> None: ...


BatchT = TypeVar("BatchT", bound=Movable)
NetworkT = TypeVar("NetworkT", bound=Trainable)
MeasuredT = TypeVar("MeasuredT", bound=Trainable, contravariant=True)
Loss = Callable[[BatchT, torch.Generator], dict[str, Tensor]]  # weighted terms; their sum is minimised


class Measure(Protocol, Generic[MeasuredT]):
    """Figures of the averaged weights for the log, and a picture of results."""

    def measure(self, model: MeasuredT, sheet: Path | None = None) -> dict[str, float]: ...


class Companion(Protocol):
    """An additional trained object with a state, such as a critic."""

    def state_dict(self) -> dict[str, Any]: ...
    def load_state_dict(self, state: dict[str, Any]) -> None: ...


@dataclass(frozen=True)
class Task(Generic[NetworkT, BatchT]):
    """What a run trains, and its data.

    Attributes:
        model: parameters that require gradients are trained.
        loss: function of a batch and a random generator for noise.
        batches: function of the first step.
        metadata: stored with the weights.
        companion: trained within `loss` and saved with the model.
        slow: parameters that are trained at a share of the rate, and that share.
    """

    model: NetworkT
    loss: Loss[BatchT]
    batches: Callable[[int], Iterator[BatchT]]
    metadata: dict[str, str]
    validation: Measure[NetworkT] | None = None
    companion: Companion | None = None
    slow: tuple[Sequence[nn.Parameter], float] = ((), 1.0)


class Learner(Generic[NetworkT, BatchT]):
    """The state of a run, in its folder and in memory.

    Attributes:
        average: the moving average of the model's weights, the result of the run.
        weights: the file of the average, rounded to fp16.
    """

    def __init__(self, task: Task[NetworkT, BatchT], config: LoopConfig, folder: Path):
        self.model = task.model.to(config.device)
        self.average = task.model.clone().to(config.device)
        self.average.load_state_dict(self.model.state_dict())
        self.average.requires_grad_(False)
        self.weights = folder / self.average.file
        self._task, self._config = task, config
        self._state_file = folder / "state.pt"
        self._trained = [p for p in self.model.parameters() if p.requires_grad]
        self._averages = [a for a, p in zip(self.average.parameters(), self.model.parameters()) if p.requires_grad]
        slow = {id(p) for p in task.slow[0]}
        groups = [
            {"params": [p for p in self._trained if (id(p) in slow) == slowly], "share": share}
            for slowly, share in ((False, 1.0), (True, task.slow[1]))
        ]
        self._optimiser = torch.optim.AdamW(
            [group for group in groups if group["params"]],
            lr=config.learning_rate,
            weight_decay=1e-4,
            betas=(0.9, 0.98),
        )

    def restore(self) -> int:
        """Load the folder's state, if there is one; returns the step to resume at.

        Raises:
            InputError: the state is of another network.
        """
        if not self._state_file.exists():
            return 0
        state = torch.load(self._state_file, weights_only=True, map_location=self._config.device)
        try:
            self.model.load_state_dict(state["model"])
            self.average.load_state_dict(state["average"])
            self._optimiser.load_state_dict(state["optimiser"])
            if self._task.companion is not None:
                self._task.companion.load_state_dict(state["companion"])
        except (KeyError, RuntimeError, ValueError) as error:
            raise InputError(
                f"{self._state_file}: is of another network or config; choose another folder ({error})"
            ) from None
        return state["step"]

    def save(self, step: int) -> None:
        """Write averaged weights, then the state, each atomically. Raises EdgedragError if they cannot be written."""
        companion = self._task.companion
        state: dict[str, Any] = {
            "model": self.model.state_dict(),
            "average": self.average.state_dict(),
            "optimiser": self._optimiser.state_dict(),
            "companion": companion.state_dict() if companion is not None else None,
            "step": step,
        }
        try:
            self.average.write(self.weights, {**self._task.metadata, "steps": str(step)})
            with aside_file(self._state_file.parent) as aside:
                torch.save(state, aside)
                os.replace(aside, self._state_file)
        except (OSError, RuntimeError, SafetensorError) as error:
            raise EdgedragError(
                f"{self._state_file.parent}: cannot be written at step {step} ({error}); the previous state is intact"
            ) from None

    def update(self, batch: BatchT, step: int, processes: Processes) -> dict[str, float]:
        """One step of the optimiser and of the average; returns the terms of the loss.

        Raises:
            EdgedragError: the loss is NaN or infinite.
        """
        config = self._config
        for group in self._optimiser.param_groups:
            group["lr"] = config.rate(step) * group.get("share", 1.0)
        noise = torch.Generator().manual_seed((config.seed * 1_000_003 + step) * processes.count + processes.rank)
        with torch.autocast(config.device.split(":")[0], torch.bfloat16, enabled=config.precision == "bf16"):
            terms = self._task.loss(batch.to(torch.device(config.device)), noise)
        total = torch.stack([v.float() for v in terms.values()]).sum()
        self._optimiser.zero_grad()
        total.backward()
        processes.average_gradients(self._trained)
        norm = torch.nn.utils.clip_grad_norm_(self._trained, 1.0)
        if not (torch.isfinite(total) and torch.isfinite(norm)):
            raise EdgedragError(f"the loss is not a number at step {step}; {self._state_file} is the last good state")
        self._optimiser.step()
        with torch.no_grad():
            decay = min(config.average, (step + 1) / (step + 10))
            for old, new in zip(self._averages, self._trained):
                old.lerp_(new, 1 - decay)
        return {name: float(value.detach()) for name, value in terms.items()}
