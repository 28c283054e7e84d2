"""A drag at the generator's size."""

from __future__ import annotations

import numpy as np
import pytest

from edgedrag.runtime.session.scaled_drag import BLOCK, in_blocks


@pytest.mark.parametrize("shape", [(64, 96), (40, 56), (8, 8)], ids=["whole blocks", "cut ones", "less than one"])
def test_blocks_are_those_that_a_region_has_a_part_in(shape: tuple[int, int]) -> None:
    """Windows are cut where a bundle's sizes are multiples of less than a block, which the format allows."""
    rng = np.random.default_rng(0)
    region = rng.random(shape) < 0.004
    region[-1, -1] = True
    found = in_blocks(region)
    assert found.shape == shape and found.dtype == bool
    for top in range(0, shape[0], BLOCK):
        for left in range(0, shape[1], BLOCK):
            block = np.s_[top : top + BLOCK, left : left + BLOCK]
            assert (found[block] == region[block].any()).all()
    assert not in_blocks(np.zeros(shape, bool)).any()
