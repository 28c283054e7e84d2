"""What a visitor sees when something goes wrong, seen in Chromium: `python tools/visitor_states.py`.

Makes each of these happen to a visitor with an edited photo, and prints the table of docs/studio.md: after how long the
page says something, what it says, and whether the visit goes on. Exit code 1 where something is not as it should be.
"""

from __future__ import annotations

import os
import signal
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from edgedrag.benchmarks.station.browser import Visitor, browser
from edgedrag.benchmarks.station.process import Kiosk
from edgedrag.runtime.files import scratch_folder

COFFEE = Path(__file__).parents[1] / "examples" / "coffee.png"
SIZE, SPOON, AWAY = (600, 400), (365.0, 285.0), (378.0, 303.0)
LONGEST = 60.0  # seconds until something has to be said
ASLEEP = 6.0  # seconds
SAID = """["link", "toast", "still-there"].map((id) => document.getElementById(id))
  .filter((each) => each.checkVisibility()).map((each) => each.innerText.trim().replaceAll("\\n", " "))"""

Case = Callable[[Visitor, Kiosk, Path], tuple[str, float, str]]


def said(visitor: Visitor) -> tuple[str, float]:
    """What the page says, and after how many seconds."""
    begun = time.monotonic()
    while time.monotonic() - begun < LONGEST:
        if texts := visitor.page.evaluate(SAID):
            return " / ".join(texts), time.monotonic() - begun
        visitor.page.wait_for_timeout(50)
    return "nothing", LONGEST


def goes_on(visitor: Visitor, undo: int = 1) -> str:
    """Whether the edited photo is there and can be edited further."""
    visitor.page.wait_for_selector("#link", state="hidden", timeout=LONGEST * 1e3)
    if not visitor.page.is_visible("#edit"):
        return "no: the first screen"
    visitor.page.wait_for_selector(f"#undo[data-count='{undo}']")
    visitor.edit((200, 160), (206, 172))
    visitor.page.wait_for_selector(f"#undo[data-count='{undo + 1}']")
    return "yes"


def killed(visitor: Visitor, kiosk: Kiosk, folder: Path) -> tuple[str, float, str]:
    kiosk.kill()
    first, seconds = said(visitor)
    with Kiosk(folder / "state", "--port", str(kiosk.port)):
        visitor.page.wait_for_selector("#attract:not([hidden])", timeout=LONGEST * 1e3)
        then, _ = said(visitor)
    return f"{first} Then: {then}", seconds, "no: the first screen"


def stopped(visitor: Visitor, kiosk: Kiosk, folder: Path) -> tuple[str, float, str]:
    os.kill(kiosk.process.pid, signal.SIGSTOP)
    text, seconds = said(visitor)
    os.kill(kiosk.process.pid, signal.SIGCONT)
    return text, seconds, goes_on(visitor)


def offline(visitor: Visitor, kiosk: Kiosk, folder: Path) -> tuple[str, float, str]:
    visitor.context.set_offline(True)
    begun = time.monotonic()
    text, _ = said(visitor)
    seconds = time.monotonic() - begun
    visitor.context.set_offline(False)
    return text, seconds, goes_on(visitor)


def reloaded(visitor: Visitor, kiosk: Kiosk, folder: Path) -> tuple[str, float, str]:
    visitor.page.reload()
    visitor.ready()
    visitor.page.wait_for_selector("#edit:not([hidden])")
    return "nothing", 0.0, goes_on(visitor)


def back(visitor: Visitor, kiosk: Kiosk, folder: Path) -> tuple[str, float, str]:
    visitor.page.goto("about:blank")
    visitor.page.go_back()
    visitor.ready()
    visitor.page.wait_for_selector("#edit:not([hidden])")
    return "nothing", 0.0, goes_on(visitor)


def second_window(visitor: Visitor, kiosk: Kiosk, folder: Path) -> tuple[str, float, str]:
    name = visitor.page.evaluate("sessionStorage.getItem('session')")
    other: Any = visitor.context.new_page()
    other.goto(f"{kiosk.url}/healthz")
    other.evaluate(f"sessionStorage.setItem('session', '{name}')")
    other.goto(kiosk.url)
    visitor.page.bring_to_front()
    text, seconds = said(visitor)
    other.wait_for_selector("#edit:not([hidden])")
    return text, seconds, "in the other window"


def asleep(visitor: Visitor, kiosk: Kiosk, folder: Path) -> tuple[str, float, str]:
    tab = visitor.context.new_cdp_session(visitor.page)
    visitor.context.set_offline(True)
    tab.send("Page.setWebLifecycleState", {"state": "frozen"})
    time.sleep(ASLEEP)
    tab.send("Page.setWebLifecycleState", {"state": "active"})
    text, seconds = said(visitor)
    visitor.context.set_offline(False)
    return text, seconds, goes_on(visitor)


def forgotten(visitor: Visitor, kiosk: Kiosk, folder: Path) -> tuple[str, float, str]:
    visitor.page.wait_for_selector("#attract:not([hidden])", timeout=LONGEST * 1e3)
    text, _ = said(visitor)
    return f"Are you still there? Then: {text}", 0.0, "no: the first screen"


# By what happens: how, further options of the station, and what the page has to say.
CASES: dict[str, tuple[Case, tuple[str, ...], str]] = {
    "the station is killed (SIGKILL) and comes back": (killed, (), "restarted"),
    "the station hangs (SIGSTOP, then SIGCONT)": (stopped, (), "No connection"),
    "the network is gone, then back": (offline, (), "No connection"),
    "a reload": (reloaded, (), "nothing"),
    "another page, and back": (back, (), "nothing"),
    "the photo is opened in a second window": (second_window, (), "another window"),
    f"the tablet sleeps for {ASLEEP:.0f} s, without a network": (asleep, (), "No connection"),
    "nobody touches it": (forgotten, ("--idle", "5"), "wiped after a pause"),
}


def main() -> int:
    """Print the table; how many rows are not as they should be, at most 1."""
    wrong = 0
    print("| what happens | the page says | after | the visit goes on |\n|---|---|---|---|")
    for name, (case, options, expected) in CASES.items():
        with scratch_folder() as folder, browser() as running:
            with Kiosk(folder / "state", *options) as kiosk:
                visitor = Visitor(running, kiosk.url)
                visitor.open(COFFEE, *SIZE)
                visitor.edit(SPOON, AWAY)
                try:
                    text, seconds, onward = case(visitor, kiosk, folder)
                except Exception as error:
                    text, seconds, onward = f"{type(error).__name__}: {error}".splitlines()[0], 0.0, "?"
        wrong = max(wrong, int(expected not in text))
        print(f"| {name} | {text} | {f'{seconds:.1f} s' if seconds else ''} | {onward} |", flush=True)
    return wrong


if __name__ == "__main__":
    sys.exit(main())
