"""The common configuration of training and distillation."""

from __future__ import annotations

import json
import math
from dataclasses import dataclass, fields
from pathlib import Path
from typing import ClassVar, TypeVar

import torch

from edgedrag.runtime.errors import InputError

Config = TypeVar("Config", bound="LoopConfig")
PRECISIONS = {"fp32": torch.float32, "bf16": torch.bfloat16}


@dataclass
class LoopConfig:
    """Configuration of the training loop.

    Attributes:
        steps, warmup: optimiser steps; the rate rises linearly over `warmup`, then falls by a cosine to 2%.
        average: decay of the weights' moving average.
        perceptual: weight of the perceptual loss (`objectives.perceptual_distance`); 0 leaves it out.
        precision: "fp32", or "bf16" if the device supports it.
        device: "cpu" or "cuda".
        log_every, save_every, validate_every: in steps.
        DATA: the attribute with the folder of training data, which a config file must have.
    """

    DATA: ClassVar[str] = ""

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

    @classmethod
    def read(cls: type[Config], file: Path) -> Config:
        """Read a JSON config.

        Raises:
            InputError: the file is unreadable or no JSON object, or has unknown keys or invalid values; says which.
        """
        known = [f.name for f in fields(cls)]
        try:
            values = json.loads(file.read_text(encoding="utf-8"))
        except (OSError, ValueError) as error:
            raise InputError(f"{file}: not a training config ({error})") from None
        if not isinstance(values, dict):
            raise InputError(f'{file}: not a training config: a JSON object is needed, like {{"{cls.DATA}": ...}}')
        unknown = set(values) - set(known)
        if unknown or not values.get(cls.DATA):
            what = f"unknown keys: {', '.join(sorted(unknown))}" if unknown else f"'{cls.DATA}' is missing"
            raise InputError(f"{file}: {what}; known: {', '.join(known)}")
        config = cls(**values)
        config.check(str(file))
        return config

    def check(self, where: str) -> None:
        """Raise InputError for invalid values."""
        if not self.perceptual >= 0:
            raise InputError(f"{where}: perceptual is {self.perceptual!r}, not a weight of 0 or more")
        for name in ("steps", "warmup", "log_every", "save_every", "validate_every"):
            if not isinstance(getattr(self, name), int) or getattr(self, name) < 1:
                raise InputError(f"{where}: {name} is {getattr(self, name)!r}, not a positive whole number")
        if not self.learning_rate > 0 or not 0 <= self.average < 1:
            raise InputError(f"{where}: learning_rate must be above 0, average at least 0 and below 1")
        if self.precision not in PRECISIONS:
            raise InputError(f"{where}: precision is {self.precision!r}, not one of {', '.join(PRECISIONS)}")
        if self.device.startswith("cuda") and not torch.cuda.is_available():
            raise InputError(f"{where}: device is {self.device!r}, but this machine has no CUDA GPU; use 'cpu'")

    def rate(self, step: int) -> float:
        if step < self.warmup:
            return self.learning_rate * (step + 1) / self.warmup
        progress = (step - self.warmup) / max(1, self.steps - self.warmup)
        return self.learning_rate * (0.02 + 0.49 * (1 + math.cos(math.pi * min(progress, 1.0))))
