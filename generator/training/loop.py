"""The loop that every kind of learning here runs in: optimiser, average, checkpoints, log, validation, processes.

A run's folder holds the averaged weights rounded to fp16, as they ship (under the generator's `file`),
`state.pt` (all that a resumed run needs), `log.jsonl` (means since the last line), `curves.png` and
`samples.png`. Every file is written aside and renamed.
"""

from __future__ import annotations

import json
import math
import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import torch
import torch.distributed as dist
from torch import Tensor
from tqdm import tqdm

from edgedrag.generator.data.batches import Batch
from edgedrag.generator.diffusion.contract import DragGenerator
from edgedrag.generator.training.curves import draw_curves
from edgedrag.generator.training.validation import Validation
from edgedrag.runtime.errors import EdgedragError, InputError

PRECISIONS = {"fp32": torch.float32, "bf16": torch.bfloat16}

Loss = Callable[[Batch, torch.Generator], dict[str, Tensor]]  # weighted terms; their sum is minimised


@dataclass
class LoopConfig:
    """How a run learns.

    Attributes:
        steps, warmup: of the optimiser; the rate rises linearly over `warmup` and falls by a cosine to 2%.
        average: decay of the weights' moving average.
        perceptual: weight of the perceptual loss (`objectives.perceptual_distance`); 0 leaves it out.
        precision: "fp32", or "bf16" where the device computes it.
        device: "cpu" or "cuda".
        log_every, save_every, validate_every: in steps.
    """

    steps: int = 4000
    learning_rate: float = 4e-4
    warmup: int = 100
    average: float = 0.998
    seed: int = 0
    perceptual: float = 0.0
    precision: str = "fp32"
    device: str = "cpu"
    log_every: int = 50
    save_every: int = 250
    validate_every: int = 500

    def check(self, where: str) -> None:
        """Raise InputError for values that no run can have."""
        if not self.perceptual >= 0:
            raise InputError(f"{where}: perceptual is {self.perceptual!r}, not a weight from 0 on")
        for name in ("steps", "warmup", "log_every", "save_every", "validate_every"):
            if not isinstance(getattr(self, name), int) or getattr(self, name) < 1:
                raise InputError(f"{where}: {name} is {getattr(self, name)!r}, not a whole number from 1 on")
        if not self.learning_rate > 0 or not 0 <= self.average < 1:
            raise InputError(f"{where}: learning_rate must be above 0, average from 0 to below 1")
        if self.precision not in PRECISIONS:
            raise InputError(f"{where}: precision is {self.precision!r}, not one of {', '.join(PRECISIONS)}")
        if self.device.startswith("cuda") and not torch.cuda.is_available():
            raise InputError(f"{where}: device is {self.device!r}, but this machine has no CUDA GPU; say 'cpu'")

    def rate(self, step: int) -> float:
        if step < self.warmup:
            return self.learning_rate * (step + 1) / self.warmup
        progress = (step - self.warmup) / max(1, self.steps - self.warmup)
        return self.learning_rate * (0.02 + 0.49 * (1 + math.cos(math.pi * min(progress, 1.0))))


class Companion(Protocol):
    """Something with a state of its own."""

    def state_dict(self) -> dict[str, Any]: ...
    def load_state_dict(self, state: dict[str, Any]) -> None: ...


