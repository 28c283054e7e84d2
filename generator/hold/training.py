"""Training a hold from scenes: a config and a folder; an unfinished run goes on."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import ClassVar

import torch
from torch import Tensor

from edgedrag.generator.hold.backbone import BLOCKS, load_published
from edgedrag.generator.hold.batches import HoldBatch, SceneSet, batches
from edgedrag.generator.hold.checkpoint import load_hold
from edgedrag.generator.hold.measure import HoldValidation
from edgedrag.generator.hold.network import Hold
from edgedrag.generator.hold.objective import hold_losses
from edgedrag.generator.hold.scenes import CLIPS, KINDS
from edgedrag.generator.training.config import LoopConfig
from edgedrag.generator.training.learner import Task
from edgedrag.generator.training.loop import learn
from edgedrag.generator.training.processes import Processes
from edgedrag.generator.training.trainer import set_threads
from edgedrag.runtime.errors import InputError


@dataclass
class HoldConfig(LoopConfig):
    """A run; see LoopConfig for the rest.

    Attributes:
        scenes: a folder with train/ and held_out/, as `pack` writes it.
        start: a checkpoint of a hold to go on from; "" starts from random weights, and `backbone`.
        backbone: the published weights of EfficientNet-Lite0; "" starts it from random weights too.
        frozen: how many of the backbone's blocks, and the convolution before them, stay as they are.
        slowness: share of the rate at which its other blocks learn.
        shares: of the kinds of scenes in the batches.
        size, rows, points: of a batch: pixels of a picture (a multiple of 32), pictures, points of each.
    """

    DATA: ClassVar[str] = "scenes"

    scenes: str = ""
    start: str = ""
    backbone: str = ""
    frozen: int = len(BLOCKS)
    slowness: float = 0.05
    shares: dict[str, float] = field(default_factory=lambda: {CLIPS: 0.5, "composites": 0.3, "stills": 0.2})
    size: int = 160
    rows: int = 8
    points: int = 3

    def check(self, where: str) -> None:
        super().check(where)
        if self.size % 32 or min(self.size, self.rows, self.points) < 1:
            raise InputError(f"{where}: size is a multiple of 32, rows and points are whole numbers from 1 on")
        if not 0 <= self.frozen <= len(BLOCKS) or not self.slowness > 0:
            raise InputError(f"{where}: frozen is from 0 to {len(BLOCKS)} blocks, slowness a share of the rate above 0")
        strange = set(self.shares) - {CLIPS, *KINDS}
        if strange or not sum(self.shares.values()) > 0 or min(self.shares.values()) < 0:
            raise InputError(f"{where}: shares are numbers from 0 on for {', '.join((CLIPS, *KINDS))}")


def train_hold(config: HoldConfig, run: Path) -> Path:
    """Train a hold, or go on with the run in folder `run`; returns the path of the averaged weights.

    Raises:
        InputError, EdgedragError: as `learn`.
    """
    set_threads()
    torch.manual_seed(config.seed)
    model = load_hold(Path(config.start))[0] if config.start else Hold()
    if config.backbone and not config.start:
        load_published(model.features.backbone, Path(config.backbone))
    model.train()
    backbone = model.features.backbone
    backbone.requires_grad_(False)
    later = backbone.blocks[config.frozen :].requires_grad_(True)
    scenes = SceneSet(Path(config.scenes) / "train")
    held_out = Path(config.scenes) / "held_out"
    metadata = {"seed": str(config.seed), "scenes": str(len(scenes)), "training_data_sha256": scenes.digest}

    def loss(batch: HoldBatch, noise: torch.Generator) -> dict[str, Tensor]:
        return hold_losses(model(batch.pictures, batch.points, batch.picture_of), batch.maps, batch.parts_known)

    task = Task(
        model.to(config.device),
        loss,
        lambda start: batches(scenes, config.shares, config.size, config.rows, config.points, config.seed, start),
        metadata,
        HoldValidation(held_out) if held_out.is_dir() else None,
        slow=(list(later.parameters()), config.slowness),
    )
    return learn(task, config, run, Processes.join(config.device))
