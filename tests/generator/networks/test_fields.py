"""How far a drag's surroundings move as one, and that it lands."""

from __future__ import annotations

import numpy as np
import torch

from edgedrag.generator.networks import fields


def widths(*points: tuple[float, ...]) -> list[float]:
    return fields.grip_widths(torch.tensor([points]))[0].tolist()


def test_long_drags_take_more_along() -> None:
    points = torch.tensor([[[64.0, 64.0, 64.0, 68.0]], [[64.0, 64.0, 64.0, 164.0]]])
    short, long = fields.closeness(points[..., :2], fields.drag_widths(points), 128, 128)[:, 0, 64]
    assert float(short[64]) > 0.98 and float(long[64]) > 0.98 and float(long[104]) > float(short[104]) + 0.3


def test_a_drag_alone_takes_more_along_than_one_beside_another() -> None:
    drag, beside, away = (40.0, 40.0, 60.0, 40.0), (50.0, 70.0, 60.0, 80.0), (300.0, 300.0, 320.0, 320.0)
    (alone,), (first, _) = widths(drag), widths(drag, beside)
    assert alone > first > 20
    assert widths(drag, drag, drag) == [alone] * 3, "a repeated row is no other drag"
    assert widths(drag, away)[0] == alone


def test_targets_show_their_handles_whatever_the_network_says() -> None:
    torch.manual_seed(0)
    points = torch.tensor([[[20.0, 40.0, 33.0, 28.0], [50.0, 44.0, 41.0, 51.0]]])
    flow = fields.land(8 * torch.randn(1, 2, 64, 96), points)
    for hx, hy, tx, ty in points[0].tolist():
        np.testing.assert_allclose(flow[0, :, int(ty), int(tx)], [hx - tx, hy - ty], atol=0.4)
    repeated = fields.land(torch.zeros(1, 2, 64, 96), torch.cat([points, points[:, :1].expand(-1, 5, -1)], 1))
    torch.testing.assert_close(repeated, fields.land(torch.zeros(1, 2, 64, 96), points), rtol=1e-4, atol=1e-4)
