"""Opening checkpoints: a file of the embedded generator, or a folder of LightningDrag."""

from __future__ import annotations

import json
from pathlib import Path

from edgedrag.generator.diffusion.contract import DragGenerator
from edgedrag.generator.networks.checkpoint_file import read_checkpoint
from edgedrag.generator.networks.embedded import EmbeddedConfig, EmbeddedGenerator
from edgedrag.runtime.errors import InputError

SHIPPED = Path(__file__).parents[1] / "checkpoints" / "embedded.safetensors"  # in a clone, not in the wheel


def clone_checkpoint(name: str = SHIPPED.name) -> Path:
    """The path of a checkpoint in generator/checkpoints. Raises InputError if edgedrag is installed without them."""
    file = SHIPPED.with_name(name)
    if not file.is_file():
        raise InputError(
            f"no checkpoint generator/checkpoints/{name}: it comes with a clone of edgedrag's repository, not with "
            'the installed package; run this in a clone after `pip install -e ".[export]"` there'
        )
    return file


def open_generator(path: Path) -> tuple[DragGenerator, dict[str, str]]:
    """Open a checkpoint and its metadata: a file holds the embedded generator, a folder LightningDrag.

    Raises:
        InputError: as `load_checkpoint`, or `PublishedWeights`.
    """
    if not path.is_dir():
        return load_checkpoint(path)
    from edgedrag.generator.networks.lightningdrag.generator import open_lightningdrag

    return open_lightningdrag(path)


def load_checkpoint(path: Path) -> tuple[EmbeddedGenerator, dict[str, str]]:
    """Read a checkpoint as float32 modules in evaluation mode, with its metadata.

    Raises:
        InputError: the file is no such checkpoint; names every missing, extra or misshapen key.
    """
    weights, metadata = read_checkpoint(path)
    try:
        config = {k: tuple(v) for k, v in json.loads(metadata.pop("config")).items()}
        model = EmbeddedGenerator(EmbeddedConfig(**config))
    except (KeyError, TypeError, ValueError) as error:
        raise InputError(f"{path}: not a checkpoint of the embedded generator ({error})") from None
    expected = {k: tuple(v.shape) for k, v in model.state_dict().items()}
    actual = {k: tuple(v.shape) for k, v in weights.items()}
    if expected != actual:
        wrong = sorted({k for k in expected | actual if expected.get(k) != actual.get(k)})
        raise InputError(f"{path}: these keys are missing, extra or misshapen: {', '.join(wrong)}")
    model.load_state_dict(weights)
    return model.eval(), metadata
