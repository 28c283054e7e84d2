"""What a manifest must hold beyond its schema: shapes, tensors that join the graphs, the sampler's grid."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np

from edgedrag.runtime.bundle.graph_inputs import GRAPH_INPUTS, is_supplied
from edgedrag.runtime.bundle.graphs import DRAG_STAGES, HOLD, STAGES, Graph, Tensor, concrete_shape, sizes_of
from edgedrag.runtime.errors import BundleError
from edgedrag.runtime.sampling.sampler import most_steps

MAX_TENSOR_ELEMENTS = 2**30

Stages = Mapping[str, tuple[Graph, ...]]


def check_consistency(folder: Path, manifest: dict[str, Any], stages: Stages) -> None:
    """Check that the graphs of a manifest fit together, and its window sizes and its sampler make sense.

    Args:
        folder: of the bundle, for messages.

    Raises:
        BundleError: says what does not fit.
    """
    _check_sizes(folder, manifest)
    for _, graph in _graphs(stages):
        for tensor in graph.inputs + graph.outputs:
            _check_shape(folder, manifest["symbols"], tensor)
    _check_tensors(folder, manifest, stages)
    _check_sampler(folder, manifest["sampler"])


def _graphs(stages: Stages, names: Sequence[str] = STAGES) -> Iterator[tuple[str, Graph]]:
    for stage in names:
        for graph in stages[stage]:
            yield stage, graph


def _check_sizes(folder: Path, manifest: dict[str, Any]) -> None:
    """The sizes of windows and of the hold lie within the bounds of H and W."""
    symbols = manifest["symbols"]
    for what, stage in (("window", "reference"), (HOLD, HOLD)):
        for h, w in sizes_of(manifest, stage):
            for symbol, size in (("H", h), ("W", w)):
                bound = symbols[symbol]
                if not bound["minimum"] <= size <= bound["maximum"] or size % bound["multiple"]:
                    raise BundleError(f"{folder}: {what} size {h} x {w} breaks the bounds of {symbol}: {bound}")


def _check_shape(folder: Path, symbols: dict[str, Any], tensor: Tensor) -> None:
    """A shape is of known symbols, divided without a remainder, and not too large."""
    for dim in tensor.shape:
        symbol, _, divisor = str(dim).partition("/")
        if isinstance(dim, str) and (symbol not in symbols or symbols[symbol]["multiple"] % int(divisor or 1)):
            raise BundleError(f"{folder}: tensor '{tensor.name}': {dim} is not a whole size")
    largest = {k: v["maximum"] for k, v in symbols.items()}
    if np.prod(tensor.concrete(largest), dtype=np.float64) > MAX_TENSOR_ELEMENTS:
        raise BundleError(f"{folder}: tensor '{tensor.name}' has an absurd shape {tensor.shape}")


def _check_tensors(folder: Path, manifest: dict[str, Any], stages: Stages) -> None:
    """`decode` ends in a picture; a flow and what it reveals have their shapes, and so has what is held."""
    made = _check_joints(folder, manifest, stages, DRAG_STAGES)
    if made.get("result") is None or made["result"].shape != (1, 3, "H", "W"):
        raise BundleError(f"{folder}: 'decode' must make 'result' of shape [1, 3, H, W]")
    made_by_drag = {t.name: t for graph in stages["drag"] for t in graph.outputs}
    for name, channels in (("flow", 2), ("revealed", 1)):
        if name in made_by_drag and made_by_drag[name].shape != (1, channels, "H", "W"):
            raise BundleError(f"{folder}: '{name}' must have shape [1, {channels}, H, W]")
    if bool(stages[HOLD]) != (HOLD in manifest):
        raise BundleError(f"{folder}: the stage 'hold' and the manifest's `hold` go together; one is missing")
    held = _check_joints(folder, manifest, stages, (HOLD,)).get("held")
    if stages[HOLD] and (held is None or held.shape != (1, 3, "H/2", "W/2")):
        raise BundleError(f"{folder}: 'hold' must make 'held' of shape [1, 3, H/2, W/2]")


def _check_joints(folder: Path, manifest: dict[str, Any], stages: Stages, names: Sequence[str]) -> dict[str, Tensor]:
    """Every input is made by an earlier graph of these stages, or by the runtime; returns all that they make."""
    made: dict[str, Tensor] = {}
    for stage, graph in _graphs(stages, names):
        for tensor in graph.inputs:
            if tensor.name not in made:
                _check_supplied(folder, manifest, stage, graph, tensor)
            elif (tensor.shape, tensor.dtype) != (made[tensor.name].shape, made[tensor.name].dtype):
                raise BundleError(f"{folder}: '{tensor.name}' changes shape or dtype before '{graph.name}'")
        if stage == "denoise":
            unknown = [t.name for t in graph.outputs if t.name not in made]
            if unknown:
                raise BundleError(f"{folder}: 'denoise' returns {unknown}, which has no value before the loop")
        made.update({t.name: t for t in graph.outputs})
    return made


def _check_supplied(folder: Path, manifest: dict[str, Any], stage: str, graph: Graph, tensor: Tensor) -> None:
    """The runtime makes an input for this stage, in the shape that the graph declares."""
    if not is_supplied(tensor.name, stage):
        raise BundleError(f"{folder}: nothing supplies the input '{tensor.name}' of '{graph.name}' in stage '{stage}'")
    if tensor.name == "clip_image" and "clip_image" not in manifest["inputs"]:
        raise BundleError(f"{folder}: 'clip_image' is used, but `inputs` does not say how to make it")
    shape = GRAPH_INPUTS[tensor.name].shape
    if shape is None:
        return
    for h, w in sizes_of(manifest, stage):
        sizes = {"H": h, "W": w, "N": manifest["symbols"].get("N", {}).get("maximum", 1)}
        sizes["S"] = manifest["inputs"].get("clip_image", {}).get("size", 0)
        supplied = concrete_shape(shape, sizes)
        if tensor.concrete(sizes) != supplied:
            raise BundleError(
                f"{folder}: input '{tensor.name}' of '{graph.name}' has shape {list(tensor.shape)}; "
                f"the runtime makes {list(shape)}, which is {list(supplied)} at {h} x {w}"
            )


def _check_sampler(folder: Path, sampler: dict[str, Any]) -> None:
    if ("timesteps" in sampler) == ("spacing" in sampler):
        raise BundleError(f"{folder}: the sampler must have one of timesteps and spacing")
    if "spacing" in sampler and sampler["method"] != "ddim":
        raise BundleError(f"{folder}: the sampler's spacing is for ddim, its method is {sampler['method']}")
    steps = sampler.get("timesteps", [0])
    if any(a <= b for a, b in pairwise(steps)) or steps[0] >= len(sampler["alphas"]):
        raise BundleError(f"{folder}: the sampler's timesteps must fall, from below {len(sampler['alphas'])}")
    if sampler.get("start_timestep", 0) >= len(sampler["alphas"]):
        raise BundleError(f"{folder}: the sampler's start_timestep is not below {len(sampler['alphas'])}")
    if sampler["default_steps"] > most_steps(sampler):
        raise BundleError(f"{folder}: default_steps is more than the {most_steps(sampler)} timesteps of the grid")
