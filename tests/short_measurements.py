"""Short measurements: what these tests assert is what a report holds, not how steady its figures are."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from edgedrag.benchmarks.latency import interleaved, peaks, single_stream


@pytest.fixture(scope="module", autouse=True)
def short_measurements() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(single_stream, "WARM_SECONDS", 0.1)
        patch.setattr(single_stream, "BATCH_SECONDS", 0.05)
        patch.setattr(interleaved, "TURN_SECONDS", 0.05)
        patch.setattr(peaks, "SECONDS", 0.02)
        yield
