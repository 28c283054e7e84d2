"""Training's blend against the runtime's in numbers: same inputs, greatest difference stated."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from moving_square import batch_of, moving_square, small_generator
from torch import Tensor

from edgedrag.generator.networks import blend as twin
from edgedrag.generator.networks import fields
from edgedrag.runtime.drag import blend
from edgedrag.runtime.drag.composite import Generated, compose

pytestmark = pytest.mark.usefixtures("one_thread")


def to_numpy(x: Tensor) -> np.ndarray:
    """The only row of [1, C, H, W] as [H, W, C]."""
    return np.ascontiguousarray(x[0].permute(1, 2, 0).detach().numpy())


def test_weights_of_a_revealed_map() -> None:
    revealed = torch.linspace(-0.1, 1.1, 241, requires_grad=True)
    weights = twin.reveal_weight(revealed)
    np.testing.assert_allclose(weights.detach(), blend.reveal_weight(revealed.detach().numpy()), atol=1e-6)
    weights.sum().backward()
    assert revealed.grad is not None and torch.equal(revealed.grad, torch.ones(241)), "also where nothing is shown"


def test_the_blend_of_moved_and_drawn_pixels_in_all_its_forms() -> None:
    torch.manual_seed(0)
    moved, drawn = torch.rand(1, 3, 64, 64), torch.rand(1, 3, 64, 64)
    weight = twin.reveal_weight(torch.rand(1, 1, 64, 64))
    expected = to_numpy(twin.blend(moved, drawn, weight, torch.zeros_like(moved)))
    straight = to_numpy(moved)
    blend.blend(straight, to_numpy(drawn), to_numpy(weight))
    np.testing.assert_allclose(straight, expected, atol=1e-6)
    premultiplied = blend.blend_premultiplied(to_numpy(moved), to_numpy(drawn * weight), to_numpy(weight))
    np.testing.assert_allclose(premultiplied, expected, atol=1e-6)


def test_the_change_that_is_added_to_moved_pixels() -> None:
    """Training takes distances at 4 x 4 cells, the runtime at pixels, from targets rounded to whole pixels."""
    torch.manual_seed(0)
    source, picture = torch.randint(0, 256, (1, 3, 128, 128)) / 255, torch.rand(1, 3, 128, 128)
    flow, revealed = 3 * torch.randn(1, 2, 128, 128), torch.rand(1, 1, 128, 128)
    points = torch.tensor([[[30.0, 40, 33.5, 45.5], [90, 80, 93.5, 89.5]]])
    warped, weight = fields.warp(source, flow), twin.reveal_weight(revealed)
    found = to_numpy(twin.generated_change(picture, warped, flow, weight, points))
    pixels = np.rint(to_numpy(source) * 255).astype(np.uint8)
    expected = blend.generated_change(
        pixels, points[0, :, 2:].numpy(), *(to_numpy(x) for x in (picture, flow, revealed))
    )
    apart = np.abs(found - expected)
    assert apart.max() < 0.06 and apart.mean() < 0.003  # measured 0.045 and 0.0015
    assert np.abs(expected).mean() > 0.1


def test_a_finished_edit_is_what_the_runtime_composes() -> None:
    torch.manual_seed(0)
    model, batch = small_generator(), batch_of(moving_square())
    batch = replace(batch, mask=torch.ones_like(batch.mask))
    flow = 3 * torch.randn(1, 2, 64, 64)
    conditioning = model.conditioning(batch)._replace(
        flow=flow, revealed=torch.rand(1, 1, 64, 64), warped=fields.warp(batch.source, flow)
    )
    answer = torch.rand(1, 3, 64, 64) * 2 - 1
    window = np.rint((to_numpy(batch.source) + 1) / 2 * 255).astype(np.uint8)
    result, revealed = (to_numpy(answer) + 1) / 2, to_numpy(conditioning.revealed)
    change = blend.generated_change(window, batch.points[0, :, 2:].numpy(), result, to_numpy(flow), revealed)
    shown = compose(window, np.ones((64, 64), bool), Generated(result, to_numpy(flow), revealed, change))
    finished = (to_numpy(model.finish(batch, conditioning, answer)) + 1) / 2 * 255
    # OpenCV warps in 32nds of a pixel.
    assert np.abs(shown - finished.clip(0, 255))[2:-2, 2:-2].max() < 2  # grey levels; measured 1.5
