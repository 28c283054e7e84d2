"""Training a generator on pairs: a diffusion model, or the one-step regression baseline."""

from __future__ import annotations

import json
import os
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import torch
from torch import Tensor

from edgedrag.generator.data.batches import Batch, PairCache, TrainingBatches
from edgedrag.generator.diffusion.contract import DragGenerator, Sizes
from edgedrag.generator.diffusion.objectives import OBJECTIVES, PerceptualLoss, perceptual_distance
from edgedrag.generator.diffusion.sampling import sample
from edgedrag.generator.networks.embedded import EmbeddedGenerator
from edgedrag.generator.training.checkpoint import load_checkpoint
from edgedrag.generator.training.config import LoopConfig
from edgedrag.generator.training.learner import Task
from edgedrag.generator.training.loop import learn
from edgedrag.generator.training.processes import Processes
from edgedrag.generator.training.validation import Validation
from edgedrag.runtime.errors import InputError

LEARNING = ("all", "motion", "denoiser")
CLEAR = 0.7  # alpha above which a row counts as having little noise
GENERATORS = ("embedded", "lightningdrag-sd15")


@dataclass
class TrainConfig(LoopConfig):
    """Configuration of a training run; see LoopConfig for the other attributes.

    Attributes:
        pairs: a folder written by `edgedrag learn pairs`, with train/ and held_out/.
        generator: "embedded" or "lightningdrag-sd15".
        objective: "diffusion" or "regression".
        learns: the trained parts: "all", "denoiser" or "motion"; the others stay frozen.
        start: the initial checkpoint; "" starts the embedded generator from random weights. For LightningDrag a
            folder; if `lightning-drag-sd15` is missing in it, training starts as the paper's did.
        made: share of the rows with new synthetic motion.
        edited: share of the batches whose sources are the network's own edits, to train repeated editing.
        sizes: (pixels, batch, share of the steps); the generator's defaults if empty.
        default_steps: the sampler's default steps, stored in the checkpoint.
    """

    DATA: ClassVar[str] = "pairs"

    pairs: str = ""
    generator: str = "embedded"
    objective: str = "diffusion"
    learns: str = "all"
    start: str = ""
    made: float = 0.3
    edited: float = 0.15
    sizes: Sizes = ()
    default_steps: int = 16

    def check(self, where: str) -> None:
        super().check(where)
        for name, known in (("generator", GENERATORS), ("objective", tuple(OBJECTIVES)), ("learns", LEARNING)):
            if getattr(self, name) not in known:
                raise InputError(f"{where}: {name} is {getattr(self, name)!r}, not one of {', '.join(known)}")
        check_sizes(self.sizes, where)
        if self.generator == "lightningdrag-sd15":
            if not Path(self.start).is_dir() or not self.start:
                raise InputError(f"{where}: start is {self.start!r}, not a folder with LightningDrag's base weights")
            if self.objective != "diffusion" or self.learns != "all":
                raise InputError(f'{where}: lightningdrag-sd15 has objective "diffusion" and learns "all"')
            if any(s[0] % 64 for s in self.sizes):
                raise InputError(f"{where}: the pixels of lightningdrag-sd15's sizes are multiples of 64")


def check_sizes(sizes: Sizes, where: str) -> None:
    """Raise InputError for invalid batch sizes."""
    if any(len(s) != 3 or s[0] % 32 or s[1] < 1 for s in sizes):
        raise InputError(f"{where}: sizes are [pixels (a multiple of 32), batch, share]")
    if sizes and abs(sum(s[2] for s in sizes) - 1) > 1e-6:
        raise InputError(f"{where}: the shares of sizes must sum to 1")


def set_threads() -> None:
    """Let PyTorch use all cores available to this process, unless OMP_NUM_THREADS is set."""
    if "OMP_NUM_THREADS" not in os.environ:
        torch.set_num_threads(len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1)


def train(config: TrainConfig, run: Path, perceptual_loss: PerceptualLoss | None = None) -> Path:
    """Train a generator, or resume the run in the folder `run`; returns the path of the averaged weights.

    Under `torchrun`, each process trains on its own batches and the gradients are averaged.

    Args:
        perceptual_loss: a further loss of the edit, with the config's weight `perceptual`.

    Raises:
        InputError, EdgedragError: as `learn`.
    """
    set_threads()
    torch.manual_seed(config.seed)
    processes = Processes.join(config.device)
    model = start_of(config).train()
    if config.learns != "all":
        model.requires_grad_(False)
        for part in model.denoiser_parts() if config.learns == "denoiser" else model.motion_parts():
            part.requires_grad_(True)
    sizes = config.sizes or model.sizes
    cache = PairCache(Path(config.pairs) / "train")
    metadata = {
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
        terms = losses(model, batch, config.objective, noise, config.learns, perceptual_loss)
        return {k: config.perceptual * v if k in ("perceptual", "drawn") else v for k, v in terms.items()}

    data = TrainingBatches(cache, sizes, config.made, config.edited, (config.seed, processes.rank))
    workers = processes.batch_makers(config.device)
    task = Task(model, loss, lambda start: data.from_step(start, workers), metadata, validation)
    return learn(task, config, run, processes)


def start_of(config: TrainConfig) -> DragGenerator:
    """The generator with a config's initial weights."""
    if config.generator == "lightningdrag-sd15":
        from edgedrag.generator.networks.lightningdrag.generator import start_lightningdrag

        return start_lightningdrag(Path(config.start))
    return load_checkpoint(Path(config.start))[0] if config.start else EmbeddedGenerator()


def losses(
    model: DragGenerator,
    batch: Batch,
    objective: str,
    noise: torch.Generator,
    learns: str = "all",
    perceptual_loss: PerceptualLoss | None = None,
) -> dict[str, Tensor]:
    """Weighted terms of the loss; their sum is minimised.

    The denoiser's terms are those of `objective`. Where the motion is trained, its own terms are added, with the
    perceptual distance of the edit ("perceptual"). The generator's picture has a perceptual term ("drawn") in rows
    with little noise only: on noisy rows a perceptual loss would reward a blurry average, so it is skipped.
    """
    if batch.back_prior_flow is not None:
        batch = edited_sources(model, batch, noise)
    conditioning = model.conditioning(batch)
    terms, latent, seen = OBJECTIVES[objective](model, batch, conditioning, noise)
    clear = (seen.flatten() > CLEAR).nonzero().flatten()
    with_motion = learns != "denoiser" and model.motion_parts()
    judge = perceptual_loss if learns != "motion" and len(clear) else None
    if not with_motion and judge is None:
        return terms
    picture = model.decode(latent, conditioning)
    if with_motion:
        terms |= model.motion_losses(batch, conditioning, picture)
        if perceptual_loss is not None:
            terms["perceptual"] = perceptual_distance(
                perceptual_loss, model.finish(batch, conditioning, picture.detach()), batch
            )
    if judge is not None:
        terms["drawn"] = perceptual_distance(judge, model.as_shown(batch, conditioning, picture), batch, clear)
    return terms


@torch.no_grad()
def edited_sources(model: DragGenerator, batch: Batch, noise: torch.Generator) -> Batch:
    """The batch with its sources replaced by edits: the targets, dragged back by the network."""
    back = batch.reversed()
    conditioning = model.conditioning(back)
    edit = model.finish(back, conditioning, model.decode(sample(model, back, conditioning, 1, noise)[-1], conditioning))
    return Batch(**{**vars(batch), "source": edit.clamp(-1, 1), "real": torch.zeros_like(batch.real)})
