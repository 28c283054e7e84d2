"""Which layers fp16 cannot hold."""

from __future__ import annotations

import torch

from edgedrag.export.half import fits, halve, watch
from edgedrag.export.parity import snr_db


def test_layers_that_fp16_cannot_hold_are_left_in_fp32() -> None:
    assert fits((1.0, 100.0)) and not fits((1.0, 40_000.0)), "other photos reach further"
    assert not fits((1e-6, 1.0)) and not fits((1.0, float("nan"))) and not fits((1.0, float("inf")))
    module = torch.nn.Sequential(torch.nn.Linear(4, 4), torch.nn.Linear(4, 4))
    for layer, weight in zip(module, (1.0, 30_000.0)):
        torch.nn.init.constant_(layer.weight, weight)
        torch.nn.init.zeros_(layer.bias)
    peaks: dict = {}
    given = torch.ones(1, 4)
    with watch(module, peaks), torch.no_grad():
        expected = module(given)
    assert halve(module, peaks) == ["1"]
    assert module[0].weight.dtype == torch.float16 and module[1].weight.dtype == torch.float32
    with torch.no_grad():
        found = module(given.half()).float()
    assert torch.isfinite(found).all() and snr_db(expected.numpy(), found.numpy()) > 50
