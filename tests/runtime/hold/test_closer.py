"""A closer look sees the same place, in more pixels."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest
from toy_hold import add_toy_hold

import edgedrag
from edgedrag.runtime.hold import closer
from edgedrag.runtime.hold.closer import MASK_MARGIN, look_at_held, look_at_mask
from edgedrag.runtime.hold.view import PhotoView

PHOTO = (900, 1400)


def view() -> PhotoView:
    return PhotoView(np.random.default_rng(5).integers(0, 255, (*PHOTO, 3)).astype(np.uint8))


def mask_at(rows: slice, columns: slice) -> np.ndarray:
    mask = np.zeros(PHOTO, bool)
    mask[rows, columns] = True
    return mask


@pytest.mark.parametrize("at", [(700, 450), (60, 40), (1380, 890)], ids=str)
def test_what_is_found_closer_lies_where_it_is(at: tuple[int, int]) -> None:
    x, y = at
    seen = view()
    look = look_at_mask(seen, mask_at(slice(max(0, y - 80), y + 80), slice(max(0, x - 120), x + 120)))
    assert look is not None
    size = (64, 96)
    found, (column, row) = np.zeros((*size, 1), np.float32), look.to_size(np.array(at), size)
    found[max(0, round(row) - 4) : round(row) + 5, max(0, round(column) - 4) : round(column) + 5] = 1
    shown, counts = look.on_view(found)
    inner = np.argwhere(shown.reshape(seen.size) > 0.5).mean(0)
    assert np.abs(inner - seen.to_size(np.array(at), seen.size)[::-1]).max() < 2
    assert counts.max() == 1 and counts.shape == (*seen.size, 1)
    outside = (
        cv2.resize(
            mask_at(slice(look.top, look.top + look.height), slice(look.left, look.left + look.width)).astype(np.uint8),
            seen.size[::-1],
            interpolation=cv2.INTER_AREA,
        )
        == 0
    )
    assert not counts[outside].any()


def test_a_look_holds_the_mask_and_lies_in_the_photo() -> None:
    mask = mask_at(slice(0, 200), slice(1300, 1400))
    look = look_at_mask(view(), mask)
    assert look is not None and (look.top, look.left + look.width) == (0, 1400)
    assert look.height == look.width == max(round((1 + 2 * MASK_MARGIN) * 200), round(closer.LEAST * 1400))


def test_a_look_at_many_pixels_is_the_same_from_the_photo_at_medium_resolution(monkeypatch: pytest.MonkeyPatch) -> None:
    noise = np.random.default_rng(1).integers(0, 255, (30, 40, 3)).astype(np.uint8)
    seen = PhotoView(cv2.resize(noise, (2000, 1500), interpolation=cv2.INTER_CUBIC))
    mask = np.zeros(seen.shape, bool)
    mask[200:1100, 500:1400] = True
    look = look_at_mask(seen, mask)
    assert look is not None and look.width * look.height > closer.MANY
    fast = look.picture((96, 96))
    monkeypatch.setattr(closer, "MANY", 1e9)
    assert np.abs(fast.astype(int) - look.picture((96, 96))).mean() < 4


def test_most_of_a_photo_is_not_looked_at_again() -> None:
    assert look_at_mask(view(), mask_at(slice(50, 850), slice(100, 1300))) is None
    seen = view()
    assert look_at_held(seen, np.array([700.0, 450.0]), np.ones(seen.size, np.float32)) is None


def test_a_small_thing_is_held_to_its_outline(toy: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its teeth are smaller than the pixels that the whole photo is looked at in."""
    runtime = edgedrag.open(add_toy_hold(toy))
    thing = np.zeros(PHOTO, np.uint8)
    cv2.rectangle(thing, (600, 400), (700, 500), 1, -1)
    for left in range(600, 700, 20):
        cv2.rectangle(thing, (left, 360), (left + 9, 400), 1, -1)
    photo = np.where(thing[..., None] > 0, [200, 60, 50], [90, 90, 90]).astype(np.uint8)

    def overlap() -> float:
        held = runtime.load(photo.copy()).hold((650, 450)).answer("thing").on_medium() > 0.5
        true = cv2.resize(thing.astype(np.float32), held.shape[::-1], interpolation=cv2.INTER_AREA) > 0.5
        return float((held & true).sum() / (held | true).sum())

    close = overlap()
    monkeypatch.setattr(closer, "MOST", 0.0)
    assert close > overlap() + 0.01
