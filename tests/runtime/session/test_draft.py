"""An edit at the screen's size, before the photo's own pixels are made."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

import edgedrag
from edgedrag.runtime.session.candidates import run_to_end
from edgedrag.runtime.session.draft import Draft

DRAG = [((500.0, 450.0), (460.0, 480.0))]


@pytest.fixture(scope="module")
def large(runtime: edgedrag.Runtime) -> np.ndarray:
    """A photo above `region.LARGE`."""
    smooth = cv2.GaussianBlur(np.random.default_rng(2).integers(0, 255, (240, 320, 3), dtype=np.uint8), (0, 0), 4)
    stretched = cv2.normalize(smooth, None, 0, 255, cv2.NORM_MINMAX)
    return cv2.resize(stretched, (1800, 1300), interpolation=cv2.INTER_CUBIC)


def drawn(photo: edgedrag.Photo, drags: list[tuple[tuple[float, float], tuple[float, float]]]) -> list[Draft]:
    """The drafts of a drag, which is made."""
    drafts: list[Draft] = []
    run_to_end(photo.drag_steps(drags, on_draft=drafts.append))
    return drafts


@pytest.mark.parametrize("times", [1.5, 2.0, 3.7])
def test_a_draft_is_the_edit_made_smaller(runtime: edgedrag.Runtime, large: np.ndarray, times: float) -> None:
    photo = runtime.load(large)
    seen: list[np.ndarray] = []
    drafts: list[Draft] = []

    def look(draft: Draft) -> None:
        drafts.append(draft)
        seen.append(photo.image)

    edit = run_to_end(photo.drag_steps(DRAG, on_draft=look))
    assert len(drafts) == 1 and np.array_equal(seen[0], large), "before the photo changes"
    (left, top, width, height), part = drafts[0].render(times)
    assert left >= 0 and top >= 0 and left + width <= 1800 and top + height <= 1300
    assert part.shape[1] == pytest.approx(width / times, abs=2) and part.dtype == np.uint8
    x, y = (np.arange(n) for n in part.shape[1::-1])
    at_x = np.tile((left + (x + 0.5) * width / len(x) - 0.5).astype(np.float32), (len(y), 1))
    at_y = np.tile((top + (y + 0.5) * height / len(y) - 0.5).astype(np.float32)[:, None], (1, len(x)))
    made, before = (cv2.remap(image, at_x, at_y, cv2.INTER_LINEAR) for image in (edit.image, large))
    off = np.abs(part.astype(int) - made).mean()
    assert off < 1.5 and off < np.abs(made.astype(int) - before).mean() / 4


def test_a_pull_back_has_none_as_it_restores(runtime: edgedrag.Runtime, cat: np.ndarray) -> None:
    photo = runtime.load(cat)
    (start, end), *_ = [((265.0, 240.0), (245.0, 250.0))]
    assert len(drawn(photo, [(start, end)])) == 1
    assert not drawn(photo, [(end, start)])
