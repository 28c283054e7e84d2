"""The command line. Each command imports its room when it is called."""

from __future__ import annotations

import functools
import json
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

import edgedrag
from edgedrag.runtime.backends import NAMES
from edgedrag.runtime.errors import EdgedragError, InputError

if TYPE_CHECKING:
    from edgedrag.generator.objectives import Ruler

FILE = click.Path(path_type=Path)


@dataclass(frozen=True)
class Engine:
    """The options of every command that runs drags."""

    bundle: str
    backend: str
    precision: str
    engines: Path | None
    steps: int | None
    seed: int
    max_megapixels: float

    def open(self) -> tuple[edgedrag.Runtime, float]:
        """Open the runtime; returns it and the milliseconds that took."""
        start = time.perf_counter()
        runtime = edgedrag.open(self.bundle, self.backend, self.precision)
        if self.engines is not None and runtime.backend.name == "cpu":
            click.echo("note: --engines has no effect on the cpu backend", err=True)
        return runtime, (time.perf_counter() - start) * 1e3


ENGINE_OPTIONS = (
    click.option("--bundle", default="embedded", show_default=True, help="A bundle's folder, or a shipped name."),
    click.option("--backend", type=click.Choice(["auto", *NAMES]), default="auto", show_default=True),
    click.option("--precision", type=click.Choice(["auto", "fp32", "fp16", "int8"]), default="auto", show_default=True),
    click.option("--engines", type=FILE, help="Folder of built engines, for the TensorRT backends."),
    click.option("--steps", type=int, help="Denoising steps.  [default: the bundle's]"),
    click.option("--seed", type=int, default=0, show_default=True, help="Same seed, same result."),
    click.option(
        "--max-megapixels", type=float, default=100.0, show_default=True, help="Refuse photos larger than this."
    ),
)


def engine_options(command: Callable[..., None]) -> Callable[..., None]:
    """Add the engine's options to a command, which gets them as one argument `engine`."""

    @functools.wraps(command)
    def with_engine(**values: Any) -> None:
        engine = Engine(**{field.name: values.pop(field.name) for field in fields(Engine)})
        command(engine=engine, **values)

    decorated: Callable[..., None] = with_engine
    for option in reversed(ENGINE_OPTIONS):
        decorated = option(decorated)
    return decorated


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(edgedrag.__version__, prog_name="edgedrag")
def cli() -> None:
    """Edit photos by dragging: grab a point, move it, and the picture changes as the object would.

    Runs on this device alone. Exit codes: 0 done, 2 bad usage or input, 3 no usable engine or
    bundle, 1 anything else.
    """


@cli.command()
@click.argument("photo", type=FILE)
@click.option("--drag", "drags", multiple=True, required=True, metavar="X,Y:X,Y",
              help="Handle and target in pixels of the photo as displayed; repeat for several points.")  # fmt: skip
@click.option(
    "--mask", type=FILE, help="Picture of the photo's size, nonzero = may change.  [default: made from the drags]"
)
@click.option("-o", "--output", type=FILE, help="PNG or WebP (lossless) or JPEG.  [default: ./PHOTO-edited.png]")
@click.option("--sheet", type=FILE, help="Also write before, drag and after side by side.")
@click.option("--mask-out", type=FILE, help="Also write the mask that was used, to correct it and give it as --mask.")
@engine_options
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object on stdout.")
def drag(
    photo: Path,
    drags: tuple[str, ...],
    mask: Path | None,
    output: Path | None,
    sheet: Path | None,
    mask_out: Path | None,
    engine: Engine,
    as_json: bool,
) -> None:
    """Edit PHOTO: what lies at each handle moves to its target.

    \b
    edgedrag drag cat.jpg --drag 120,80:140,80 --mask mask.png -o out.png --sheet sheet.png
    """
    from edgedrag.runtime.drags import parse_drag
    from edgedrag.runtime.jobs import Job, check_outputs, run_job

    output = output or Path(f"{photo.stem}-edited.png")
    pairs = [parse_drag(text) for text in drags]
    job = Job(photo, pairs, output, mask, sheet, mask_out, engine.steps, engine.seed, engine.max_megapixels)
    check_outputs(job)
    runtime, opened_ms = engine.open()
    report = run_job(runtime, job, opened_ms)
    if not report["outside_exact"]:
        click.echo(f"warning: {output}: JPEG changes pixels outside the mask too; write a .png to keep them", err=True)
    if as_json:
        click.echo(json.dumps(report))
        return
    checks = report["checks"]
    click.echo(f"{output}  {checks['verdict']}, {report['timings_ms']['total']:.0f} ms on {report['backend']}")
    for reason in checks["reasons"]:
        click.echo(f"  {reason}")


