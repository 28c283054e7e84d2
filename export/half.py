"""A network to half precision: what its layers meet on real activations says which of them must stay in float32."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn

from edgedrag.generator.networks.lightningdrag.steady_norm import SteadyGroupNorm

LARGEST = torch.finfo(torch.float16).max
SMALLEST = torch.finfo(torch.float16).tiny  # below, digits are lost
HEADROOM = 4.0  # other photos and drags reach further than those that were looked at
FOOTROOM = 64.0  # the largest of a layer's numbers should be this much above SMALLEST, so that most are too

Peaks = dict[str, tuple[float, float]]  # by layer: the least and the largest of its peaks


def layers(module: nn.Module) -> Iterator[tuple[str, nn.Module]]:
    """The layers with weights that take and give numbers, by name."""
    for name, layer in module.named_modules():
        if isinstance(layer, (nn.Conv2d, nn.Linear, nn.GroupNorm, nn.LayerNorm, SteadyGroupNorm)):
            yield name, layer


@contextmanager
def watch(module: nn.Module, peaks: Peaks) -> Iterator[None]:
    """While a module runs, note the peaks of each layer: the largest magnitude that enters it, and that leaves it."""

    def note(name: str) -> Any:
        def hook(layer: nn.Module, inputs: tuple[Tensor, ...], output: Tensor) -> None:
            magnitudes = [float(t.abs().amax()) for t in (*inputs, output)]
            low, high = peaks.get(name, (magnitudes[0], magnitudes[0]))
            peaks[name] = min(low, *magnitudes), max(high, *magnitudes)

        return hook

    hooks = [layer.register_forward_hook(note(name)) for name, layer in layers(module)]
    try:
        yield
    finally:
        for hook in hooks:
            hook.remove()


def fits(peaks: tuple[float, float]) -> bool:
    """Whether fp16 can hold a layer's numbers; what is not a number cannot be held."""
    low, high = peaks
    return (low == 0 or low > FOOTROOM * SMALLEST) and HEADROOM * high < LARGEST


def halve(module: nn.Module, peaks: Peaks) -> list[str]:
    """Turn a module to float16, in place, but for the layers whose numbers do not fit; returns their names.

    Every layer takes its input in its own type, and what it adds to in float32 stays float32.
    """
    in_float32 = [name for name, _ in layers(module) if name in peaks and not fits(peaks[name])]
    module.half()
    for name in in_float32:
        module.get_submodule(name).float()
    for _, layer in layers(module):
        layer.register_forward_pre_hook(_take_in_own_type)
    return in_float32


def _take_in_own_type(layer: nn.Module, inputs: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
    weight = layer.weight
    assert isinstance(weight, Tensor)
    return tuple(t.to(weight.dtype) for t in inputs)