@dataclass(frozen=True)
class Processes:
    """This process among those that `torchrun` started; alone without it."""

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
        """How many processes make this one's batches: beside a GPU all cores but one have nothing else to do."""
        return 1 if device == "cpu" else max(1, (os.cpu_count() or 1) // self.count - 1)

    def average_gradients(self, parameters: Sequence[Tensor]) -> None:
        """Every process gets the mean of all processes' gradients, as one message."""
        if self.count == 1:
            return
        gradients = [p.grad if p.grad is not None else torch.zeros_like(p) for p in parameters]
        flat = torch.cat([g.flatten() for g in gradients])
        dist.all_reduce(flat)
        flat /= self.count
        for parameter, part in zip(parameters, flat.split([g.numel() for g in gradients])):
            parameter.grad = part.view_as(parameter)


def learn(
    model: DragGenerator,
    average: DragGenerator,
    loss: Loss,
    data: Callable[[int], Iterator[Batch]],
    config: LoopConfig,
    run: Path,
    processes: Processes,
    metadata: dict[str, str],
    validation: Validation | None = None,
    companion: Companion | None = None,
) -> Path:
    """Learn, or go on with the run in folder `run`; returns the path of the averaged weights.

    Args:
        model: its parameters that require a gradient are those that learn.
        average: another of the same kind; becomes the moving average.
        loss: of a batch, with a generator for its noise.
        data: batches from a step on.
        companion: what learns beside the model, within `loss`, and is kept with it.

    Raises:
        InputError: the folder's state is of another network.
        EdgedragError: the loss is not a number, or the disk is full; the last saved state is whole.
    """
    run.mkdir(parents=True, exist_ok=True)
    average.load_state_dict(model.state_dict())
    average.requires_grad_(False)
    learning = [p for p in model.parameters() if p.requires_grad]
    averages = [a for a, p in zip(average.parameters(), model.parameters()) if p.requires_grad]
    optimiser = torch.optim.AdamW(learning, lr=config.learning_rate, weight_decay=1e-4, betas=(0.9, 0.98))
    state_file, log_file, start = run / "state.pt", run / "log.jsonl", 0
    if state_file.exists():
        state = torch.load(state_file, weights_only=True, map_location=config.device)
        try:
            model.load_state_dict(state["model"])
            average.load_state_dict(state["average"])
            optimiser.load_state_dict(state["optimiser"])
            if companion is not None:
                companion.load_state_dict(state["companion"])
        except (KeyError, RuntimeError, ValueError) as error:
            raise InputError(f"{state_file}: of another network or config; choose another folder ({error})") from None
        start = state["step"]
        _forget_after(log_file, start)

    def save(step: int) -> None:
        aside = state_file.with_suffix(".partial")
        state = {
            "model": model.state_dict(),
            "average": average.state_dict(),
            "optimiser": optimiser.state_dict(),
            "companion": companion.state_dict() if companion is not None else None,
            "step": step,
        }
        try:
            torch.save(state, aside)
            os.replace(aside, state_file)
            average.write(run / average.file, {**metadata, "steps": str(step)})
        except (OSError, RuntimeError) as error:
            aside.unlink(missing_ok=True)
            raise EdgedragError(f"{run}: cannot be written at step {step} ({error}); the last state is whole") from None

    def log(step: int, figures: dict[str, float]) -> None:
        with log_file.open("a") as file:
            file.write(json.dumps({"step": step, **{k: round(v, 5) for k, v in figures.items()}}) + "\n")

    sums: dict[str, float] = {}
    bar = tqdm(total=config.steps, initial=start, desc=run.name, disable=None if processes.leads else True)
    for step, batch in zip(range(start, config.steps), data(start)):
        for group in optimiser.param_groups:
            group["lr"] = config.rate(step)
        noise = torch.Generator().manual_seed((config.seed * 1_000_003 + step) * processes.count + processes.rank)
        with torch.autocast(config.device.split(":")[0], torch.bfloat16, enabled=config.precision == "bf16"):
            terms = loss(batch.to(torch.device(config.device)), noise)
        total = torch.stack([v.float() for v in terms.values()]).sum()
        optimiser.zero_grad()
        total.backward()
        processes.average_gradients(learning)
        norm = torch.nn.utils.clip_grad_norm_(learning, 1.0)
        if not (torch.isfinite(total) and torch.isfinite(norm)):
            raise EdgedragError(f"the loss is not a number at step {step}; {state_file} is the last good state")
        optimiser.step()
        with torch.no_grad():
            decay = min(config.average, (step + 1) / (step + 10))
            for old, new in zip(averages, learning):
                old.lerp_(new, 1 - decay)
        for name, value in terms.items():
            sums[name] = sums.get(name, 0.0) + float(value.detach())
        done = step + 1
        bar.update()
        if not processes.leads:
            continue
        if done % config.log_every == 0:
            log(done, {k: v / config.log_every for k, v in sums.items()})
            sums = {}
        if done % config.save_every == 0 or done == config.steps:
            save(done)
        if validation is not None and (done % config.validate_every == 0 or done == config.steps):
            log(done, validation.measure(average, run / "samples.png"))
            draw_curves(log_file, run / "curves.png")
    bar.close()
    return run / average.file


def _forget_after(log_file: Path, step: int) -> None:
    """Take out the lines of steps that a resumed run will take again."""
    if log_file.exists():
        kept = [line for line in log_file.read_text().splitlines(True) if json.loads(line)["step"] <= step]
        log_file.write_text("".join(kept))
