"""What matching patches is made of."""

from __future__ import annotations

import numpy as np
import pytest

from edgedrag.runtime.drag.patches import upper_quartile


@pytest.mark.parametrize("count", [1, 2, 3, 4, 5, 1000])
@pytest.mark.parametrize("kind", ["spread", "mostly zero", "equal"])
def test_the_upper_quartile_is_numpys(count: int, kind: str) -> None:
    rng = np.random.default_rng(count)
    values = (rng.random(count) * 10.0 ** rng.integers(-6, 6, count)).astype(np.float32)
    if kind == "mostly zero":
        values[rng.random(count) < 0.7] = 0
    if kind == "equal":
        values[:] = 0.3
    before = values.copy()
    assert upper_quartile(values) == pytest.approx(float(np.percentile(values, 75)), rel=1e-6)
    assert np.array_equal(values, before)
