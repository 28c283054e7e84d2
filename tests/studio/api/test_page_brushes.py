"""Push, grow, shrink and smooth in a real browser: by touch, mouse and keyboard, shown as they are made."""

from __future__ import annotations

import json
import os
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from pages import BEFORE, COFFEE, chromium, kiosk, previewed, saved, stage, tap, visit

import edgedrag
from edgedrag.benchmarks.station.browser import PHONE, Visitor
from edgedrag.benchmarks.station.process import Kiosk
from edgedrag.runtime.drag.brush import check_stroke, stroke_flow
from edgedrag.runtime.photo.window import Window

pytestmark = pytest.mark.slow

__all__ = ["chromium", "kiosk", "visit"]
PATH = [(250.0 + 6 * k, 180 + 2 * k) for k in range(16)]


def shape(visitor: Visitor, kind: str) -> None:
    if visitor.page.get_attribute("#tool-shape", "aria-checked") != "true":
        visitor.page.click("#tool-shape")
    visitor.page.click(f"#tool-{kind}")
    assert visitor.page.get_attribute(f"#tool-{kind}", "aria-checked") == "true"


def sent(visitor: Visitor) -> list[dict[str, Any]]:
    """The strokes that a page sends from its next connection on."""
    strokes: list[dict[str, Any]] = []

    def listen(text: str | bytes) -> None:
        message = json.loads(text)
        if message["type"] == "stroke":
            strokes.append({name: message[name] for name in ("brush", "path", "radius")})

    visitor.page.on("websocket", lambda socket: socket.on("framesent", listen))
    visitor.open(COFFEE, 600, 400)
    return strokes


def finger(visitor: Visitor, *points: tuple[float, float], let_go: bool = True) -> None:
    visitor.touch("touchStart", visitor.at(*points[0]))
    for point in points[1:]:
        visitor.touch("touchMove", visitor.at(*point))
        visitor.settle()
    if let_go:
        visitor.touch("touchEnd")


def made(visitor: Visitor, count: int) -> None:
    visitor.page.wait_for_selector(f"#undo[data-count='{count}']")
    visitor.page.wait_for_selector("#progress", state="hidden")


def test_strokes_are_shown_as_they_go_and_made_as_shown(
    visit: Callable[..., Visitor], runtime: edgedrag.Runtime, tmp_path: Path
) -> None:
    visitor = visit(opens=False)
    strokes = sent(visitor)
    visitor.page.evaluate("window.setInterval = () => 0")  # a resting brush does not go on while the test looks
    visitor.page.evaluate("document.getElementById('overlay').style.opacity = 0")  # nor is its ring seen
    visitor.page.click("#tool-shape")
    visitor.page.fill("#brush-size", "70")
    before, photo = stage(visitor, tmp_path), runtime.load(BEFORE)
    for number, kind in enumerate(("push", "grow", "shrink", "smooth"), 1):
        shape(visitor, kind)
        visitor.forget_frames()
        finger(visitor, *PATH, let_go=False)
        visitor.page.wait_for_timeout(200)
        previewed(visitor, 8)
        preview = stage(visitor, tmp_path)
        visitor.touch("touchEnd")
        made(visitor, number)
        after = stage(visitor, tmp_path)
        moved, apart = (np.abs(cv2.GaussianBlur(after - other, (0, 0), 2)).mean() for other in (before, preview))
        assert moved > 0.1 and apart < 0.25 * moved, (kind, moved, apart)
        assert strokes[-1]["brush"] == kind and len(strokes) == number
        photo.brush(**strokes[-1])
        assert np.array_equal(saved(visitor, tmp_path), photo.image)
        before = after
    for number in (3, 2, 1, 0):
        visitor.page.click("#undo")
        visitor.page.wait_for_selector(f"#undo[data-count='{number}']")
    assert np.array_equal(saved(visitor, tmp_path), BEFORE)


