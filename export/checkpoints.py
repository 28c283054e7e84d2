"""Exporting a checkpoint of either generator as a bundle."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from edgedrag.export.embedded import export_embedded
from edgedrag.runtime.errors import InputError


@dataclass(frozen=True)
class EmbeddedExtras:
    """What else goes into the embedded generator's bundle: measured figures, and a hold as for `write_hold`."""

    figures: dict[str, float] | None = None
    hold: Path | None = None


def export_checkpoint(
    checkpoint: Path,
    bundle: Path,
    precision: str = "fp32",
    lora: Path | None = None,
    small_decoder: Path | None = None,
    embedded: EmbeddedExtras = EmbeddedExtras(),
) -> None:
    """Write the bundle of a checkpoint: a file holds the embedded generator, a folder LightningDrag.

    Raises:
        InputError: no such checkpoint, or options that it does not have; see `export_embedded`, `export_lightningdrag`.
    """
    if not checkpoint.is_dir():
        if precision != "fp32" or lora is not None or small_decoder is not None:
            raise InputError("--precision, --lora and --small-decoder are for LightningDrag's checkpoint, a folder")
        export_embedded(checkpoint, bundle, embedded.figures, embedded.hold)
        return
    if embedded != EmbeddedExtras():
        raise InputError("--figures and --hold are for the embedded generator's checkpoint, a file")
    from edgedrag.export.lightningdrag.bundle import export_lightningdrag
    from edgedrag.generator.networks.lightningdrag.published import PublishedWeights

    weights = PublishedWeights(checkpoint, lora)
    export_lightningdrag(weights, bundle, precision, "ddim" if lora is None else "lcm", small_decoder)


def export_random(
    seed: int, size: str, bundle: Path, precision: str = "fp32", small_decoder: Path | None = None
) -> None:
    """Write LightningDrag's bundle with random weights; `size` is "tiny" or "full".

    Raises:
        InputError: see `export_lightningdrag`.
    """
    from edgedrag.export.lightningdrag.bundle import export_lightningdrag
    from edgedrag.generator.networks.lightningdrag.sizes import SIZES
    from edgedrag.generator.networks.lightningdrag.weights import RandomWeights

    export_lightningdrag(RandomWeights(SIZES[size], seed), bundle, precision, small_decoder=small_decoder)
