"""A station and its visitors in a real browser, which tests of the page share, and what their fingers do."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from conftest import EXAMPLES

import edgedrag
from edgedrag.benchmarks.station.browser import KIOSK, Visitor, browser
from edgedrag.benchmarks.station.process import Kiosk

COFFEE = EXAMPLES / "coffee.png"
BEFORE = edgedrag.load_picture(COFFEE).pixels
SPOON, AWAY = (365, 285), (375, 299)


@pytest.fixture(scope="module")
def chromium() -> Iterator[Any]:
    try:
        with browser() as running:
            yield running
    except edgedrag.InputError as missing:
        pytest.skip(str(missing))


@pytest.fixture(scope="module")
def kiosk(tmp_path_factory: pytest.TempPathFactory, chromium: Any) -> Iterator[Kiosk]:
    with Kiosk(tmp_path_factory.mktemp("station")) as running:
        yield running


@pytest.fixture
def visit(kiosk: Kiosk, chromium: Any) -> Iterator[Callable[..., Visitor]]:
    """A visitor with the example photo open; none may have seen an error at the end."""
    came: list[Visitor] = []

    def come(size: tuple[int, int] = KIOSK, language: str = "en", url: str = "", opens: bool = True) -> Visitor:
        came.append(Visitor(chromium, url or kiosk.url, size, language))
        if opens:
            came[-1].open(COFFEE, 600, 400)
        return came[-1]

    yield come
    for visitor in came:
        assert not visitor.complaints, visitor.complaints
        visitor.context.close()


def saved(visitor: Visitor, folder: Path) -> np.ndarray:
    return edgedrag.load_picture(visitor.saved(folder / "saved.png")).pixels


def stage(visitor: Visitor, folder: Path) -> np.ndarray:
    """What the stage shows of the photo, float; without the parts where texts and buttons lie."""
    visitor.settle()
    visitor.page.wait_for_timeout(150)
    (left, top), (right, bottom) = (visitor.at(*corner).values() for corner in ((20, 70), (580, 330)))
    clip = {"x": left, "y": top, "width": right - left, "height": bottom - top}
    visitor.page.screenshot(path=folder / "stage.png", clip=clip)
    return edgedrag.load_picture(folder / "stage.png").pixels[..., :3].astype(float)


def stroke(visitor: Visitor, *points: tuple[float, float]) -> None:
    visitor.touch("touchStart", visitor.at(*points[0]))
    for point in points[1:]:
        visitor.touch("touchMove", visitor.at(*point))
    visitor.touch("touchEnd")


def tap(visitor: Visitor, point: tuple[float, float]) -> None:
    visitor.touch("touchStart", visitor.at(*point))
    visitor.touch("touchEnd")


def brush(visitor: Visitor, kind: str) -> None:
    visitor.page.click("#tool-brush")
    visitor.page.click(f"#tool-{kind}")


def previewed(visitor: Visitor, least: int, *points: tuple[float, float]) -> None:
    """Move one finger between photo pixels, or none, until so many previews were drawn; a busy station skips some."""
    for turn in range(300):
        if visitor.frames() >= least:
            return
        if points:
            visitor.touch("touchMove", visitor.at(*points[turn % len(points)]))
        visitor.page.wait_for_timeout(100)
    raise AssertionError(f"{visitor.frames()} previews in 30 seconds")


def outlined(visitor: Visitor) -> None:
    """Wait until the outline of what a finger holds is on the screen."""
    visitor.measured("touch to outline")
