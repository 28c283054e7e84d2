"""One training run of the embedded generator: losses, optimiser, checkpoints, log.

RUN/weights.safetensors holds the averaged weights rounded to fp16, as they ship; RUN/state.pt all
that a resumed run needs; RUN/log.jsonl a line every `log_every` steps. Every file is written aside and renamed.
"""

from __future__ import annotations

import json
import math
import os
from dataclasses import dataclass, fields
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor
from tqdm import tqdm

from edgedrag.generator.batches import Batch, PairCache, batches
from edgedrag.generator.checkpoint import save_checkpoint
from edgedrag.generator.networks.embedded import FOLD, EmbeddedGenerator, warp
from edgedrag.generator.schedule import alphas_and_sigmas
from edgedrag.runtime.errors import EdgedragError, InputError


@dataclass
class TrainConfig:
    """A run. `sizes` are (pixels, batch, share of the steps)."""

    pairs: str
    steps: int = 4000
    learning_rate: float = 4e-4
    warmup: int = 100
    average: float = 0.998
    seed: int = 0
    sizes: tuple[tuple[int, int, float], ...] = ((128, 12, 0.5), (256, 3, 0.5))
    log_every: int = 50
    save_every: int = 250

    @classmethod
    def read(cls, file: Path) -> TrainConfig:
        """Read a JSON config.

        Raises:
            InputError: unreadable, not JSON, or with keys that are none of the fields above.
        """
        try:
            values = json.loads(file.read_text(encoding="utf-8"))
            unknown = set(values) - {f.name for f in fields(cls)}
        except (OSError, ValueError, TypeError) as error:
            raise InputError(f"{file}: not a training config ({error})") from None
        if unknown or "pairs" not in values:
            what = f"unknown keys: {', '.join(sorted(unknown))}" if unknown else "'pairs' is missing"
            raise InputError(f"{file}: {what}; known: {', '.join(f.name for f in fields(cls))}")
        if "sizes" in values:
            values["sizes"] = tuple(tuple(size) for size in values["sizes"])
        return cls(**values)


def masked_mean(value: Tensor, weight: Tensor) -> Tensor:
    """Mean of [B, C, H, W] under a weight [B, 1, H, W]."""
    return (value * weight).sum() / (weight.sum() * value.shape[1] + 1e-6)


def gradients(x: Tensor) -> tuple[Tensor, Tensor]:
    return x[..., :, 1:] - x[..., :, :-1], x[..., 1:, :] - x[..., :-1, :]


def edge_loss(a: Tensor, b: Tensor, weight: Tensor) -> Tensor:
    """L1 between the two pictures' horizontal and vertical differences."""
    (ax, ay), (bx, by) = gradients(a), gradients(b)
    return masked_mean((ax - bx).abs(), weight[..., :, 1:]) + masked_mean((ay - by).abs(), weight[..., 1:, :])


