"""Rounds with known flows: one resampling in all, what was covered comes back, what was taken back is exact."""

from __future__ import annotations

from dataclasses import replace

import cv2
import numpy as np
import pytest

from edgedrag.runtime.drag.composite import Generated, compose
from edgedrag.runtime.drag.flow import warp
from edgedrag.runtime.photo.window import Window
from edgedrag.runtime.session.edit_stack import render
from edgedrag.runtime.session.history import Entry, History

RED, GREY = np.array([1, 0, 0], np.float32), np.array([0.4, 0.4, 0.4], np.float32)


class Editor:
    """A picture and its rounds; every round has points of its own, so that none reverses another."""

    def __init__(self, photo: np.ndarray):
        self.picture = photo
        self.history = History(photo)
        self.made: list[Entry] = []

    def move(self, window: Window, mask: np.ndarray, generated: Generated) -> np.ndarray:
        points = np.full((1, 4), 100 * len(self.made), np.float32)
        made = self.history.compose(self.picture, window, mask, points, generated)
        self.history.add(made)
        self.made.append(made)
        self.picture = self.picture.copy()
        self.picture[made.box] = made.after
        return self.picture


def noise(height: int, width: int) -> np.ndarray:
    """A photo with detail at all sizes, down to a few pixels."""
    rng = np.random.default_rng(0)
    fine = cv2.GaussianBlur(rng.integers(0, 256, (height, width, 3), dtype=np.uint8), (0, 0), 0.8)
    coarse = cv2.resize(rng.integers(0, 256, (height // 8, width // 8, 3), dtype=np.uint8), (width, height))
    return cv2.addWeighted(fine, 0.5, coarse, 0.5, 0)


def steady(x: float, y: float, size: tuple[int, int] = (256, 256)) -> Generated:
    """A backward flow that is the same everywhere, generator pixels."""
    return Generated(None, np.broadcast_to(np.array([x, y], np.float32), (*size, 2)).copy(), None)


def disc(shape: tuple[int, ...], x: float, y: float, radius: float) -> np.ndarray:
    rows, columns = np.mgrid[: shape[0], : shape[1]]
    return (columns - x) ** 2 + (rows - y) ** 2 < radius**2


def detail(picture: np.ndarray) -> float:
    """Energy of the second derivatives."""
    return float((cv2.Laplacian(picture, cv2.CV_32F) ** 2).mean())


@pytest.mark.parametrize("scale", [1, 3, 8])
def test_two_moves_are_one_resampling(scale: int) -> None:
    """In windows of different place and size, whose lattices do not fit each other."""
    side = 256 * scale
    photo = noise(side + 40, side + 60)
    mask = disc(photo.shape, side / 2, side / 2, 0.4 * side)
    first, second = Window(0, 0, side, side, (256, 256)), Window(7, 11, side - 16, side - 32, (256, 192))
    step = np.array([6 * scale + 0.5, -5 * scale - 0.5])  # twice that is whole pixels: sharp, unless sampled twice
    editor = Editor(photo)
    chained = editor.move(first, mask, steady(*step / first.scale))
    shown = editor.move(second, mask, steady(*step / second.scale, size=(256, 192)))
    box = second.box
    naive = compose(chained[box], mask[box], steady(*step / second.scale, size=(256, 192)))
    every = np.broadcast_to(np.float32(2 * step), (*photo.shape[:2], 2))
    expected = np.clip(np.rint(warp(photo.astype(np.float32), every, cv2.INTER_CUBIC)), 0, 255)
    deep = np.s_[int(0.35 * side) : int(0.65 * side), int(0.35 * side) : int(0.65 * side)]
    once = np.abs(shown[deep] - expected[deep]).mean()
    whole = photo.copy()
    whole[box] = naive
    assert once < 0.25 * np.abs(whole[deep] - expected[deep]).mean() and once < 0.7
    assert detail(shown[deep]) > 1.2 * detail(whole[deep])
    assert np.array_equal(shown[~mask], photo[~mask])


def test_a_motion_taken_back_but_for_a_trace_is_exact() -> None:
    photo = noise(256, 256)
    window, mask = Window(0, 0, 256, 256, (256, 256)), disc((256, 256), 128, 128, 90)
    editor = Editor(photo)
    assert np.abs(editor.move(window, mask, steady(9, 4)).astype(int) - photo)[128, 128].max() > 0
    back = editor.move(window, mask, steady(-9.2, -3.7))
    deep = disc(photo.shape, 128, 128, 75)
    assert np.array_equal(back[deep], photo[deep])
    assert np.abs(back.astype(int) - photo).mean() < 1


def test_a_small_motion_stays_when_rounds_go_on_beside_it() -> None:
    photo = noise(256, 256)
    window, mask = Window(0, 0, 256, 256, (256, 256)), disc((256, 256), 128, 128, 90)
    editor = Editor(photo)
    moved = editor.move(window, mask, steady(0.4, 0))
    for _ in range(4):
        still = editor.move(window, mask, steady(0, 0))
    deep = disc(photo.shape, 128, 128, 80)
    assert np.abs(still[deep].astype(int) - moved[deep]).max() <= 1
    assert np.abs(still[deep].astype(int) - photo[deep]).mean() > 2


def block_move(at: int, by: int, colour: np.ndarray = RED) -> Generated:
    """A square block with its left edge at `at` goes `by` pixels to the right; where it was, a colour is drawn."""
    flow, revealed = np.zeros((256, 256, 2), np.float32), np.zeros((256, 256, 1), np.float32)
    revealed[100:140, at : at + 40] = 1
    flow[100:140, at + by : at + by + 40] = (-by, 0)
    revealed[100:140, at + by : at + by + 40] = 0
    return Generated(np.broadcast_to(colour, (256, 256, 3)).copy(), flow, revealed)


def test_what_was_covered_comes_back() -> None:
    photo = noise(256, 256)
    window, mask = Window(0, 0, 256, 256, (256, 256)), np.ones((256, 256), bool)
    editor = Editor(photo)
    once = editor.move(window, mask, block_move(50, 60))
    assert np.array_equal(once[100:140, 110:150], photo[100:140, 50:90])
    assert (once[105:135, 55:85] == RED * 255).all()
    twice = editor.move(window, mask, block_move(110, 60))
    assert np.array_equal(twice[102:138, 172:208], photo[102:138, 52:88]), "the block is the photo's own"
    assert np.array_equal(twice[104:136, 114:146], photo[104:136, 114:146]), "what it had covered"
    assert (twice[105:135, 55:85] == RED * 255).all(), "where it came from stays invented"


def test_what_is_shown_elsewhere_does_not_come_back() -> None:
    """The block's first place is covered by something else and opened again: the block is still away."""
    photo = noise(256, 256)
    window, mask = Window(0, 0, 256, 256, (256, 256)), np.ones((256, 256), bool)
    editor = Editor(photo)
    editor.move(window, mask, block_move(50, 60))
    covered = editor.move(window, mask, block_move(5, 45))
    assert np.array_equal(covered[102:138, 52:88], photo[102:138, 7:43])
    opened = editor.move(window, mask, block_move(50, -45))
    assert (opened[105:135, 55:85] == RED * 255).all()
    assert np.array_equal(opened[105:135, 112:148], photo[105:135, 52:88])


def test_pixels_without_motion_are_a_layer_of_their_own() -> None:
    """A generator without a flow: its pixels are shown, moved with later flows, and drawn over."""
    photo = noise(256, 256)
    window, mask = Window(0, 0, 256, 256, (256, 256)), disc((256, 256), 128, 128, 90)
    editor = Editor(photo)
    drawn = np.zeros((256, 256, 3), np.float32)
    drawn[:, :128] = RED
    editor.move(window, mask, Generated(drawn, None, None))
    moved = editor.move(window, mask, steady(-20, 0))
    assert (moved[128, 70:146] == RED * 255).all() and not moved[128, 150:200].any()
    over = editor.move(window, mask, Generated(drawn[:, ::-1].copy(), None, None))
    assert (over[128, 130:200] == RED * 255).all() and not over[128, 60:126].any()
    assert np.array_equal(over[~mask], photo[~mask])


def test_what_a_round_adds_is_not_taken_along() -> None:
    """Each round shows the photo's own pixels with its own change: changes do not pile up, none outlives the motion."""
    photo = np.clip(noise(256, 256), 40, 200)
    window, mask = Window(0, 0, 256, 256, (256, 256)), disc((256, 256), 128, 128, 90)
    lighter = np.full((256, 256, 3), 0.1, np.float32)
    editor = Editor(photo)
    nothing = Generated(np.zeros((256, 256, 3), np.float32), steady(8, 0).flow, np.zeros((256, 256, 1), np.float32))
    deep = disc(photo.shape, 128, 128, 60)
    for reach in (8, 16, 24):
        shown = editor.move(window, mask, replace(nothing, change=lighter))
        assert np.abs(shown[deep].astype(int) - np.roll(photo, -reach, axis=1)[deep] - 25.5).max() <= 1
    back = replace(nothing, flow=steady(-24, 0).flow, change=lighter)
    deeper = disc(photo.shape, 128, 128, 50)
    assert np.array_equal(editor.move(window, mask, back)[deeper], photo[deeper])


@pytest.mark.parametrize("form", ["grey", "rgba", "deep"])
def test_every_form_is_rendered_alike(form: str) -> None:
    colour = noise(256, 256)
    photo = {
        "grey": colour[..., 0],
        "rgba": np.concatenate([colour, colour[..., :1]], -1),
        "deep": colour.astype(np.uint16) * 257,
    }[form]
    window, mask = Window(0, 0, 256, 256, (256, 256)), np.ones((256, 256), bool)
    rgb, other = Editor(colour), Editor(photo)
    for generated in (block_move(50, 60, GREY), steady(3.5, 2), block_move(110, 60, GREY)):
        expected, shown = rgb.move(window, mask, generated), other.move(window, mask, generated)
    if form == "grey":
        assert np.abs(shown.astype(int) - expected[..., 0]).max() <= 1
    elif form == "rgba":
        assert np.array_equal(shown[..., :3], expected)
        assert np.array_equal(shown[..., 3], photo[..., 3])
    else:
        assert np.abs(shown / 257 - expected).max() < 1.5


def test_layers_are_small_in_a_large_photo_and_are_the_picture() -> None:
    photo = np.tile(noise(304, 400), (10, 10, 1))
    window, mask = Window(0, 0, 3040, 3072, (256, 256)), disc(photo.shape, 1500, 1500, 1200)
    editor = Editor(photo)
    for k in range(3):
        editor.move(window, mask, steady(3, k))
    (layer,) = editor.made[-1].layers_after
    assert layer.state.flow.nbytes < 512 * 512 * 8
    assert np.array_equal(render(photo, layer)[1000:1400, 1000:1400], editor.picture[layer.box][1000:1400, 1000:1400])
