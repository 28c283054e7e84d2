"""`recipe.json`: the layers in INT8, their ranges, the calibration drags and the measured error."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import fastjsonschema
import numpy as np

from edgedrag.calibration.graphs.placement import Ranges
from edgedrag.runtime.bundle.graphs import DRAG_STAGES
from edgedrag.runtime.bundle.manifest import Bundle
from edgedrag.runtime.errors import InputError

FILE = "recipe.json"
MAX_BYTES = 256 * 2**20
SCHEMA = Path(__file__).with_name("recipe.schema.json")


def dumps(recipe: Mapping[str, Any]) -> bytes:
    """A recipe as the bytes of its file, deterministically."""
    return (json.dumps(recipe, indent=1, sort_keys=True, allow_nan=False) + "\n").encode()


def read_recipe(file: Path, bundle: Bundle) -> dict[str, Any]:
    """Read a recipe for this bundle's weights.

    Raises:
        InputError: the file is no recipe, is for other weights, or has a range that is not a positive number.
    """
    try:
        if file.stat().st_size > MAX_BYTES:
            raise InputError(f"{file}: larger than {MAX_BYTES >> 20} MiB; not a recipe")
        recipe = json.loads(file.read_text(encoding="utf-8"))
        fastjsonschema.compile(json.loads(SCHEMA.read_text()))(recipe)
    except OSError as error:
        raise InputError(f"{file}: cannot be read ({error.strerror})") from None
    except fastjsonschema.JsonSchemaValueException as error:
        raise InputError(f"{file}: not a recipe: {error.message.replace('data', 'it', 1)}") from None
    except (ValueError, RecursionError) as error:
        raise InputError(f"{file}: not JSON ({error})") from None
    for name, sha256 in hashes(bundle).items():
        if recipe["graphs"].get(name, {}).get("sha256") != sha256:
            raise InputError(f"{file}: for other weights: graph '{name}' differs from the calibrated one")
    for name, graph in recipe["graphs"].items():
        for kind in ("inputs", "outputs", "sums"):
            for tensor, entry in graph[kind].items():
                if not (math.isfinite(entry["range"]) and entry["range"] > 0):
                    raise InputError(
                        f"{file}: graph '{name}', tensor '{tensor}': range {entry['range']} is not above 0"
                    )
    return recipe


def hashes(bundle: Bundle) -> dict[str, str]:
    """The hashes of the fp32 file and external weights of each graph of a drag, by graph."""
    digests = {}
    for _, graph in bundle.graphs(DRAG_STAGES):
        for variant in graph.variants:
            if (variant.precision, variant.placement, variant.branch) == ("fp32", "ort", "single"):
                digests[graph.name] = " ".join([variant.sha256, *(sha256 for _, sha256 in variant.external)])
    return digests


def ranges_of(graph: Mapping[str, Any]) -> Ranges:
    """The ranges of a graph's entry in a recipe."""
    return Ranges(
        {tensor: entry["range"] for tensor, entry in graph["inputs"].items()},
        {tensor: entry["range"] for tensor, entry in graph["outputs"].items()},
        {t: np.array(entry["divisors"], np.float32) for t, entry in graph["inputs"].items() if "divisors" in entry},
        {tensor: entry["folded"] for tensor, entry in graph["inputs"].items() if "folded" in entry},
        {tensor: entry["range"] for tensor, entry in graph["sums"].items()},
    )


def in_int8(graph: Mapping[str, Any]) -> list[str]:
    """The names of a graph's INT8 layers."""
    return [layer["name"] for layer in graph["layers"] if layer["precision"] == "int8"]
