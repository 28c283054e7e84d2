"""Edits on the page in a real browser, by touch: what a visitor sees and does."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest
from pages import AWAY, BEFORE, SPOON, brush, chromium, kiosk, outlined, previewed, saved, stage, stroke, tap, visit
from PIL import Image

import edgedrag
from edgedrag.benchmarks.station.browser import KIOSK, PHONE, Visitor

__all__ = ["chromium", "kiosk", "visit"]
pytestmark = pytest.mark.slow


@pytest.mark.parametrize("size", [KIOSK, PHONE], ids=["kiosk", "phone"])
def test_pull_let_go_undo_redo_a_second_round_and_save(
    visit: Callable[..., Visitor], size: tuple[int, int], tmp_path: Path
) -> None:
    visitor = visit(size)
    at_first = stage(visitor, tmp_path)
    visitor.forget_frames()
    visitor.pull(SPOON, AWAY, steps=30, let_go=False)
    previewed(visitor, 3, SPOON, AWAY)  # while the finger is down
    visitor.touch("touchMove", visitor.at(*AWAY))
    visitor.page.wait_for_timeout(300)
    preview = stage(visitor, tmp_path)
    assert np.abs(preview - at_first).mean() > 0.3, "and are shown"
    visitor.touch("touchEnd")
    visitor.shown()
    assert visitor.page.is_visible("#verdict") and visitor.page.inner_text("#verdict-text") == "Done."
    after = saved(visitor, tmp_path)
    changed = (after != BEFORE).any(-1)
    expected = edgedrag.open().load(BEFORE).drag([(SPOON, AWAY)])
    assert 0.005 < changed.mean() < 0.9 and not changed[~cv2_grown(expected.mask)].any()
    visitor.page.click("#undo")
    visitor.page.wait_for_selector("#undo[disabled]")
    assert np.array_equal(saved(visitor, tmp_path), BEFORE)
    assert np.abs(stage(visitor, tmp_path) - at_first).max() <= 2, "the screen shows the photo again"
    visitor.page.click("#redo")
    visitor.page.wait_for_selector("#redo[disabled]")
    assert np.array_equal(saved(visitor, tmp_path), after)
    visitor.edit((200, 160), (206, 172))
    assert (saved(visitor, tmp_path) != after).any()


def cv2_grown(mask: np.ndarray) -> np.ndarray:
    """A mask and 24 pixels around it: a finger ends within a screen pixel of where it was meant to, not on it."""
    return cv2.dilate(mask.astype(np.uint8), np.ones((49, 49), np.uint8)) > 0


def test_a_painted_area_holds_the_edit_and_the_eraser_takes_from_it(
    visit: Callable[..., Visitor], tmp_path: Path
) -> None:
    visitor = visit()
    brush(visitor, "paint")
    stroke(visitor, (330, 270), (400, 270), (400, 310), (330, 310), (330, 290), (400, 290))
    brush(visitor, "erase")
    stroke(visitor, (420, 260), (420, 330))
    visitor.page.click("#tool-pull")
    visitor.edit(SPOON, AWAY)
    changed = (saved(visitor, tmp_path) != BEFORE).any(-1)
    assert changed.any() and not changed[:, :300].any() and not changed[:, 407:].any() and not changed[:240].any()


def test_several_arrows_make_one_edit(visit: Callable[..., Visitor]) -> None:
    visitor = visit()
    visitor.page.click("#several")
    visitor.pull(SPOON, AWAY)
    visitor.pull((345, 245), (352, 255))
    assert visitor.page.is_visible("#apply") and visitor.page.is_disabled("#undo")
    visitor.forget_result()
    visitor.page.click("#apply")
    visitor.shown()
    assert visitor.page.is_enabled("#undo") and not visitor.page.is_visible("#apply")
    visitor.page.click("#undo")
    visitor.page.wait_for_selector("#undo[disabled]")


def test_a_bad_result_says_why_and_can_be_tried_again_or_left_at_the_preview(
    visit: Callable[..., Visitor], tmp_path: Path
) -> None:
    visitor = visit()

    def fail() -> None:
        brush(visitor, "paint")
        stroke(visitor, (365, 285), (366, 285))
        visitor.page.click("#tool-pull")
        assert visitor.edit(SPOON, (480, 330)) == "bad"

    fail()
    text = visitor.page.inner_text("#verdict-text")
    assert "This did not work well" in text and len(text.splitlines()) >= 2
    failed = saved(visitor, tmp_path)
    visitor.forget_result()
    visitor.page.click("#keep-preview")
    visitor.shown()
    kept = saved(visitor, tmp_path)
    assert not np.array_equal(kept, BEFORE) and visitor.page.is_enabled("#undo")
    visitor.page.click("#undo")
    visitor.page.wait_for_selector("#undo[disabled]")
    fail()
    assert np.array_equal(saved(visitor, tmp_path), failed)
    visitor.page.click("#retry")
    visitor.page.wait_for_selector("#apply:not([hidden])")
    stroke(visitor, (340, 260), (490, 350), (340, 350), (490, 260))
    visitor.forget_result()
    visitor.page.click("#apply")
    visitor.shown()
    assert (saved(visitor, tmp_path) != failed).any()


def test_a_tap_is_no_pull_and_a_second_finger_zooms(visit: Callable[..., Visitor], tmp_path: Path) -> None:
    visitor = visit()
    before = stage(visitor, tmp_path)
    a, b = visitor.at(280, 200), visitor.at(320, 200)
    visitor.touch("touchStart", a)
    visitor.touch("touchStart", a, b)
    for step in range(1, 11):
        apart = 12 * step
        visitor.touch("touchMove", {**a, "x": a["x"] - apart}, {**b, "x": b["x"] + apart})
    visitor.touch("touchEnd")
    assert np.abs(stage(visitor, tmp_path) - before).mean() > 5, "the photo is larger now"
    assert visitor.page.is_disabled("#undo")
    visitor.page.click("#fit")
    assert np.abs(stage(visitor, tmp_path) - before).mean() < 1
    tap(visitor, SPOON)
    visitor.page.wait_for_timeout(300)
    assert visitor.page.is_disabled("#undo") and "whole thing" in visitor.page.inner_text("#hint")


def test_a_resting_finger_shows_what_moves_and_taps_change_what_is_meant(
    visit: Callable[..., Visitor], runtime: edgedrag.Runtime, tmp_path: Path
) -> None:
    visitor = visit()
    at_first, hints, seen = stage(visitor, tmp_path), [], []
    for _ in range(3):
        visitor.forget_measures()
        tap(visitor, SPOON)
        outlined(visitor)
        hints.append(visitor.page.inner_text("#hint"))
        seen.append(stage(visitor, tmp_path))
    assert "whole thing" in hints[0] and "part" in hints[1] and "neighbourhood" in hints[2]
    for shown, before in zip(seen, [at_first, *seen]):
        assert np.abs(shown - before).max() > 40, "another outline"
    held = runtime.load(BEFORE).hold(SPOON)
    assert held.answer("part").follows.sum() < held.answer("neighbourhood").follows.sum()
    visitor.edit(SPOON, AWAY)  # the neighbourhood, as the last tap said
    expected = runtime.load(BEFORE).drag([(SPOON, AWAY)], answer="neighbourhood")
    changed = (saved(visitor, tmp_path) != BEFORE).any(-1)
    assert not changed[~cv2_grown(expected.mask)].any()
    other = runtime.load(BEFORE).drag([(SPOON, AWAY)], answer="thing")
    same = [(changed == (edit.image != BEFORE).any(-1)).mean() for edit in (expected, other)]
    assert same[0] > same[1]


def test_two_fingers_on_it_turn_and_size_it(visit: Callable[..., Visitor], tmp_path: Path) -> None:
    visitor = visit()
    before = stage(visitor, tmp_path)
    one, two = visitor.at(300, 180), visitor.at(330, 180)
    visitor.touch("touchStart", one)
    outlined(visitor)
    visitor.touch("touchStart", one, two)
    visitor.forget_frames()
    visitor.forget_result()
    for step in range(1, 7):
        visitor.touch("touchMove", {**one, "x": one["x"] - 3 * step}, {**two, "y": two["y"] + 8 * step})
        visitor.page.wait_for_timeout(30)
    previewed(visitor, 1)
    visitor.touch("touchEnd")
    visitor.shown()
    assert visitor.page.is_enabled("#undo") and np.abs(stage(visitor, tmp_path) - before).max() > 20
    visitor.page.click("#undo")
    visitor.page.wait_for_selector("#undo[disabled]")


def test_another_answer_takes_the_place_of_the_first(visit: Callable[..., Visitor], tmp_path: Path) -> None:
    visitor = visit()
    visitor.edit(SPOON, AWAY)
    first = saved(visitor, tmp_path)
    visitor.page.wait_for_selector("#choices button:nth-child(3)", timeout=30_000)
    visitor.forget_result()
    visitor.page.click("#choices button:nth-child(2)")
    visitor.shown()
    assert visitor.page.is_visible("#choices") and visitor.page.is_enabled("#undo")
    assert (saved(visitor, tmp_path) != first).any()
    visitor.forget_result()
    visitor.page.click("#choices button:nth-child(1)")
    visitor.shown()
    assert np.array_equal(saved(visitor, tmp_path), first)
    visitor.page.click("#undo")
    visitor.page.wait_for_selector("#undo[disabled]")
    assert not visitor.page.is_visible("#choices")


def test_protected_and_restored_parts_pins_and_the_original(visit: Callable[..., Visitor], tmp_path: Path) -> None:
    visitor = visit(PHONE)
    brush(visitor, "protect")
    stroke(visitor, (300, 200), (300, 399))
    visitor.page.click("#tool-pin")
    tap(visitor, (200, 160))
    visitor.page.click("#tool-pull")
    visitor.edit(SPOON, AWAY)
    first = saved(visitor, tmp_path)
    assert np.array_equal(first[210:, 290:310], BEFORE[210:, 290:310]) and (first != BEFORE).any()
    brush(visitor, "restore")
    stroke(visitor, (365, 260), (365, 320))
    visitor.page.wait_for_selector("#undo[data-count='2']")
    second = saved(visitor, tmp_path)
    assert np.array_equal(second[265:315, 355:375], BEFORE[265:315, 355:375]) and (second != first).any()
    visitor.page.reload()
    visitor.ready()
    visitor.page.wait_for_selector("#edit:not([hidden])")
    assert visitor.page.is_enabled("#clear"), "the protection is still there"
    visitor.page.click("#original")
    visitor.page.wait_for_selector("#undo[data-count='3']")
    assert np.array_equal(saved(visitor, tmp_path), BEFORE)
    visitor.page.click("#clear")
    visitor.page.wait_for_selector("#clear[disabled]")


def test_quick_pulls_are_all_made_and_the_last_is_shown(visit: Callable[..., Visitor], tmp_path: Path) -> None:
    visitor = visit()
    for k in range(6):
        visitor.pull((200 + 4 * k, 160), (206 + 4 * k, 172), steps=2)
    visitor.page.wait_for_selector("#progress", state="hidden", timeout=30_000)
    assert int(visitor.page.get_attribute("#undo", "data-count") or 0) == 6
    after = saved(visitor, tmp_path)
    assert (after != BEFORE).any()
    visitor.page.evaluate("document.getElementById('verdict').hidden = true")
    shown = stage(visitor, tmp_path)
    visitor.page.reload()
    visitor.ready()
    visitor.page.wait_for_selector("#edit:not([hidden])")
    assert np.abs(stage(visitor, tmp_path) - shown).mean() < 1, "the screen shows what the station has"


def test_holding_compare_shows_the_photo_as_it_was(visit: Callable[..., Visitor], tmp_path: Path) -> None:
    visitor = visit()
    before = stage(visitor, tmp_path)
    visitor.edit(SPOON, AWAY)
    visitor.page.evaluate("document.getElementById('verdict').hidden = true")
    after = stage(visitor, tmp_path)
    visitor.page.focus("#compare")
    visitor.page.keyboard.down("Space")
    held = stage(visitor, tmp_path)
    visitor.page.keyboard.up("Space")
    assert np.abs(held - before).max() <= 2 < np.abs(after - before).max()
    assert np.abs(stage(visitor, tmp_path) - after).max() <= 2


def test_by_keyboard_alone(visit: Callable[..., Visitor], tmp_path: Path) -> None:
    visitor = visit()
    visitor.forget_result()
    visitor.page.focus("#overlay")
    for key in ("ArrowLeft", "Enter", *["Shift+ArrowRight"] * 2, "Shift+ArrowDown", "Enter"):
        visitor.page.keyboard.press(key)
    visitor.shown()
    assert (saved(visitor, tmp_path) != BEFORE).any()
    visitor.page.focus("#overlay")
    visitor.page.keyboard.press("Control+z")
    visitor.page.wait_for_selector("#undo[disabled]")
    assert np.array_equal(saved(visitor, tmp_path), BEFORE)


def test_a_second_finger_elsewhere_holds_what_is_there(visit: Callable[..., Visitor], tmp_path: Path) -> None:
    visitor = visit()
    one, two = visitor.at(320, 150), visitor.at(80, 370)
    visitor.touch("touchStart", one)
    outlined(visitor)
    visitor.page.wait_for_timeout(350)  # it rests
    visitor.touch("touchStart", one, two)
    assert visitor.page.inner_text("#hint") == "Each finger moves what it holds."
    for step in range(1, 5):
        visitor.touch("touchMove", {**one, "y": one["y"] - 6 * step}, {**two, "x": two["x"] + 8 * step})
    visitor.forget_result()
    visitor.touch("touchEnd")
    visitor.shown()
    changed = (saved(visitor, tmp_path) != BEFORE).any(-1)
    assert visitor.page.get_attribute("#undo", "data-count") == "1", "one edit"
    assert changed[100:200, 250:400].any() and changed[330:, :160].any(), "at both fingers"


def test_what_jpeg_cannot_hold_is_said_when_saving(visit: Callable[..., Visitor], tmp_path: Path) -> None:
    visitor = visit(opens=False)
    file = tmp_path / "clear.png"
    edgedrag.save_picture(file, edgedrag.Picture(np.dstack([BEFORE[..., :3], np.full((400, 600), 90, np.uint8)])))
    visitor.open(file, 600, 400)
    visitor.page.click("#save")
    assert "transparency" in visitor.page.inner_text("#save-note") and visitor.page.is_disabled("#save-jpeg")
    with visitor.page.expect_download():
        visitor.page.click("#save-png")
    Image.fromarray(BEFORE[..., :3]).convert("CMYK").save(tmp_path / "inks.jpg")
    visitor.page.set_input_files("#file", tmp_path / "inks.jpg")
    visitor.until("document.getElementById('toast').innerText.includes('CMYK')")
    visitor.page.wait_for_selector("#opening", state="hidden")
    visitor.page.click("#save")
    assert "CMYK" in visitor.page.inner_text("#save-note") and visitor.page.is_enabled("#save-jpeg")


def test_a_large_photo_shows_a_draft_and_an_undo_of_it_undoes_the_edit(
    visit: Callable[..., Visitor], tmp_path: Path
) -> None:
    visitor = visit(opens=False)
    file = tmp_path / "large.png"
    large = cv2.resize(BEFORE[..., :3], (1800, 1200), interpolation=cv2.INTER_CUBIC)
    edgedrag.save_picture(file, edgedrag.Picture(large))
    visitor.open(file, 1800, 1200)
    visitor.pull((1095, 855), (1134, 909))
    visitor.measured("release to result")
    visitor.page.evaluate("document.getElementById('undo').disabled = false")  # as after an earlier edit
    visitor.page.click("#undo")
    visitor.page.wait_for_selector("#undo[disabled]")
    visitor.page.wait_for_selector("#redo:not([disabled])")
    assert np.array_equal(saved(visitor, tmp_path), large), "the edit was made, and undone"
    visitor.page.click("#redo")
    visitor.page.wait_for_selector("#undo:not([disabled])")
    assert (saved(visitor, tmp_path) != large).any()