@cli.command()
@click.argument("jobs", type=FILE, metavar="JOBS.jsonl")
@click.option("-o", "--output", "outdir", type=FILE, required=True, help="Existing folder for NAME.png of each job.")
@engine_options
@click.option("--json", "as_json", is_flag=True, help="Print a line of JSON for each job.")
def batch(
    jobs: Path,
    outdir: Path,
    engine: Engine,
    as_json: bool,
) -> None:
    """Run every drag of JOBS.jsonl; results that exist are kept, so a stopped run goes on.

    \b
    A line: {"name": "a", "image": "a.jpg", "mask": "m.png", "drags": [[[120, 80], [140, 80]]], "seed": 0}
    mask and seed may be left out. A bad job is reported and the rest goes on; exit code 1 then.
    """
    from tqdm import tqdm

    from edgedrag.runtime.image import check_folder
    from edgedrag.runtime.jobs import read_jobs, run_job

    check_folder(outdir)
    listed = list(read_jobs(jobs, outdir, engine.steps, engine.seed, engine.max_megapixels))
    runtime, opened_ms = engine.open()
    failed = skipped = 0
    for name, job in tqdm(listed, desc="drags", unit="drag", file=sys.stderr):
        try:
            if isinstance(job, InputError):
                raise job
            if job.output.exists():
                skipped += 1
                line = {"name": name, "output": str(job.output), "skipped": True}
            else:
                line = {"name": name, **run_job(runtime, job, opened_ms)}
            opened_ms = 0.0
        except Exception as error:  # one job must not take the others with it
            failed += 1
            text = str(error) if isinstance(error, EdgedragError) else f"{type(error).__name__}: {error}"
            tqdm.write(f"error: {name}: {text}", file=sys.stderr)
            line = {"name": name, "error": text}
        if as_json:
            click.echo(json.dumps(line))
    click.echo(f"{len(listed) - failed - skipped} done, {skipped} were there, {failed} failed", err=True)
    if failed:
        sys.exit(1)


@cli.command()
@click.argument("bundle", default="embedded")
@click.option("--cost", is_flag=True, help="What a drag costs: by graph, by schedule, beside the published code.")
def info(bundle: str, cost: bool) -> None:
    """Show what is in BUNDLE (a folder or a shipped name), where it came from, and its figures."""
    from edgedrag.runtime.bundle import open_bundle
    from edgedrag.runtime.cost import describe_cost
    from edgedrag.runtime.describe import describe_bundle

    opened = open_bundle(bundle)
    click.echo(describe_cost(opened) if cost else describe_bundle(opened))


@cli.command()
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object on stdout.")
def doctor(as_json: bool) -> None:
    """Show which engines this machine has, which would be chosen, and why not the others."""
    from edgedrag.runtime.doctor import describe, examine

    facts = examine(edgedrag.__version__)
    click.echo(json.dumps(facts) if as_json else describe(facts))
    if facts["chosen"] is None or not facts["bundle"]["usable"]:
        sys.exit(3)


