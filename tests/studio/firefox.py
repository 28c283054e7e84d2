"""Debian's Firefox, driven over WebDriver BiDi: a visitor with real touch, keyboard and mouse events.

Playwright drives only a Firefox build of its own. Firefox is headless, as its window has the keyboard then, and gets a
screen all the same (Xvfb), as it has no WebGL without one.
"""

from __future__ import annotations

import base64
import json
import shutil
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from websockets.sync.client import ClientConnection, connect

from edgedrag.benchmarks.station.browser import ANSWER_SECONDS, KIOSK, Visitor

NAMES = ("firefox-esr", "firefox")
PREFERENCES = {
    "webgl.force-enabled": True,
    "dom.w3c_touch_events.enabled": 1,
    "ui.prefersReducedMotion": 1,  # its processor time is for the test
    # A new profile's own pages and panels take the keyboard from the tab.
    "browser.aboutwelcome.enabled": False,
    "browser.startup.homepage_override.mstone": "ignore",
    "datareporting.policy.dataSubmissionEnabled": False,
    "datareporting.policy.dataSubmissionPolicyBypassNotification": True,
    "termsofuse.bypassNotification": True,
    "browser.download.alwaysOpenPanel": False,
    "app.normandy.enabled": False,
}
KEYS = {
    **{"ArrowLeft": "\ue012", "ArrowUp": "\ue013", "ArrowRight": "\ue014", "ArrowDown": "\ue015", "Enter": "\ue007"},
    **{"Tab": "\ue004", "Escape": "\ue00c", "Space": " ", "Control": "\ue009", "Shift": "\ue008"},
}
CENTRE = """(() => {
  const found = document.querySelector(%s);
  found.scrollIntoView({ block: "nearest" });
  const { left, top, width, height } = found.getBoundingClientRect();
  return [left + width / 2, top + height / 2];
})()"""


class Bidi:
    """A connection to a browser. Raises AssertionError where the browser refuses a command."""

    def __init__(self, line: ClientConnection):
        self._line = line
        self._number = 0
        self.events: list[dict[str, Any]] = []

    def send(self, method: str, **values: Any) -> dict[str, Any]:
        self._number += 1
        self._line.send(json.dumps({"id": self._number, "method": method, "params": values}))
        while True:
            answer = json.loads(self._line.recv(timeout=ANSWER_SECONDS))
            if answer.get("id") != self._number:
                self.events.append(answer)
                continue
            assert answer["type"] == "success", (method, answer)
            return answer["result"]


class Keyboard:
    """As Playwright's: `press("Shift+ArrowLeft")`."""

    def __init__(self, page: Page):
        self._page = page

    def press(self, keys: str) -> None:
        values = [KEYS.get(key, key) for key in keys.split("+")]
        down = [{"type": "keyDown", "value": value} for value in values]
        up = [{"type": "keyUp", "value": value} for value in reversed(values)]
        self._page.act({"type": "key", "id": "keyboard", "actions": down + up})


class Page:
    """A tab, with those of Playwright's methods that a Visitor calls; selectors are CSS."""

    def __init__(self, bidi: Bidi, context: str):
        self._bidi, self.context = bidi, context
        self.keyboard = Keyboard(self)

    def send(self, method: str, **values: Any) -> dict[str, Any]:
        return self._bidi.send(method, context=self.context, **values)

    def act(self, *sources: dict[str, Any]) -> None:
        self.send("input.performActions", actions=list(sources))

    def goto(self, url: str) -> None:
        self.send("browsingContext.navigate", url=url, wait="complete")

    def reload(self) -> None:
        self.send("browsingContext.reload", wait="complete")

    def evaluate(self, expression: str) -> Any:
        answer = self._bidi.send(
            "script.callFunction",
            functionDeclaration=f"async () => JSON.stringify((await ({expression})) ?? null)",
            target={"context": self.context},
            awaitPromise=True,
        )
        assert answer["type"] == "success", answer
        return json.loads(answer["result"]["value"])

    def ask(self, selector: str, what: str) -> Any:
        """A property of an element, null where there is none."""
        return self.evaluate(f"document.querySelector({json.dumps(selector)})?.{what}")

    def is_visible(self, selector: str) -> bool:
        return bool(self.ask(selector, "checkVisibility()"))

    def is_enabled(self, selector: str) -> bool:
        return self.ask(selector, "disabled") is False

    def inner_text(self, selector: str) -> str:
        return str(self.ask(selector, "innerText"))

    def get_attribute(self, selector: str, name: str) -> str | None:
        value: str | None = self.ask(selector, f"getAttribute({json.dumps(name)})")
        return value

    def wait_for_timeout(self, milliseconds: float) -> None:
        time.sleep(milliseconds / 1e3)

    def wait_for_selector(self, selector: str, state: str = "visible", timeout: float = ANSWER_SECONDS * 1e3) -> None:
        until = time.monotonic() + timeout / 1e3
        while self.is_visible(selector) != (state == "visible"):
            assert time.monotonic() < until, f"{selector} is not {state}"
            time.sleep(0.03)

    def centre(self, selector: str) -> dict[str, float]:
        x, y = self.evaluate(CENTRE % json.dumps(selector))
        return {"x": x, "y": y}

    def mouse(self, *steps: dict[str, Any]) -> None:
        self.act({"type": "pointer", "id": "mouse", "parameters": {"pointerType": "mouse"}, "actions": list(steps)})

    def click(self, selector: str) -> None:
        self.wait_for_selector(selector)
        self.mouse(
            moved(self.centre(selector)), {"type": "pointerDown", "button": 0}, {"type": "pointerUp", "button": 0}
        )

    def focus(self, selector: str) -> None:
        self.ask(selector, "focus()")

    def set_input_files(self, selector: str, file: Path) -> None:
        found = self.send("browsingContext.locateNodes", locator={"type": "css", "value": selector})["nodes"]
        self.send("input.setFiles", element={"sharedId": found[0]["sharedId"]}, files=[str(file)])

    def screenshot(self, path: Path) -> None:
        path.write_bytes(base64.b64decode(self.send("browsingContext.captureScreenshot")["data"]))


