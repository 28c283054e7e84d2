"""A simulated user of the station: headless Chromium, driven by Playwright with touch events."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from edgedrag.runtime.errors import InputError

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
FLAGS = ("--no-sandbox",)  # for root in a container
KIOSK, PHONE = (1280, 800), (390, 844)
ANSWER_SECONDS = 30
STEP_SECONDS = 0.025  # between touch events of a pull


def find_chromium() -> str | None:
    """The browser's path: $EDGEDRAG_CHROMIUM, or an installed Chromium; None if there is none."""
    named = os.environ.get("EDGEDRAG_CHROMIUM")
    return named or next((path for name in NAMES if (path := shutil.which(name))), None)


@contextmanager
def browser() -> Iterator[Any]:
    """A running browser. Raises ModuleNotFoundError without Playwright, InputError without Chromium."""
    from playwright.sync_api import sync_playwright

    chromium = find_chromium()
    if chromium is None:
        raise InputError(
            "Chromium is not installed: install it (Debian: apt install chromium), or set EDGEDRAG_CHROMIUM"
        )
    with sync_playwright() as playwright:
        running = playwright.chromium.launch(executable_path=chromium, args=list(FLAGS))
        yield running
        running.close()


class Visitor:
    """A visitor's tab; errors of the page are collected in `complaints`."""

    def __init__(self, running: Any, url: str, size: tuple[int, int] = KIOSK, language: str = "en"):
        self.context = running.new_context(
            viewport={"width": size[0], "height": size[1]}, has_touch=True, accept_downloads=True
        )
        self.page = self.context.new_page()
        self.complaints: list[str] = []
        self.page.on("pageerror", lambda error: self.complaints.append(str(error)))
        self.page.on("console", lambda said: self.complaints.append(said.text) if said.type == "error" else None)
        self.page.goto(f"{url}/?lang={language}")
        self.ready()
        self._touches = self.context.new_cdp_session(self.page)
        self.photo = (1, 1)

    def ready(self) -> None:
        self.page.wait_for_selector("body[data-ready]")

    def open(self, photo: Path, width: int, height: int) -> None:
        """Open a photo file of this size; returns when it is shown."""
        self.photo = (width, height)
        self.page.set_input_files("#file", photo)
        self.page.wait_for_selector("#edit:not([hidden])")
        self.page.wait_for_selector("#opening", state="hidden")
        self.page.wait_for_selector("#toast", state="hidden")
        self.settle()

    def settle(self) -> None:
        """Wait for two animation frames, so that pending drawing is done."""
        self.page.evaluate("new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)))")

    def at(self, x: float, y: float) -> dict[str, float]:
        """The screen position of a photo pixel, while the whole photo is visible."""
        return self.placed(self.page.locator("#overlay").bounding_box(), x, y)

    def placed(self, box: dict[str, float], x: float, y: float) -> dict[str, float]:
        """The same, where the canvas lies in `box`."""
        scale = min(box["width"] / self.photo[0], box["height"] / self.photo[1])
        left = box["x"] + (box["width"] - self.photo[0] * scale) / 2
        top = box["y"] + (box["height"] - self.photo[1] * scale) / 2
        return {"x": left + (x + 0.5) * scale, "y": top + (y + 0.5) * scale}

    def touch(self, kind: str, *points: dict[str, float]) -> None:
        """Send a touch event: touchStart, touchMove or touchEnd."""
        marked = [{**point, "id": number} for number, point in enumerate(points)]
        self._touches.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": marked})

    def throttle(self, times: float) -> None:
        """Slow the browser's processor down."""
        self._touches.send("Emulation.setCPUThrottlingRate", {"rate": times})

    def pull(self, start: tuple[float, float], end: tuple[float, float], steps: int = 12, let_go: bool = True) -> None:
        """Move a finger from one photo pixel to another."""
        self.touch("touchStart", self.at(*start))
        for step in range(1, steps + 1):
            share = step / steps
            self.touch("touchMove", self.at(*(a + (b - a) * share for a, b in zip(start, end))))
            self.page.wait_for_timeout(STEP_SECONDS * 1e3)
        if let_go:
            self.touch("touchEnd")

    def edit(self, start: tuple[float, float], end: tuple[float, float], steps: int = 12) -> str:
        """Pull and wait for the result; returns its verdict."""
        self.forget_result()
        self.pull(start, end, steps)
        self.shown()
        return str(self.page.get_attribute("#verdict", "data-verdict"))

    def forget_result(self) -> None:
        for name in ("result", "made"):
            self.page.evaluate(f"performance.clearMeasures('release to {name}')")

    def shown(self) -> None:
        """Wait for a result that is made of all pixels of the photo, and on the screen."""
        self.measured("release to made")

    def forget_measures(self) -> None:
        self.page.evaluate("performance.clearMeasures()")

    def measured(self, name: str) -> float:
        """Milliseconds of the page's newest measure of a name; waits until there is one.

        Playwright's wait functions need `eval`, which the page's CSP forbids.
        """
        self.until(f"performance.getEntriesByName('{name}').length")
        return float(self.page.evaluate(f"performance.getEntriesByName('{name}').at(-1).duration"))

    def until(self, true: str) -> None:
        """Wait until an expression of the page is true."""
        for _ in range(round(ANSWER_SECONDS / 0.02)):
            if self.page.evaluate(true):
                return
            self.page.wait_for_timeout(20)
        raise AssertionError(f"not within {ANSWER_SECONDS} s: {true}")

    def previewed(self) -> None:
        """Wait for a preview frame since `forget_frames`."""
        self.until("performance.getEntriesByName('preview frame').length")

    def frames(self) -> int:
        """The number of preview frames drawn since `forget_frames`."""
        return int(self.page.evaluate("performance.getEntriesByName('preview frame').length"))

    def longest_gap(self) -> float:
        """Milliseconds between the two preview frames, of those since `forget_frames`, that lie furthest apart."""
        return float(
            self.page.evaluate(
                "Math.max(0, ...performance.getEntriesByName('preview frame')"
                ".map(({ startTime }, i, all) => (i ? startTime - all[i - 1].startTime : 0)))"
            )
        )

    def forget_frames(self) -> None:
        self.page.evaluate("performance.clearMarks('preview frame')")

    def release_ms(self) -> float:
        """Milliseconds from the release to the displayed result, for the last edit."""
        return float(self.page.evaluate("performance.getEntriesByName('release to result').at(-1).duration"))

    def saved(self, file: Path) -> Path:
        """Save as PNG and store the download in a file."""
        self.page.click("#save")
        return self.download(lambda: self.page.click("#save-png"), file)

    def download(self, press: Callable[[], None], file: Path) -> Path:
        """Store what the browser downloads after a press of a button in a file."""
        with self.page.expect_download() as download:
            press()
        download.value.save_as(file)
        return file

    def slow_down(self, times: int) -> None:
        """Let the browser's processor run so many times slower from now on."""
        self._touches.send("Emulation.setCPUThrottlingRate", {"rate": times})

    def end(self) -> None:
        """Close the tab."""
        self.context.close()