@cli.command()
@click.argument("videos", nargs=-1, required=True, type=FILE)
@click.option("-o", "--output", "cache", type=FILE, required=True, help="Folder for the mined pairs.")
@click.option("--count", default=96, show_default=True, help="Pairs of frames wanted of each clip.")
@click.option("--made", default=48, show_default=True, help="Pairs of made motion from stills of each clip.")
@click.option("--seed", default=0, show_default=True)
@click.option("--workers", default=2, show_default=True)
@click.option("--by-time", is_flag=True, help="Hold out the last fifth of every clip, not the clips of the split.")
def pairs(videos: tuple[Path, ...], cache: Path, count: int, made: int, seed: int, workers: int, by_time: bool) -> None:
    """Mine drags from VIDEOS (files or folders): frame pairs with their motion, and motion made from stills."""
    from edgedrag.generator.mining import describe, mine

    click.echo(describe(mine(videos, cache, count, made, seed, workers, by_time)))


def step_counts(text: str) -> tuple[int, ...]:
    """ "1,2,4" as numbers, each once, the least first."""
    try:
        counts = tuple(sorted({int(count) for count in text.split(",")}))
    except ValueError:
        raise click.BadParameter(f"{text!r} is not a list of numbers like 1,2,4", param_hint="--steps") from None
    if counts[0] < 1:
        raise click.BadParameter(f"{text!r}: a result takes at least 1 step", param_hint="--steps")
    return counts


def perceptual_ruler(weight: float, device: str) -> Ruler | None:
    """ST-LPIPS as something to learn from; None at weight 0."""
    if not weight:
        return None
    from edgedrag.benchmarks.metrics.stlpips import STLPIPS

    return STLPIPS().to(device).distance


@cli.command()
@click.argument("config", type=FILE)
@click.option(
    "-o", "--output", "run", type=FILE, help="Folder of the run; an unfinished one goes on.  [default: runs/CONFIG]"
)
def train(config: Path, run: Path | None) -> None:
    """Train a generator as CONFIG (JSON) says; under `torchrun`, in several processes."""
    from edgedrag.generator.training import TrainConfig
    from edgedrag.generator.training import train as train_run

    found = TrainConfig.read(config)
    click.echo(train_run(found, run or Path("runs") / config.stem, perceptual_ruler(found.perceptual, found.device)))


@cli.command()
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
    device: str,
    precision: str,
    seed: int,
) -> None:
    """Teach a few-step student from the teacher CHECKPOINT."""
    from edgedrag.generator.distillation import DistillConfig
    from edgedrag.generator.distillation import distill as distill_run

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
        teacher_steps=teacher_steps,
    )
    config.check("--steps, --teacher-steps, --perceptual")
    ruler = perceptual_ruler(perceptual, device)
    click.echo(distill_run(checkpoint, config, pairs, run or Path("runs") / "student", ruler))


@cli.command()
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


@cli.command()
@click.argument("checkpoint", type=FILE, required=False)
@click.option("--random-weights", type=int, metavar="SEED", help="LightningDrag's networks without a checkpoint.")
@click.option("-o", "--output", "bundle", type=FILE, required=True, help="Folder of the bundle to write.")
@click.option("--precision", type=click.Choice(["fp32", "fp16"]), default="fp32", show_default=True)
@click.option("--size", type=click.Choice(["tiny", "full"]), default="full", show_default=True,
              help="Of random weights; a checkpoint has its own.")  # fmt: skip
@click.option("--lora", type=FILE, help="LCM-LoRA to fuse into LightningDrag's denoiser, for few steps.")
@click.option("--small-decoder", type=FILE, help="A small decoder's weights (AutoencoderTiny), in place of the VAE's.")
@click.option("--figures", type=FILE, help="JSON object of measured figures to state in the manifest.")
def export(
    checkpoint: Path | None,
    random_weights: int | None,
    bundle: Path,
    precision: str,
    size: str,
    lora: Path | None,
    small_decoder: Path | None,
    figures: Path | None,
) -> None:
    """Export CHECKPOINT to a bundle of ONNX graphs: a file of the embedded generator, or a folder of LightningDrag."""
    from edgedrag.export.checkpoints import export_checkpoint, export_random

    if (checkpoint is None) == (random_weights is None):
        raise click.UsageError("give one of CHECKPOINT and --random-weights")
    if checkpoint is None:
        export_random(random_weights or 0, size, bundle, precision, small_decoder)
    else:
        stated = json.loads(figures.read_text()) if figures else None
        export_checkpoint(checkpoint, bundle, precision, lora, small_decoder, stated)