def moved(to: dict[str, float]) -> dict[str, Any]:
    return {"type": "pointerMove", "x": to["x"], "y": to["y"]}


class FirefoxVisitor(Visitor):
    """A visitor's tab in Firefox."""

    def __init__(self, bidi: Bidi, url: str, folder: Path, size: tuple[int, int] = KIOSK, language: str = "en"):
        self._bidi, self._folder = bidi, folder
        made = bidi.send("browsingContext.create", type="tab")
        self.page: Any = Page(bidi, made["context"])
        self.page.send("browsingContext.activate")  # only the tab in front has the keyboard
        self.complaints: list[str] = []
        self.page.send("browsingContext.setViewport", viewport={"width": size[0], "height": size[1]})
        self.page.goto(f"{url}/?lang={language}")
        self.ready()
        self.photo = (1, 1)
        self._fingers = 0

    def at(self, x: float, y: float) -> dict[str, float]:
        """As Visitor's, by what the page itself says."""
        box = self.page.evaluate("document.getElementById('overlay').getBoundingClientRect().toJSON()")
        return self.placed(box, x, y)

    def touch(self, kind: str, *points: dict[str, float]) -> None:
        """Fingers are numbered by their place in `points`; those that are missing are lifted."""
        sources = []
        for finger in range(max(self._fingers, len(points))):
            steps: list[dict[str, Any]] = [moved(points[finger])] if finger < len(points) else []
            if finger >= self._fingers:
                steps.append({"type": "pointerDown", "button": 0})
            elif finger >= len(points):
                steps.append({"type": "pointerUp", "button": 0})
            parameters = {"pointerType": "touch"}
            sources.append({"type": "pointer", "id": f"finger {finger}", "parameters": parameters, "actions": steps})
        self._fingers = len(points)
        self.page.act(*sources)

    def download(self, press: Callable[[], None], file: Path) -> Path:
        for old in self._folder.iterdir():
            old.unlink()
        press()
        until = time.monotonic() + ANSWER_SECONDS
        while time.monotonic() < until:
            found = list(self._folder.iterdir())
            if len(found) == 1 and found[0].suffix != ".part" and found[0].stat().st_size:
                return found[0].rename(file)
            time.sleep(0.05)
        raise AssertionError("nothing was saved")

    def end(self) -> None:
        """Close the tab; the page's errors are then in `complaints`."""
        self.page.send("browsingContext.close")
        for event in self._bidi.events:
            said = event.get("params", {})
            if said.get("level") == "error" and said["source"].get("context") == self.page.context:
                self.complaints.append(said["text"])
        self._bidi.events.clear()


@contextmanager
def firefox(folder: Path, downloads: Path) -> Iterator[Bidi]:
    """A running Firefox with a profile in `folder`; skips the test where it is not installed."""
    program = next((path for name in NAMES if (path := shutil.which(name))), None)
    if program is None or shutil.which("Xvfb") is None:
        pytest.skip("needs Firefox and Xvfb (Debian: apt install firefox-esr xvfb)")
    preferences = (f"user_pref({json.dumps(name)}, {json.dumps(value)});\n" for name, value in PREFERENCES.items())
    (folder / "user.js").write_text("".join(preferences))
    with subprocess.Popen(["Xvfb", "-displayfd", "1"], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as screen:
        assert screen.stdout is not None
        command = [program, "--headless", "--no-remote", "--profile", str(folder), "--remote-debugging-port", "0"]
        environment = {"DISPLAY": f":{int(screen.stdout.readline())}", "HOME": str(folder), "PATH": "/usr/bin:/bin"}
        log = folder / "log"
        with (
            log.open("w") as errors,
            subprocess.Popen(command, env=environment, stdout=errors, stderr=errors) as running,
        ):
            try:
                with connect(f"{_address(log)}/session", max_size=None) as line:
                    bidi = Bidi(line)
                    bidi.send("session.new", capabilities={})
                    bidi.send("session.subscribe", events=["log.entryAdded"])
                    allowed = {"type": "allowed", "destinationFolder": str(downloads)}
                    bidi.send("browser.setDownloadBehavior", downloadBehavior=allowed)
                    yield bidi
            finally:
                running.terminate()
                screen.terminate()


def _address(log: Path) -> str:
    """Where Firefox listens, as its log says."""
    until = time.monotonic() + ANSWER_SECONDS
    while time.monotonic() < until:
        for line in log.read_text().splitlines():
            if "BiDi listening on" in line:
                return line.split()[-1]
        time.sleep(0.05)
    raise AssertionError(log.read_text())
