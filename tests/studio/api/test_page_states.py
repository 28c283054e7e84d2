"""A whole visit by touch, mouse and keyboard, in Chromium and in Debian's Firefox."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest
from firefox import FirefoxVisitor, firefox
from hands import Keys, Mouse, Touch
from pages import AWAY, COFFEE, SPOON, chromium  # noqa: F401  # asked for by its name

import edgedrag
from edgedrag.benchmarks.station.browser import Visitor
from edgedrag.benchmarks.station.process import Kiosk

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def kiosk(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Kiosk]:
    with Kiosk(tmp_path_factory.mktemp("station")) as running:
        yield running


@pytest.fixture(scope="module")
def in_firefox(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[..., FirefoxVisitor]]:
    """A function that opens a tab for a visitor."""
    downloads = tmp_path_factory.mktemp("downloads")
    with firefox(tmp_path_factory.mktemp("profile"), downloads) as bidi:
        yield lambda url, **options: FirefoxVisitor(bidi, url, downloads, **options)


@pytest.fixture
def come(request: pytest.FixtureRequest, kiosk: Kiosk) -> Iterator[Callable[..., Any]]:
    """A function that brings a visitor in the browser of a name; none may have seen an error at the end."""
    came: list[Any] = []

    def bring(name: str, url: str = "") -> Any:
        opens = request.getfixturevalue("chromium" if name == "chromium" else "in_firefox")
        came.append(Visitor(opens, url or kiosk.url) if name == "chromium" else opens(url or kiosk.url))
        return came[-1]

    yield bring
    for visitor in came:
        visitor.end()
        assert not visitor.complaints, visitor.complaints


def station_picture(visitor: Visitor, kiosk: Kiosk) -> np.ndarray:
    session = visitor.page.evaluate("sessionStorage.getItem('session')")
    return edgedrag.load_picture(httpx.get(f"{kiosk.url}/api/sessions/{session}/picture").content).pixels


def undone(visitor: Visitor, count: int) -> None:
    """Wait until so many edits can be undone."""
    visitor.page.wait_for_selector(f"#undo[data-count='{count}']")


# By touch, Chromium is tried in test_page.py.
@pytest.mark.parametrize(
    "name, hand_of",
    [("firefox", Keys), ("firefox", Touch), ("firefox", Mouse), ("chromium", Mouse), ("chromium", Keys)],
)
def test_a_visit_from_the_sample_to_the_end(
    come: Callable[..., Any], kiosk: Kiosk, name: str, hand_of: Any, tmp_path: Path
) -> None:
    visitor = come(name)
    page, hand = visitor.page, hand_of(visitor)
    hand.press(".sample")
    page.wait_for_selector("#edit")
    page.wait_for_selector("#opening", state="hidden")
    visitor.photo = (600, 400)
    before = station_picture(visitor, kiosk)
    hand.press("#tool-pin")
    hand.down((200, 160))
    if hand_of is not Keys:  # whose Enter sets a pin at once
        hand.up()
    page.wait_for_selector("#clear:not([disabled])")
    hand.press("#clear")
    page.wait_for_selector("#clear[disabled]")
    hand.press("#tool-pull")
    hand.down(SPOON)
    assert visitor.measured("touch to outline") > 0
    visitor.forget_frames()
    hand.to(AWAY)
    visitor.previewed()
    hand.up()
    visitor.shown()
    undone(visitor, 1)
    assert page.is_visible("#verdict")
    first = station_picture(visitor, kiosk)
    page.wait_for_selector("#choices button:nth-child(2)")
    visitor.forget_result()
    hand.press("#choices button:nth-child(2)")
    visitor.shown()
    assert (station_picture(visitor, kiosk) != first).any()
    hand.press("#undo")
    undone(visitor, 0)
    assert np.array_equal(station_picture(visitor, kiosk), before)
    hand.press("#redo")
    undone(visitor, 1)
    hand.press("#leave")
    hand.press("#finish-save")
    file = visitor.download(lambda: hand.press("#save-png"), tmp_path / "saved.png")
    assert np.array_equal(edgedrag.load_picture(file).pixels, station_picture(visitor, kiosk))
    hand.press("#leave")
    page.wait_for_selector("#attract")


def test_firefox_brushes_protection_and_what_is_restored(come: Callable[..., Any], kiosk: Kiosk) -> None:
    visitor = come("firefox")
    page, finger, mouse = visitor.page, Touch(visitor), Mouse(visitor)
    visitor.open(COFFEE, 600, 400)

    def paint(hand: Touch | Mouse, *points: tuple[float, float]) -> None:
        hand.down(points[0])
        for point in points[1:]:
            hand.to(point)
        hand.up()

    def changed(since: np.ndarray, rows: slice, columns: slice) -> bool:
        return bool((station_picture(visitor, kiosk) != since)[rows, columns].any())

    first = station_picture(visitor, kiosk)
    finger.press("#tool-shape")
    for number, (kind, hand) in enumerate(
        (("push", finger), ("grow", mouse), ("shrink", finger), ("smooth", mouse)), 1
    ):
        before = station_picture(visitor, kiosk)
        hand.press(f"#tool-{kind}")
        paint(hand, (250, 180), (270, 188), (290, 196))
        undone(visitor, number)
        assert changed(before, slice(120, 260), slice(190, 350)), kind
        assert not changed(before, slice(280, 400), slice(0, 600)), "far from the brush"
    finger.press("#tool-brush")
    finger.press("#tool-protect")
    paint(finger, (370, 285), (374, 295), (378, 303))
    page.wait_for_selector("#clear:not([disabled])")
    before = station_picture(visitor, kiosk)
    mouse.press("#tool-pull")
    mouse.down((200, 160))
    assert visitor.measured("touch to outline") > 0
    mouse.to((208, 174))
    visitor.forget_result()
    mouse.up()
    visitor.shown()
    undone(visitor, 5)
    assert changed(before, slice(0, 400), slice(0, 600)) and not changed(before, slice(288, 301), slice(370, 379))
    mouse.press("#tool-brush")
    mouse.press("#tool-restore")
    paint(mouse, (250, 180), (270, 188), (290, 196))
    undone(visitor, 6)
    assert not changed(first, slice(184, 190), slice(262, 280)), "as it was opened"


def test_firefox_two_fingers_languages_and_a_lost_station(come: Callable[..., Any], tmp_path: Path) -> None:
    with Kiosk(tmp_path / "state") as kiosk:
        visitor = come("firefox", kiosk.url)
        page, hand = visitor.page, Touch(visitor)
        visitor.open(COFFEE, 600, 400)
        hand.press("#corner .language")
        hand.press("#languages [value=ja]")
        page.wait_for_selector("html[lang=ja]")
        assert page.inner_text("#tool-pull") == "ひっぱる"
        one, two = visitor.at(300, 180), visitor.at(330, 180)
        ways = [(one["x"] - 3 * step, two["y"] + 8 * step) for step in range(7)]
        visitor.two_fingers([{**one, "x": x} for x, _ in ways], [{**two, "y": y} for _, y in ways])
        visitor.shown()
        undone(visitor, 1)
        os.kill(kiosk.process.pid, signal.SIGSTOP)
        page.wait_for_selector("#link", timeout=3500)
        os.kill(kiosk.process.pid, signal.SIGCONT)
        page.wait_for_selector("#link", state="hidden")
        visitor.edit(SPOON, AWAY)
        undone(visitor, 2)
        page.reload()
        visitor.ready()
        page.wait_for_selector("#edit")
        undone(visitor, 2)
        kiosk.kill()
        page.wait_for_selector("#link")
    with Kiosk(tmp_path / "state", "--port", str(kiosk.port)):
        visitor.until("document.getElementById('toast').innerText.includes('再起動')")  # in the language of the choice
        page.wait_for_selector("#link", state="hidden")
        assert page.is_visible("#attract")