def losses(model: EmbeddedGenerator, batch: Batch, generator: torch.Generator) -> dict[str, Tensor]:
    """Every term of the loss, already weighted, and `psnr_*` figures for the log.

    The motion is taught by the measured flow and by the picture it makes; the revealed map by where
    forward and backward flow disagree, and by which of warp and generator is nearer the truth; the
    denoiser predicts the clean latent from a random noise level, the first step's levels more often,
    and what is revealed counts most.
    """
    features = model.encoder(batch.source)
    flow, revealed = model.motion(*features, batch.mask, batch.points, batch.prior_flow)
    warped = warp(batch.source, flow)

    alphas, sigmas = alphas_and_sigmas()
    count = len(batch.mask)
    timestep = torch.randint(0, 1000, (count,), generator=generator)
    late = torch.rand(count, generator=generator) < 0.5
    timestep = torch.where(late, timestep // 4 + 750, timestep)
    clean = F.pixel_unshuffle(batch.target, FOLD)
    noise = torch.randn(clean.shape, generator=generator)
    alpha, sigma = (torch.from_numpy(v).float()[timestep][:, None, None, None] for v in (alphas, sigmas))
    told = model.condition(
        batch.source, features[0], batch.mask, flow.detach(), revealed.detach(), noise, torch.zeros(3)
    )
    warped_latent, c4, c8, c16, _ = told
    predicted = model.denoiser.predict(alpha * clean + sigma * noise, warped_latent, c4, c8, c16, timestep.float())
    picture = model.decoder(predicted)

    blended = warped + revealed * (picture.detach() - warped)
    mask, inside = batch.mask, batch.mask * batch.valid
    hidden = 1 - batch.valid
    need = mask * (0.15 + hidden)
    at_targets = (batch.points[..., 2:].round().clamp(0, flow.shape[-1] - 1)).long()
    flat = at_targets[..., 1] * flow.shape[-1] + at_targets[..., 0]
    landed = flow.flatten(2).gather(2, flat[:, None].expand(-1, 2, -1)).transpose(1, 2)
    wanted = batch.points[..., :2] - batch.points[..., 2:]

    def psnr(image: Tensor) -> Tensor:
        error = ((image - batch.target) ** 2 * mask).sum((1, 2, 3)) / (3 * mask.sum((1, 2, 3)) + 1e-6)
        return (10 * torch.log10(4.0 / error.clamp_min(1e-6))).mean()

    return {
        "flow": 0.03 * masked_mean((flow - batch.flow).abs().clamp_max(32), inside),
        "landing": 0.03 * (landed - wanted).abs().clamp_max(32).mean(),
        "warp": masked_mean((warped - batch.target).abs(), inside) + 0.5 * edge_loss(warped, batch.target, inside),
        "blend": masked_mean((blended - batch.target).abs(), mask) + 0.5 * edge_loss(blended, batch.target, mask),
        "revealed": 0.05
        * masked_mean(F.binary_cross_entropy(revealed.clamp(1e-4, 1 - 1e-4), hidden, reduction="none"), mask),
        "denoise": masked_mean((picture - batch.target).abs(), need) + 0.5 * edge_loss(picture, batch.target, need),
        "psnr_prior": psnr(warp(batch.source, batch.prior_flow)).detach(),
        "psnr_warp": psnr(warped).detach(),
        "psnr_blend": psnr(blended).detach(),
    }


def learning_rate(config: TrainConfig, step: int) -> float:
    """Linear warm-up, then a cosine to 2% at the last step."""
    if step < config.warmup:
        return config.learning_rate * (step + 1) / config.warmup
    progress = (step - config.warmup) / max(1, config.steps - config.warmup)
    return config.learning_rate * (0.02 + 0.49 * (1 + math.cos(math.pi * min(progress, 1.0))))


def train(config: TrainConfig, run: Path, threads: int = 2) -> Path:
    """Train, or go on with the run in folder `run`; returns the path of the averaged weights.

    Raises:
        EdgedragError: the loss is not a number; the last saved state is whole.
    """
    torch.set_num_threads(threads)
    torch.manual_seed(config.seed)
    run.mkdir(parents=True, exist_ok=True)
    model = EmbeddedGenerator()
    average = EmbeddedGenerator()
    average.load_state_dict(model.state_dict())
    optimiser = torch.optim.AdamW(model.parameters(), lr=config.learning_rate, weight_decay=1e-4, betas=(0.9, 0.98))
    state_file, start = run / "state.pt", 0
    if state_file.exists():
        state = torch.load(state_file, weights_only=True)
        model.load_state_dict(state["model"])
        average.load_state_dict(state["average"])
        optimiser.load_state_dict(state["optimiser"])
        start = state["step"]

    def save(step: int) -> None:
        aside = state_file.with_suffix(".partial")
        state = {"model": model.state_dict(), "average": average.state_dict(), "step": step}
        torch.save({**state, "optimiser": optimiser.state_dict()}, aside)
        os.replace(aside, state_file)
        save_checkpoint(average, run / "weights.safetensors", {**notes, "steps": str(step)}, torch.float16)

    cache = PairCache(Path(config.pairs))
    notes = {"seed": str(config.seed), "training_data_sha256": cache.digest}
    figures: dict[str, float] = {}
    with (run / "log.jsonl").open("a") as log, tqdm(total=config.steps, initial=start, desc="steps") as bar:
        for step, batch in zip(range(start, config.steps), batches(cache, list(config.sizes), config.seed, start)):
            for group in optimiser.param_groups:
                group["lr"] = learning_rate(config, step)
            terms = losses(model, batch, torch.Generator().manual_seed(config.seed * 1_000_003 + step))
            loss = torch.stack([v for k, v in terms.items() if not k.startswith("psnr")]).sum()
            if not torch.isfinite(loss):
                raise EdgedragError(f"the loss is not a number at step {step}; {state_file} is the last good state")
            optimiser.zero_grad()
            loss.backward()
            torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
            optimiser.step()
            with torch.no_grad():
                decay = min(config.average, (step + 1) / (step + 10))
                for old, new in zip(average.parameters(), model.parameters()):
                    old.lerp_(new, 1 - decay)
            for name, value in terms.items():
                figures[name] = figures.get(name, 0.0) + float(value.detach()) / config.log_every
            bar.update()
            if (step + 1) % config.log_every == 0:
                log.write(json.dumps({"step": step + 1, **{k: round(v, 4) for k, v in figures.items()}}) + "\n")
                log.flush()
                figures = {}
            if (step + 1) % config.save_every == 0 or step + 1 == config.steps:
                save(step + 1)
    return run / "weights.safetensors"
