"""From videos to weights."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

import click

from edgedrag.commands.family import Family, json_option
from edgedrag.commands.option_groups import option, option_group, option_groups
from edgedrag.commands.options import FILE, BatchSizes, step_counts

if TYPE_CHECKING:
    from edgedrag.generator.diffusion.contract import Sizes
    from edgedrag.generator.diffusion.objectives import PerceptualLoss

SHARE = click.FloatRange(0, 1)


@click.group(cls=Family)
def learn() -> None:
    """Mine drags from videos, train a teacher, distill a student."""


@option_group
class Mining:
    """What `learn pairs` mines, and where to."""

    cache: Path = option("-o", "--output", type=FILE, required=True, help="Folder for the mined pairs.")
    count: int = option("--count", default=96, show_default=True, help="Pairs of frames to find in each clip.")
    made: int = option(
        "--made", default=48, show_default=True, help="Pairs of synthetic motion from stills of each clip."
    )
    seed: int = option("--seed", default=0, show_default=True)
    workers: int = option("--workers", default=2, show_default=True)
    cluster: str | None = option(
        "--cluster",
        metavar="auto|ray://HOST:PORT",
        help="Mine on so many workers of a Ray cluster (extra [cluster]); auto is this machine's.",
    )
    by_time: bool = option(
        "--by-time", is_flag=True, help="Hold out the last fifth of every clip, not the clips of the split."
    )


@learn.command(extra="export")
@click.argument("videos", nargs=-1, required=True, type=FILE)
@option_groups(mining=Mining)
def pairs(videos: tuple[Path, ...], mining: Mining) -> None:
    """Mine drags from VIDEOS, files or folders. Pairs of frames with their motion, and motion made from stills."""
    from edgedrag.generator.data.mining import MiningSettings, Run, describe, in_processes, mine

    run: Run = in_processes
    if mining.cluster is not None:
        from edgedrag.generator.data.cluster_mining import on_cluster

        run = on_cluster(mining.cluster)
    settings = MiningSettings(mining.count, mining.made, mining.seed, mining.by_time)
    report = mine(videos, mining.cache, settings, mining.workers, run)
    click.echo(describe(report))


def make_perceptual_loss(weight: float, device: str) -> PerceptualLoss | None:
    """ST-LPIPS as a loss; None at weight 0."""
    if not weight:
        return None
    from edgedrag.metrics.stlpips import STLPIPS

    return STLPIPS().to(device).distance


@learn.command(extra="export")
@click.argument("config", type=FILE)
@click.option(
    "-o", "--output", "run", type=FILE, help="Folder of the run; an unfinished run continues.  [default: runs/CONFIG]"
)
def train(config: Path, run: Path | None) -> None:
    """Train a generator as the JSON file CONFIG says. Under `torchrun`, in several processes."""
    from edgedrag.generator.training.trainer import TrainConfig
    from edgedrag.generator.training.trainer import train as train_run

    found = TrainConfig.read(config)
    click.echo(
        train_run(found, run or Path("runs") / config.stem, make_perceptual_loss(found.perceptual, found.device))
    )


@option_group
class Distillation:
    """What `learn distill` trains on, and how."""

    step_counts: str = option(
        "--steps", default="1,2,4", show_default=True, help="Step counts to serve; the least is the default."
    )
    run: Path | None = option(
        "-o", "--output", type=FILE, help="Folder of the run; an unfinished run continues.  [default: runs/student]"
    )
    pairs: Path | None = option(
        "--pairs", type=FILE, help="Folder of mined pairs.  [default: what CHECKPOINT was trained on]"
    )
    teacher_steps: int = option("--teacher-steps", default=16, show_default=True, help="Steps of the teacher's path.")
    updates: int = option("--updates", default=1500, show_default=True, help="Training steps.")
    adversarial: float = option(
        "--adversarial", default=0.0, show_default=True, help="Weight of the adversarial loss; 0 for none."
    )
    perceptual: float = option(
        "--perceptual", default=0.0, show_default=True, help="Weight of the perceptual loss (ST-LPIPS); 0 for none."
    )
    learning_rate: float = option("--learning-rate", default=2e-4, show_default=True)
    start: Path | None = option("--start", type=FILE, help="Checkpoint whose denoiser the student starts from.")
    sizes: Sizes = option(
        "--sizes",
        type=BatchSizes(),
        default=(),
        help="Batches, as PIXELSxROWS:SHARE,...  [default: small ones, for a CPU]",
    )
    device: str = option("--device", default="cpu", show_default=True)
    precision: str = option("--precision", type=click.Choice(["fp32", "bf16"]), default="fp32", show_default=True)
    seed: int = option("--seed", default=0, show_default=True)


@learn.command(extra="export")
@click.argument("checkpoint", type=FILE)
@option_groups(options=Distillation)
def distill(checkpoint: Path, options: Distillation) -> None:
    """Train a few-step student from the teacher CHECKPOINT."""
    from edgedrag.generator.training.distillation import DistillConfig
    from edgedrag.generator.training.distillation import distill as distill_run

    config = DistillConfig(
        steps=options.updates,
        learning_rate=options.learning_rate,
        device=options.device,
        precision=options.precision,
        seed=options.seed,
        student_steps=step_counts(options.step_counts),
        adversarial=options.adversarial,
        perceptual=options.perceptual,
        start=options.start,
        sizes=options.sizes,
        teacher_steps=options.teacher_steps,
    )
    config.check("--steps, --teacher-steps, --perceptual, --sizes")
    loss = make_perceptual_loss(options.perceptual, options.device)
    click.echo(distill_run(checkpoint, config, options.pairs, options.run or Path("runs") / "student", loss))


@option_group
class Finetuning:
    """How `learn finetune` trains, and where to."""

    bundle: Path = option("-o", "--output", type=FILE, required=True, help="Folder of the bundle to write.")
    start: Path | None = option("--start", type=FILE, help="Hold to start from.  [default: the one that ships]")
    updates: int = option("--updates", default=400, show_default=True, help="Training steps.")
    count: int = option("--count", default=96, show_default=True, help="Scenes to find in each clip.")
    seed: int = option("--seed", default=0, show_default=True)


@learn.command(extra="export")
@click.argument("videos", nargs=-1, required=True, type=FILE)
@option_groups(options=Finetuning)
@json_option
def finetune(videos: tuple[Path, ...], options: Finetuning, as_json: bool) -> None:
    """Fine-tune what is held on a site's own VIDEOS. It writes a bundle if the held-out part improved."""
    from edgedrag.export.finetune import describe
    from edgedrag.export.finetune import finetune as finetune_run

    figures = finetune_run(videos, options.bundle, options.start, options.updates, options.count, options.seed)
    click.echo(json.dumps(figures) if as_json else describe(figures))


@learn.command(extra="export")
@click.argument("new", type=FILE)
@click.argument("old", type=FILE)
@click.option("-o", "--output", type=FILE, required=True, help="Checkpoint to write.")
@click.option("--motion", type=SHARE, default=0.5, show_default=True, help="Share of NEW in the motion network.")
@click.option("--denoiser", type=SHARE, default=0.5, show_default=True, help="Share of NEW in all else.")
@click.option(
    "--reveal",
    default=0.0,
    show_default=True,
    help="Added to the bias of the revealed map; more generates more pixels.",
)
def average(new: Path, old: Path, output: Path, motion: float, denoiser: float, reveal: float) -> None:
    """Average the weights of two checkpoints. NEW is one that was trained on from OLD."""
    from edgedrag.generator.training.averaging import average as write_average

    write_average(new, old, motion, denoiser, reveal, output)
    click.echo(str(output))