@pytest.mark.parametrize("brush", ["push", "grow", "shrink"])
def test_the_page_computes_the_flow_that_the_runtime_does(visit: Callable[..., Visitor], brush: Any) -> None:
    visitor = visit(opens=False)
    turn = np.linspace(0, 5, 60)
    path = np.round(np.stack([200 + 70 * np.cos(turn), 160 + 50 * np.sin(turn)], 1), 2)
    path = np.concatenate([path, path[-1:], path[-1:]])
    script = """async ([brush, path, radius]) => {
      const { Field, Stroke, Walk } = await import("/static/field.js");
      const stroke = new Stroke(brush, path[0], radius), walk = new Walk(stroke);
      const field = new Field([80, 60, 260, 220], radius);
      const dabs = [...walk.begin(), ...path.slice(1).flatMap((point) => walk.to(point))];
      for (const dab of dabs) field.dab(stroke, dab);
      if (walk.rest()) field.dab(stroke, walk.rest());
      return [field.grid, [...field.data]];
    }"""
    grid, values = visitor.page.evaluate(script, [brush, path.tolist(), 30])
    flow = np.array(values, np.float32).reshape(grid[1], grid[0], 2)
    window = Window(60, 80, 220, 260, (grid[1], grid[0]))
    expected = stroke_flow(check_stroke(brush, path, 30, 1.0, 400, 600), window)
    apart = np.abs(flow - expected).max(-1)
    assert np.abs(expected).max() > 3 and np.quantile(apart, 0.99) < 0.01 * np.abs(expected).max(), (
        np.abs(expected).max(),
        apart.max(),
    )


def test_a_resting_brush_grows_on_and_a_tap_with_push_moves_nothing(
    visit: Callable[..., Visitor], tmp_path: Path
) -> None:
    visitor = visit(PHONE)
    shape(visitor, "push")
    tap(visitor, PATH[0])
    visitor.page.wait_for_timeout(200)
    assert visitor.page.is_disabled("#undo") and "under the brush" in visitor.page.inner_text("#hint")
    shape(visitor, "grow")
    shown = [stage(visitor, tmp_path)]
    visitor.touch("touchStart", visitor.at(*PATH[0]))
    for _ in range(2):
        visitor.page.wait_for_timeout(400)
        shown.append(stage(visitor, tmp_path))
    visitor.touch("touchEnd")
    made(visitor, 1)
    assert np.abs(shown[1] - shown[0]).mean() > 0.05 and np.abs(shown[2] - shown[1]).mean() > 0.05


def test_by_mouse_with_another_size_and_beside_the_photo(
    visit: Callable[..., Visitor], runtime: edgedrag.Runtime, tmp_path: Path
) -> None:
    visitor = visit(opens=False)
    strokes = sent(visitor)
    shape(visitor, "push")
    visitor.page.fill("#brush-size", "70")
    mouse = visitor.page.mouse
    mouse.move(*visitor.at(560, 200).values())
    mouse.down()
    for x in range(570, 720, 10):
        mouse.move(*visitor.at(x, 210).values())
    mouse.up()
    made(visitor, 1)
    assert max(x for x, _ in strokes[0]["path"]) > 600, "it goes on beside the photo"
    assert np.array_equal(saved(visitor, tmp_path), runtime.load(BEFORE).brush(**strokes[0]).image)


def test_by_keyboard(visit: Callable[..., Visitor], tmp_path: Path) -> None:
    visitor = visit()
    page = visitor.page
    page.focus("#tool-shape")
    page.keyboard.press("Enter")
    assert page.is_visible("#shape-kinds") and not page.is_visible("#brush-kinds")
    page.focus("#overlay")
    for key in ("Enter", *["Shift+ArrowRight"] * 4, "Enter"):
        page.keyboard.press(key)
    made(visitor, 1)
    assert (saved(visitor, tmp_path) != BEFORE).any()
    page.focus("#overlay")
    for key in ("Enter", "Shift+ArrowDown", "Escape"):
        page.keyboard.press(key)
    page.wait_for_timeout(300)
    assert page.get_attribute("#undo", "data-count") == "1", "Escape takes the brush away"
    page.keyboard.press("Control+z")
    made(visitor, 0)
    assert np.array_equal(saved(visitor, tmp_path), BEFORE)


