"""From videos to weights."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

import click

from edgedrag.commands.options import FILE, BatchSizes, step_counts

if TYPE_CHECKING:
    from edgedrag.generator.diffusion.contract import Sizes
    from edgedrag.generator.diffusion.objectives import PerceptualLoss

SHARE = click.FloatRange(0, 1)


@click.command()
@click.argument("videos", nargs=-1, required=True, type=FILE)
@click.option("-o", "--output", "cache", type=FILE, required=True, help="Folder for the mined pairs.")
@click.option("--count", default=96, show_default=True, help="Pairs of frames wanted of each clip.")
@click.option("--made", default=48, show_default=True, help="Pairs of made motion from stills of each clip.")
@click.option("--seed", default=0, show_default=True)
@click.option("--workers", default=2, show_default=True)
@click.option("--by-time", is_flag=True, help="Hold out the last fifth of every clip, not the clips of the split.")
def pairs(videos: tuple[Path, ...], cache: Path, count: int, made: int, seed: int, workers: int, by_time: bool) -> None:
    """Mine drags from VIDEOS (files or folders): frame pairs with their motion, and motion made from stills."""
    from edgedrag.generator.data.mining import describe, mine

    click.echo(describe(mine(videos, cache, count, made, seed, workers, by_time)))


def make_perceptual_loss(weight: float, device: str) -> PerceptualLoss | None:
    """ST-LPIPS as a training loss; None at weight 0."""
    if not weight:
        return None
    from edgedrag.metrics.stlpips import STLPIPS

    return STLPIPS().to(device).distance


@click.command()
@click.argument("config", type=FILE)
@click.option(
    "-o", "--output", "run", type=FILE, help="Folder of the run; an unfinished one goes on.  [default: runs/CONFIG]"
)
def train(config: Path, run: Path | None) -> None:
    """Train a generator as CONFIG (JSON) says; under `torchrun`, in several processes."""
    from edgedrag.generator.training.trainer import TrainConfig
    from edgedrag.generator.training.trainer import train as train_run

    found = TrainConfig.read(config)
    click.echo(
        train_run(found, run or Path("runs") / config.stem, make_perceptual_loss(found.perceptual, found.device))
    )


@click.command()
@click.argument("checkpoint", type=FILE)
@click.option(
    "--steps", "steps", default="1,2,4", show_default=True, help="Step counts to serve; the least is the default."
)
@click.option(
    "-o", "--output", "run", type=FILE, help="Folder of the run; an unfinished one goes on.  [default: runs/student]"
)
@click.option("--pairs", type=FILE, help="Folder of mined pairs.  [default: what CHECKPOINT was trained on]")
@click.option("--teacher-steps", default=16, show_default=True, help="Steps of the teacher's path.")
@click.option("--updates", default=1500, show_default=True, help="Training steps.")
@click.option("--adversarial", default=0.0, show_default=True, help="Weight of a critic of what is drawn; 0 for none.")
@click.option("--perceptual", default=0.0, show_default=True, help="Weight of ST-LPIPS to the truth; 0 for none.")
@click.option("--learning-rate", default=2e-4, show_default=True)
@click.option("--start", type=FILE, help="Checkpoint whose denoiser the student begins with, to go on from it.")
@click.option(
    "--sizes", type=BatchSizes(), default=(), help="Batches, as PIXELSxROWS:SHARE,...  [default: small ones, for a CPU]"
)
@click.option("--device", default="cpu", show_default=True)
@click.option("--precision", type=click.Choice(["fp32", "bf16"]), default="fp32", show_default=True)
@click.option("--seed", default=0, show_default=True)
def distill(
    checkpoint: Path,
    steps: str,
    run: Path | None,
    pairs: Path | None,
    teacher_steps: int,
    updates: int,
    adversarial: float,
    perceptual: float,
    learning_rate: float,
    start: Path | None,
    sizes: Sizes,
    device: str,
    precision: str,
    seed: int,
) -> None:
    """Teach a few-step student from the teacher CHECKPOINT."""
    from edgedrag.generator.training.distillation import DistillConfig
    from edgedrag.generator.training.distillation import distill as distill_run

    counts = step_counts(steps)
    config = DistillConfig(
        steps=updates,
        learning_rate=learning_rate,
        device=device,
        precision=precision,
        seed=seed,
        student_steps=counts,
        adversarial=adversarial,
        perceptual=perceptual,
        start=start,
        sizes=sizes,
        teacher_steps=teacher_steps,
    )
    config.check("--steps, --teacher-steps, --perceptual, --sizes")
    perceptual_loss = make_perceptual_loss(perceptual, device)
    click.echo(distill_run(checkpoint, config, pairs, run or Path("runs") / "student", perceptual_loss))


@click.command()
@click.argument("new", type=FILE)
@click.argument("old", type=FILE)
@click.option("-o", "--output", type=FILE, required=True, help="Checkpoint to write.")
@click.option("--motion", type=SHARE, default=0.5, show_default=True, help="Share of NEW in the motion network.")
@click.option("--denoiser", type=SHARE, default=0.5, show_default=True, help="Share of NEW in all else.")
@click.option("--reveal", default=0.0, show_default=True, help="Added to the revealed map's bias; more draws more.")
def average(new: Path, old: Path, output: Path, motion: float, denoiser: float, reveal: float) -> None:
    """Write the mean of the weights of two checkpoints, NEW and the OLD one that it was trained on from."""
    from edgedrag.generator.training.averaging import average as write_average

    write_average(new, old, motion, denoiser, reveal, output)
    click.echo(str(output))


@click.command()
@click.argument("videos", nargs=-1, required=True, type=FILE)
@click.option("-o", "--output", "bundle", type=FILE, required=True, help="Folder of the bundle to write.")
@click.option("--start", type=FILE, help="Checkpoint to start from.  [default: the one that ships]")
@click.option("--updates", default=400, show_default=True, help="Training steps.")
@click.option("--count", default=96, show_default=True, help="Pairs of frames wanted of each clip.")
@click.option("--seed", default=0, show_default=True)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object on stdout.")
def finetune(
    videos: tuple[Path, ...], bundle: Path, start: Path | None, updates: int, count: int, seed: int, as_json: bool
) -> None:
    """Tune the shipped generator to a site's own VIDEOS and write a bundle, if it got better on their last part."""
    from edgedrag.export.finetune import describe
    from edgedrag.export.finetune import finetune as finetune_run

    figures = finetune_run(videos, bundle, start, updates, count, seed)
    click.echo(json.dumps(figures) if as_json else describe(figures))
