"""Converting a network to fp16, except for the layers whose observed activations do not fit fp16."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn

from edgedrag.generator.networks.lightningdrag.steady_norm import SteadyGroupNorm

LARGEST = torch.finfo(torch.float16).max
SMALLEST = torch.finfo(torch.float16).tiny  # smaller values lose precision
HEADROOM = 4.0  # factor for other photos and drags, whose activations may be larger than the observed ones
FOOTROOM = 64.0  # factor between a layer's peak and SMALLEST, so that most of its values are above SMALLEST too

Peaks = dict[str, tuple[float, float]]  # by layer: its smallest and largest peak


def layers(module: nn.Module) -> Iterator[tuple[str, nn.Module]]:
    """The convolutions, linear layers and norms of a module, by name."""
    for name, layer in module.named_modules():
        if isinstance(layer, (nn.Conv2d, nn.Linear, nn.GroupNorm, nn.LayerNorm, SteadyGroupNorm)):
            yield name, layer


@contextmanager
def watch(module: nn.Module, peaks: Peaks) -> Iterator[None]:
    """Record the peaks of each layer while the context is open: the largest magnitude of its inputs and output."""

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
    """Whether a layer's values fit fp16; false for NaN and infinity."""
    low, high = peaks
    return (low == 0 or low > FOOTROOM * SMALLEST) and HEADROOM * high < LARGEST


def halve(module: nn.Module, peaks: Peaks) -> list[str]:
    """Convert a module to float16 in place, except for layers whose values do not fit; returns their names.

    Every layer casts its input to its own type; a sum with a float32 tensor stays float32.
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