def test_quick_strokes_and_an_undo_among_them_end_as_the_station_has_it(
    visit: Callable[..., Visitor], tmp_path: Path
) -> None:
    visitor = visit()
    shape(visitor, "push")
    for k in range(6):
        visitor.touch("touchStart", visitor.at(200 + 10 * k, 120 + 30 * k))
        for x in (10, 20, 30):
            visitor.touch("touchMove", visitor.at(200 + 10 * k + x, 120 + 30 * k))
        visitor.touch("touchEnd")
    made(visitor, 6)
    visitor.touch("touchStart", visitor.at(300, 300))
    visitor.touch("touchMove", visitor.at(340, 300))
    visitor.touch("touchEnd")
    visitor.page.evaluate("document.getElementById('undo').click()")
    visitor.page.wait_for_timeout(1000)
    assert visitor.page.get_attribute("#undo", "data-count") in ("5", "6")
    shown = stage(visitor, tmp_path)
    visitor.page.reload()
    visitor.ready()
    visitor.page.wait_for_selector("#edit:not([hidden])")
    assert np.abs(stage(visitor, tmp_path) - shown).mean() < 1
    visitor.page.click("#original")
    visitor.page.wait_for_selector("#original:not([disabled])")
    assert np.array_equal(saved(visitor, tmp_path), BEFORE)


def test_what_is_protected_stays_in_the_preview_too(visit: Callable[..., Visitor], tmp_path: Path) -> None:
    visitor = visit()
    visitor.page.click("#tool-brush")
    finger(visitor, (300, 20), (300, 380))
    visitor.page.fill("#brush-size", "60")
    shape(visitor, "push")
    before = stage(visitor, tmp_path)
    finger(visitor, *[(x, 200.0) for x in range(230, 320, 10)], let_go=False)
    visitor.page.wait_for_timeout(200)
    apart = np.abs(stage(visitor, tmp_path) - before).max(-1)
    visitor.touch("touchEnd")
    made(visitor, 1)
    changed = (saved(visitor, tmp_path) != BEFORE).any(-1)
    assert changed[:, 200:285].any() and not changed[:, 290:310].any()
    scale = apart.shape[1] / 560
    left, right = round((293 - 20) * scale), round((307 - 20) * scale)
    inside = apart[:, left:right]
    ring = inside > 60  # the brush's own ring is drawn over the photo
    assert (inside[~ring] > 8).mean() < 0.05


def test_a_smooth_with_nothing_to_smooth_says_so(visit: Callable[..., Visitor]) -> None:
    visitor = visit()
    shape(visitor, "smooth")
    finger(visitor, *PATH)
    visitor.page.wait_for_selector("#toast:has-text('Nothing was moved here')")
    assert visitor.page.is_disabled("#undo")


def test_a_second_finger_takes_the_stroke_back(visit: Callable[..., Visitor], tmp_path: Path) -> None:
    visitor = visit()
    before = stage(visitor, tmp_path)
    shape(visitor, "push")
    finger(visitor, *PATH, let_go=False)
    a, b = visitor.at(*PATH[-1]), visitor.at(400, 300)
    visitor.touch("touchStart", a, b)
    visitor.touch("touchEnd")
    visitor.page.wait_for_timeout(300)
    assert visitor.page.is_disabled("#undo")
    visitor.page.click("#tool-pull")
    assert np.abs(stage(visitor, tmp_path) - before).mean() < 1


def test_a_stroke_cut_short_by_a_lost_link_is_told(chromium: Any, tmp_path: Path) -> None:
    with Kiosk(tmp_path / "state") as kiosk:
        visitor = Visitor(chromium, kiosk.url)
        visitor.open(COFFEE, 600, 400)
        shape(visitor, "push")
        finger(visitor, *PATH[:8], let_go=False)
        os.kill(kiosk.process.pid, signal.SIGSTOP)
        visitor.page.wait_for_selector("#link:not([hidden])", timeout=3500)
        finger_goes_on = visitor.at(*PATH[9])
        visitor.touch("touchMove", finger_goes_on)
        visitor.touch("touchEnd")
        os.kill(kiosk.process.pid, signal.SIGCONT)
        visitor.page.wait_for_selector("#link", state="hidden")
        made(visitor, 1)
        assert (saved(visitor, tmp_path) != BEFORE).any()
        visitor.context.close()