@cli.command()
@click.argument("bundle")
@click.option("--drags", type=FILE, help="Real drags: a folder in DragBench's form, or JOBS.jsonl as for `batch`.")
@click.option("--recipe", type=FILE, help="Write what this recipe says instead of measuring anew.")
@click.option("-o", "--output", type=FILE, required=True, help="Folder of the bundle to write.")
@click.option("--budget", default=38.0, show_default=True, help="Least PSNR of results against fp32, in the mask, dB.")
@click.option("--budget-stlpips", default=0.005, show_default=True, help="Largest ST-LPIPS of the same.")
@click.option("--steps", help="Step counts to calibrate at, as 1,2,4.  [default: the bundle's]")
@click.option("--seed", default=0, show_default=True, type=click.IntRange(0), help="Of the noise.")
@click.option("--search", "searched", default=16, show_default=True, type=click.IntRange(1),
              help="Drags that layers are tried on; ranges are taken from all.")  # fmt: skip
@click.option("--measure", default="", metavar="PATTERN",
              help="Try only layers whose graph/name it matches; the others go to INT8 untried.")  # fmt: skip
@click.option("--plot", type=FILE, help="Write a picture of damage against share of INT8.")
@click.option("--max-megapixels", default=100.0, show_default=True, help="Refuse photos larger than this.")
@click.option("--json", "as_json", is_flag=True, help="Print the recipe on stdout.")
def calibrate(
    bundle: str,
    drags: Path | None,
    recipe: Path | None,
    output: Path,
    budget: float,
    budget_stlpips: float,
    steps: str | None,
    seed: int,
    searched: int,
    measure: str,
    plot: Path | None,
    max_megapixels: float,
    as_json: bool,
) -> None:
    """Give BUNDLE variants in INT8, chosen by what they do to real drags; an interrupted call goes on.

    \b
    edgedrag calibrate embedded --drags our_drags.jsonl -o tuned --budget 38
    """
    from edgedrag.runtime.describe import describe_recipe
    from edgedrag.runtime.image import Picture, check_output, save_picture

    if (drags is None) == (recipe is None):
        raise click.UsageError("give one of --drags and --recipe")
    if plot is not None:
        check_output(plot)
    try:
        from edgedrag.calibration.calibrate import Request, apply
        from edgedrag.calibration.calibrate import calibrate as calibrate_run
        from edgedrag.calibration.search import Budget
    except ImportError as error:
        raise InputError(f"{error.name} is not installed: install edgedrag[quality]") from None
    if drags is None:
        assert recipe is not None
        found = apply(bundle, recipe, output)
    else:
        counts = () if steps is None else step_counts(steps)
        limits = Budget(budget, budget_stlpips)
        request = Request(drags, limits, counts, seed, searched, measure, max_megapixels)
        found = calibrate_run(bundle, request, output)
    if plot is not None:
        from edgedrag.calibration.plot import draw_choices

        save_picture(plot, Picture(draw_choices(found)))
    click.echo(json.dumps(found) if as_json else "\n".join([str(output), *describe_recipe(found)]))


@cli.group()
def bench() -> None:
    """Measure latency, quality and what many rounds leave."""


@bench.command()
@engine_options
@click.option("--repeats", default=9, show_default=True, help="Timed drags of each kind.")
@click.option("-o", "--output", type=FILE, help="Write the figures to this JSON file.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object on stdout.")
def latency(
    engine: Engine,
    repeats: int,
    output: Path | None,
    as_json: bool,
) -> None:
    """Time drags on this device: first and further ones, a large photo, the whole process, memory."""
    from edgedrag.benchmarks.latency import describe, measure
    from edgedrag.runtime.image import write_aside

    runtime, opened_ms = engine.open()
    figures = measure(runtime, opened_ms, engine.steps, engine.seed, repeats)
    if output is not None:
        write_aside(output, (json.dumps(figures, indent=1) + "\n").encode())
    click.echo(json.dumps(figures) if as_json else describe(figures))


