"""`recipe.json`: which layers run in INT8, with what ranges, found on which drags, at what cost."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import fastjsonschema
import numpy as np

from edgedrag.calibration.graphs.placement import Ranges
from edgedrag.runtime.bundle.manifest import Bundle
from edgedrag.runtime.errors import InputError

FILE = "recipe.json"
MAX_BYTES = 256 * 2**20
SCHEMA = Path(__file__).with_name("recipe.schema.json")


def dumps(recipe: Mapping[str, Any]) -> bytes:
    """A recipe as the bytes of its file: the same recipe gives the same bytes."""
    return (json.dumps(recipe, indent=1, sort_keys=True, allow_nan=False) + "\n").encode()


def read_recipe(file: Path, bundle: Bundle) -> dict[str, Any]:
    """A recipe made for this bundle's weights.

    Raises:
        InputError: no recipe, one for other weights, or a range that is not a number above 0.
    """
    try:
        if file.stat().st_size > MAX_BYTES:
            raise InputError(f"{file}: larger than {MAX_BYTES >> 20} MiB; this is no recipe")
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
            raise InputError(f"{file}: made for other weights: graph '{name}' is not the one it was measured on")
    for name, graph in recipe["graphs"].items():
        for kind in ("inputs", "outputs", "sums"):
            for tensor, entry in graph[kind].items():
                if not (math.isfinite(entry["range"]) and entry["range"] > 0):
                    raise InputError(
                        f"{file}: graph '{name}', tensor '{tensor}': range {entry['range']} is not above 0"
                    )
    return recipe


def hashes(bundle: Bundle) -> dict[str, str]:
    """The hash of each graph's fp32 file and weights, by graph."""
    digests = {}
    for _, graph in bundle.graphs():
        for variant in graph.variants:
            if (variant.precision, variant.placement, variant.branch) == ("fp32", "ort", "single"):
                digests[graph.name] = " ".join([variant.sha256, *(sha256 for _, sha256 in variant.external)])
    return digests


def ranges_of(graph: Mapping[str, Any]) -> Ranges:
    """The ranges in a graph's entry."""
    return Ranges(
        {tensor: entry["range"] for tensor, entry in graph["inputs"].items()},
        {tensor: entry["range"] for tensor, entry in graph["outputs"].items()},
        {t: np.array(entry["divisors"], np.float32) for t, entry in graph["inputs"].items() if "divisors" in entry},
        {tensor: entry["folded"] for tensor, entry in graph["inputs"].items() if "folded" in entry},
        {tensor: entry["range"] for tensor, entry in graph["sums"].items()},
    )


def in_int8(graph: Mapping[str, Any]) -> list[str]:
    """Names of a graph's layers in INT8."""
    return [layer["name"] for layer in graph["layers"] if layer["precision"] == "int8"]
