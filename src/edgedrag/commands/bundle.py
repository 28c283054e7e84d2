"""From weights to bundles, and what is in a bundle."""

from __future__ import annotations

import json
from pathlib import Path

import click

from edgedrag.commands.family import Family
from edgedrag.commands.info import info
from edgedrag.commands.option_groups import option, option_group, option_groups
from edgedrag.commands.options import FILE, step_counts
from edgedrag.commands.releases import RELEASES
from edgedrag.runtime.options import AUTO, BACKENDS, PRECISIONS, BackendName, PrecisionName, RuntimeOptions


@click.group(cls=Family)
def bundle() -> None:
    """Export weights to a bundle, add INT8 variants, show what is in it, install it as a release."""


@option_group
class Export:
    """What `bundle export` writes, and where to."""

    random_weights: int | None = option(
        "--random-weights", type=int, metavar="SEED", help="LightningDrag's networks without a checkpoint."
    )
    output: Path = option("-o", "--output", type=FILE, required=True, help="Folder of the bundle to write.")
    precision: str = option("--precision", type=click.Choice(["fp32", "fp16"]), default="fp32", show_default=True)
    size: str = option(
        "--size",
        type=click.Choice(["tiny", "full"]),
        default="full",
        show_default=True,
        help="Of random weights; a checkpoint has its own.",
    )
    lora: Path | None = option(
        "--lora", type=FILE, help="LCM-LoRA to fuse into LightningDrag's denoiser: its file, or its folder."
    )
    small_decoder: Path | None = option(
        "--small-decoder", type=FILE, help="Weights of a small decoder (AutoencoderTiny), in place of the VAE's."
    )
    figures: Path | None = option(
        "--figures", type=FILE, help="JSON object of measured figures to state in the manifest."
    )
    hold: Path | None = option(
        "--hold", type=FILE, help="For the embedded generator: a hold's checkpoint, or a bundle whose hold is taken."
    )


@bundle.command(extra="export")
@click.argument("checkpoint", type=FILE, required=False)
@option_groups(options=Export)
def export(checkpoint: Path | None, options: Export) -> None:
    """Export CHECKPOINT to a bundle of ONNX graphs.

    CHECKPOINT is a file of the embedded generator, or a folder of LightningDrag.
    """
    from edgedrag.export.checkpoints import EmbeddedExtras, export_checkpoint, export_random

    if (checkpoint is None) == (options.random_weights is None):
        raise click.UsageError("give one of CHECKPOINT and --random-weights")
    folder, precision, decoder = options.output, options.precision, options.small_decoder
    if checkpoint is None:
        export_random(options.random_weights or 0, options.size, folder, precision, decoder)
    else:
        stated = json.loads(options.figures.read_text()) if options.figures else None
        export_checkpoint(checkpoint, folder, precision, options.lora, decoder, EmbeddedExtras(stated, options.hold))


@option_group
class Calibration:
    """What `bundle calibrate` measures on, within what budget, and where it writes."""

    drags: Path | None = option(
        "--drags", type=FILE, help="Real drags: a folder in DragBench's form, or JOBS.jsonl as for `batch`."
    )
    recipe: Path | None = option("--recipe", type=FILE, help="Write what this recipe says instead of measuring anew.")
    output: Path = option("-o", "--output", type=FILE, required=True, help="Folder of the bundle to write.")
    budget: float = option(
        "--budget", default=38.0, show_default=True, help="Least PSNR of results against fp32, in the mask, dB."
    )
    budget_stlpips: float = option(
        "--budget-stlpips", default=0.005, show_default=True, help="Largest ST-LPIPS of the same."
    )
    steps: str | None = option("--steps", help="Step counts to calibrate at, as 1,2,4.  [default: the bundle's]")
    seed: int = option("--seed", default=0, show_default=True, type=click.IntRange(0), help="Of the noise.")
    searched: int = option(
        "--search",
        default=16,
        show_default=True,
        type=click.IntRange(1),
        help="Drags that layers are tried on; ranges are taken from all.",
    )
    measure: str = option(
        "--measure",
        default="",
        metavar="PATTERN",
        help="Try only layers whose graph/name it matches; the others go to INT8 untried.",
    )
    plot: Path | None = option("--plot", type=FILE, help="Write a picture of PSNR and ST-LPIPS against share of INT8.")
    max_megapixels: float = option(
        "--max-megapixels", default=100.0, show_default=True, help="Refuse photos larger than this."
    )


@bundle.command(extra="quality")
@click.argument("source", metavar="BUNDLE")
@option_groups(options=Calibration)
@click.option("--json", "as_json", is_flag=True, help="Print the recipe on stdout.")
def calibrate(source: str, options: Calibration, as_json: bool) -> None:
    """Add INT8 variants to BUNDLE, within an error budget on real drags. An interrupted call continues.

    \b
    edgedrag bundle calibrate embedded --drags our_drags.jsonl -o tuned --budget 38
    """
    from edgedrag.runtime.bundle.describe import describe_recipe
    from edgedrag.runtime.photo.picture import Picture, check_output, save_picture

    if (options.drags is None) == (options.recipe is None):
        raise click.UsageError("give one of --drags and --recipe")
    if options.plot is not None:
        check_output(options.plot)
    from edgedrag.calibration.calibrate import Request, apply
    from edgedrag.calibration.calibrate import calibrate as calibrate_run
    from edgedrag.calibration.search import Budget

    if options.drags is None:
        assert options.recipe is not None
        found = apply(source, options.recipe, options.output)
    else:
        counts = () if options.steps is None else step_counts(options.steps)
        limits = Budget(options.budget, options.budget_stlpips)
        request = Request(
            options.drags, limits, counts, options.seed, options.searched, options.measure, options.max_megapixels
        )
        found = calibrate_run(source, request, options.output)
    if options.plot is not None:
        from edgedrag.calibration.plot import draw_choices

        save_picture(options.plot, Picture(draw_choices(found)))
    click.echo(json.dumps(found) if as_json else "\n".join([str(options.output), *describe_recipe(found)]))


@bundle.command()
@click.argument("source", metavar="BUNDLE")
@click.option("-o", "--output", type=FILE, required=True, metavar="MODEL_REPOSITORY", help="Folder of Triton's models.")
@click.option("--name", help="Of the model.  [default: the bundle's own name]")
@click.option("--backend", type=click.Choice([AUTO, *BACKENDS]), default=AUTO, show_default=True)
@click.option("--precision", type=click.Choice([AUTO, *reversed(PRECISIONS)]), default=AUTO, show_default=True)
def triton(source: str, output: Path, name: str | None, backend: BackendName, precision: PrecisionName) -> None:
    """Write BUNDLE as a model for the Triton Inference Server: its Python backend, with edgedrag's runtime."""
    from edgedrag.export.triton import write_repository

    click.echo(str(write_repository(output, RuntimeOptions(source, backend, precision), name)))


bundle.add_command(info)
for command in RELEASES:
    bundle.add_command(command)
