"""From weights to bundles."""

from __future__ import annotations

import json
from pathlib import Path

import click

from edgedrag.commands.options import FILE, step_counts
from edgedrag.runtime.errors import InputError


@click.command()
@click.argument("checkpoint", type=FILE, required=False)
@click.option("--random-weights", type=int, metavar="SEED", help="LightningDrag's networks without a checkpoint.")
@click.option("-o", "--output", "bundle", type=FILE, required=True, help="Folder of the bundle to write.")
@click.option("--precision", type=click.Choice(["fp32", "fp16"]), default="fp32", show_default=True)
@click.option("--size", type=click.Choice(["tiny", "full"]), default="full", show_default=True,
              help="Of random weights; a checkpoint has its own.")  # fmt: skip
@click.option("--lora", type=FILE, help="LCM-LoRA to fuse into LightningDrag's denoiser: its file, or its folder.")
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


@click.command()
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
    from edgedrag.runtime.bundle.describe import describe_recipe
    from edgedrag.runtime.photo.picture import Picture, check_output, save_picture

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