@bench.command()
@click.option("--pairs", type=FILE, help="Folder of mined pairs: compare with the true frames of CACHE/held_out.")
@click.option("--dragbench", type=FILE, help="Folder of samples in DragBench's form: see where the content went.")
@click.option("--per-clip", default=12, show_default=True, type=click.IntRange(1),
              help="Pairs of real frames of each clip; each kind of made motion gets a quarter.")  # fmt: skip
@click.option("--compare", multiple=True, metavar="NAME=BUNDLE", help="A further bundle in the table; repeatable.")
@click.option("--weights", type=FILE, help="Folder of the metric networks' weights.  [default: of their packages]")
@engine_options
@click.option("-o", "--output", type=FILE, help="Write the figures to this JSON file.")
@click.option("--sheet", type=FILE, help="Write a picture of results side by side.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object on stdout.")
def quality(
    pairs: Path | None,
    dragbench: Path | None,
    per_clip: int,
    compare: tuple[str, ...],
    weights: Path | None,
    engine: Engine,
    output: Path | None,
    sheet: Path | None,
    as_json: bool,
) -> None:
    """Compare edits with the true frames of held-out clips, or judge them on drags without a truth; and baselines."""
    from edgedrag.benchmarks.quality import Request, describe, measure
    from edgedrag.runtime.image import Picture, check_folder, check_output, save_picture, write_aside

    if (pairs is None) == (dragbench is None):
        raise click.UsageError("give one of --pairs and --dragbench")
    further = dict(text.partition("=")[::2] for text in compare)
    if not all(further) or not all(further.values()):
        raise click.BadParameter("write it as NAME=BUNDLE", param_hint="--compare")
    if sheet is not None:
        check_output(sheet)
    if output is not None:
        check_folder(output.parent)
    runtime, _ = engine.open()
    relatives = engine.bundle == "embedded"
    figures, picture = measure(
        runtime,
        Request(
            pairs, dragbench, weights, per_clip, further, relatives, engine.steps, engine.seed, engine.max_megapixels
        ),
    )
    if output is not None:
        write_aside(output, (json.dumps(figures, indent=1) + "\n").encode())
    if sheet is not None:
        save_picture(sheet, Picture(picture))
    click.echo(json.dumps(figures) if as_json else describe(figures))


@bench.command()
@click.argument("photos", nargs=-1, required=True, type=FILE)
@click.option("--rounds", default=10, show_default=True, help="Drags and inverses in all, an even number.")
@click.option("--seeds", default=3, show_default=True, type=click.IntRange(1), help="Random sequences of each photo.")
@engine_options
@click.option("-o", "--output", type=FILE, help="Write the figures to this JSON file.")
@click.option("--sheet", type=FILE, help="Write a picture of what is left of each photo.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object on stdout.")
def rounds(
    photos: tuple[Path, ...],
    rounds: int,
    seeds: int,
    engine: Engine,
    output: Path | None,
    sheet: Path | None,
    as_json: bool,
) -> None:
    """Drag PHOTOS forth and back, many times: what is left of them, and of a chain of single edits."""
    from edgedrag.benchmarks.rounds import describe, measure
    from edgedrag.runtime.image import Picture, check_folder, check_output, save_picture, write_aside

    if sheet is not None:
        check_output(sheet)
    if output is not None:
        check_folder(output.parent)
    runtime, _ = engine.open()
    figures, picture = measure(runtime, photos, rounds, seeds, engine.steps, engine.seed, engine.max_megapixels)
    if output is not None:
        write_aside(output, (json.dumps(figures, indent=1) + "\n").encode())
    if sheet is not None:
        save_picture(sheet, Picture(picture))
    click.echo(json.dumps(figures) if as_json else describe(figures))


def main() -> None:
    """The console script: messages for people, no traceback for what they can mend."""
    try:
        sys.exit(cli.main(standalone_mode=False) or 0)
    except click.ClickException as error:
        error.show()
        sys.exit(error.exit_code)
    except EdgedragError as error:
        click.echo(f"error: {error}", err=True)
        sys.exit(error.exit_code)
    except (click.Abort, KeyboardInterrupt):
        click.echo("interrupted", err=True)
        sys.exit(1)
