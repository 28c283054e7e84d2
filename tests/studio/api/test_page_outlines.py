"""The outline of what a finger holds, where answers come late or not at all, in a real browser."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from pages import SPOON, chromium, kiosk, outlined, stage, tap, visit

from edgedrag.benchmarks.station.browser import Visitor

__all__ = ["chromium", "kiosk", "visit"]
pytestmark = pytest.mark.slow
WOOD = (560, 60)
SAME = 20  # of 255; a part that is drawn anew is sampled anew, and differs by less
# What the page asks the station for an outline goes through `change`, which gives the message to send, now or later.
CHANGED = """(() => {
  const send = WebSocket.prototype.send, change = %s;
  WebSocket.prototype.send = function (text) {
    const message = JSON.parse(text);
    if (message.type !== "hold") return send.call(this, text);
    Promise.resolve(change(message)).then((changed) => send.call(this, JSON.stringify(changed)));
  };
})()"""


def test_the_page_takes_a_touch_so_that_the_browser_does_not_wait_whether_it_scrolls(
    visit: Callable[..., Visitor],
) -> None:
    """Chromium holds back what comes through a WebSocket for up to 100 ms while it waits for that."""
    visitor = visit()
    visitor.page.evaluate("void addEventListener('touchstart', (event) => (window.taken = event.defaultPrevented))")
    visitor.touch("touchStart", visitor.at(*SPOON))
    assert visitor.page.evaluate("window.taken") is True


def test_an_outline_that_the_station_does_not_give_leaves_no_other_one(
    visit: Callable[..., Visitor], tmp_path: Path
) -> None:
    visitor = visit()
    at_first = stage(visitor, tmp_path)
    tap(visitor, SPOON)
    outlined(visitor)
    shown = stage(visitor, tmp_path)
    assert np.abs(shown - at_first).max() > 2 * SAME
    visitor.page.evaluate(CHANGED % "(message) => ({ ...message, point: [-5, -5] })")
    tap(visitor, SPOON)
    visitor.page.wait_for_timeout(300)
    assert "part" in visitor.page.inner_text("#hint")
    assert np.abs(stage(visitor, tmp_path) - at_first).max() < SAME


def test_an_outline_that_comes_after_the_next_touch_is_not_shown(visit: Callable[..., Visitor], tmp_path: Path) -> None:
    visitor = visit()
    tap(visitor, WOOD)
    outlined(visitor)
    of_wood = stage(visitor, tmp_path)
    visitor.page.reload()
    visitor.ready()
    visitor.page.wait_for_selector("#opening", state="hidden")
    late = "(message) => new Promise((done) => setTimeout(() => done(message), message.point[1] > 200 ? 600 : 0))"
    visitor.page.evaluate(CHANGED % late)
    tap(visitor, SPOON)
    tap(visitor, WOOD)
    outlined(visitor)
    visitor.page.wait_for_timeout(800)
    assert np.abs(stage(visitor, tmp_path) - of_wood).max() < SAME
