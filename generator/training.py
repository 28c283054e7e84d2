"""Training a generator from pairs: the teacher (diffusion), or the one-step baseline (regression)."""

from __future__ import annotations

import json
import os
from dataclasses import dataclass, fields
from pathlib import Path

import torch
from torch import Tensor

from edgedrag.generator.batches import Batch, PairCache, batches
from edgedrag.generator.checkpoint import load_checkpoint
from edgedrag.generator.contract import DragGenerator
from edgedrag.generator.loop import LoopConfig, Processes, learn
from edgedrag.generator.networks.embedded import EmbeddedGenerator
from edgedrag.generator.objectives import OBJECTIVES, Ruler, likeness
from edgedrag.generator.sampling import sample
from edgedrag.generator.validation import Validation
from edgedrag.runtime.errors import InputError

LEARNING = ("all", "motion", "denoiser")


@dataclass
class TrainConfig(LoopConfig):
    """A run; see LoopConfig for the rest.

    Attributes:
        pairs: a folder made by `edgedrag pairs`, with train/ and held_out/.
        objective: "diffusion" or "regression".
        learns: "all", "denoiser" with the motion as it is, or "motion" with the rest as it is.
        start: a checkpoint to start from; "" starts from random weights.
        made: share of the rows with motion made anew from the pairs' own pictures.
        edited: share of the batches whose sources are edits by the network itself, for many rounds.
        sizes: (pixels, batch, share of the steps).
        default_steps: of the sampler, as the checkpoint's bundle will state it.
    """

    pairs: str = ""
    objective: str = "diffusion"
    learns: str = "all"
    start: str = ""
    made: float = 0.3
    edited: float = 0.15
    sizes: tuple[tuple[int, int, float], ...] = ((128, 12, 0.5), (256, 3, 0.5))
    default_steps: int = 16

    @classmethod
    def read(cls, file: Path) -> TrainConfig:
        """Read a JSON config.

        Raises:
            InputError: unreadable, not JSON, or with keys or values that make no run; says which.
        """
        try:
            values = json.loads(file.read_text(encoding="utf-8"))
            unknown = set(values) - {f.name for f in fields(cls)}
        except (OSError, ValueError, TypeError) as error:
            raise InputError(f"{file}: not a training config ({error})") from None
        if unknown or not values.get("pairs"):
            what = f"unknown keys: {', '.join(sorted(unknown))}" if unknown else "'pairs' is missing"
            raise InputError(f"{file}: {what}; known: {', '.join(f.name for f in fields(cls))}")
        if "sizes" in values:
            values["sizes"] = tuple(tuple(size) for size in values["sizes"])
        config = cls(**values)
        config.check(str(file))
        return config

    def check(self, where: str) -> None:
        super().check(where)
        for name, known in (("objective", tuple(OBJECTIVES)), ("learns", LEARNING)):
            if getattr(self, name) not in known:
                raise InputError(f"{where}: {name} is {getattr(self, name)!r}, not one of {', '.join(known)}")
        if not self.sizes or any(len(s) != 3 or s[0] % 32 or s[1] < 1 for s in self.sizes):
            raise InputError(f"{where}: sizes are [pixels (a multiple of 32), batch, share], at least one")
        if abs(sum(s[2] for s in self.sizes) - 1) > 1e-6:
            raise InputError(f"{where}: the shares of sizes must sum to 1")


def set_threads() -> None:
    """As many threads as this process may use cores, unless OMP_NUM_THREADS says otherwise."""
    if "OMP_NUM_THREADS" not in os.environ:
        torch.set_num_threads(len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1)


def train(config: TrainConfig, run: Path, ruler: Ruler | None = None) -> Path:
    """Train the embedded generator, or go on with the run in folder `run`; returns the path of the averaged weights.

    Started by `torchrun`, each process trains on batches of its own and the gradients are averaged.

    Args:
        ruler: what the motion is also judged by, with the config's weight `perceptual`.

    Raises:
        InputError, EdgedragError: as `learn`.
    """
    set_threads()
    torch.manual_seed(config.seed)
    processes = Processes.join(config.device)
    model = load_checkpoint(Path(config.start))[0].train() if config.start else EmbeddedGenerator()
    average = EmbeddedGenerator(model.config)
    if config.learns != "all":
        model.requires_grad_(False)
        for part in model.denoiser_parts() if config.learns == "denoiser" else model.motion_parts():
            part.requires_grad_(True)
    cache = PairCache(Path(config.pairs) / "train")
    notes = {
        "seed": str(config.seed),
        "objective": config.objective,
        "default_steps": str(config.default_steps),
        "pairs": config.pairs,
        "training_data_sha256": cache.digest,
        "training_clips": json.dumps(cache.names),
    }
    held_out = Path(config.pairs) / "held_out"
    validation = None
    if processes.leads and held_out.is_dir():
        validation = Validation(held_out, config.device, (1,) if config.default_steps == 1 else (1, 4))

    def loss(batch: Batch, noise: torch.Generator) -> dict[str, Tensor]:
        terms = losses(model, batch, config.objective, noise, config.learns != "denoiser", ruler)
        return {k: config.perceptual * v if k == "perceptual" else v for k, v in terms.items()}

    return learn(
        model.to(config.device),
        average.to(config.device),
        loss,
        lambda start: batches(cache, config.sizes, config.made, config.edited, (config.seed, processes.rank), start),
        config,
        run,
        processes,
        notes,
        validation,
    )


def losses(
    model: DragGenerator,
    batch: Batch,
    objective: str,
    noise: torch.Generator,
    motion: bool = True,
    ruler: Ruler | None = None,
) -> dict[str, Tensor]:
    """Every term of the loss: the denoiser's by its objective, weighted; unless the motion stays as it is, the
    motion's, weighted, and what a ruler says of the edit. The ruler does not teach the denoiser: a mean that it
    likes is no draw.
    """
    if batch.back_prior_flow is not None:
        batch = edited_sources(model, batch, noise)
    told = model.tell(batch)
    terms, picture = OBJECTIVES[objective](model, batch, told, noise)
    if motion:
        terms |= model.motion_losses(batch, told, picture)
        if ruler is not None:
            terms["perceptual"] = likeness(ruler, model.finish(batch, told, picture.detach()), batch)
    return terms


@torch.no_grad()
def edited_sources(model: DragGenerator, batch: Batch, noise: torch.Generator) -> Batch:
    """The batch with sources that are edits: the target dragged back by the network, as a further round starts from."""
    back = batch.reversed()
    told = model.tell(back)
    edit = model.finish(back, told, model.decode(sample(model, back, told, 1, noise)[-1], told))
    return Batch(**{**vars(batch), "source": edit.clamp(-1, 1), "real": torch.zeros_like(batch.real)})
