"""Visits in a real browser: two at once, reloads, languages, leaving, a lost station, accessibility, staff."""

from __future__ import annotations

import json
import os
import signal
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest
from conftest import REPOSITORY
from pages import AWAY, BEFORE, COFFEE, SPOON, brush, chromium, kiosk, saved, visit
from stations import PULL, opened

from edgedrag.benchmarks.station.browser import KIOSK, PHONE, Visitor
from edgedrag.benchmarks.station.process import Kiosk

__all__ = ["chromium", "kiosk", "visit"]
pytestmark = pytest.mark.slow


def test_two_visitors_at_once_do_not_meet(visit: Callable[..., Visitor], tmp_path: Path) -> None:
    one, two = visit(), visit(PHONE)
    one.pull(SPOON, AWAY, let_go=False)
    two.edit((200, 160), (206, 172))
    one.touch("touchEnd")
    one.shown()
    first, second = saved(one, tmp_path), saved(two, tmp_path)
    assert (first != BEFORE).any() and (second != BEFORE).any() and (first != second).any()
    assert not ((first != BEFORE).any(-1) & (second != BEFORE).any(-1)).all()


def test_a_reload_in_mid_edit_goes_on_where_it_was(visit: Callable[..., Visitor], tmp_path: Path) -> None:
    visitor = visit()
    visitor.edit(SPOON, AWAY)
    after = saved(visitor, tmp_path)
    visitor.pull((200, 160), (206, 172), let_go=False)
    visitor.page.reload()
    visitor.ready()
    visitor.page.wait_for_selector("#edit:not([hidden])")
    assert np.array_equal(saved(visitor, tmp_path), after)
    visitor.page.click("#undo")
    visitor.page.wait_for_selector("#undo[disabled]")
    assert np.array_equal(saved(visitor, tmp_path), BEFORE)


def test_the_page_speaks_japanese(visit: Callable[..., Visitor]) -> None:
    visitor = visit(language="ja")
    assert visitor.page.inner_text("#tool-pull") == "ひっぱる"
    visitor.edit(SPOON, AWAY)
    assert visitor.page.inner_text("#verdict-text") == "できました。"
    visitor.page.click("#corner .language")
    visitor.page.click("#languages [value=en]")
    visitor.page.wait_for_selector("html[lang=en]")
    assert visitor.page.inner_text("#tool-pull") == "Pull"
    visitor.page.reload()
    visitor.ready()
    assert visitor.page.get_attribute("html", "lang") == "en", "the visitor's choice, not the address's"
    visitor.page.goto(visitor.page.url.replace("lang=en", "lang=de"))
    visitor.ready()
    assert visitor.page.get_attribute("html", "lang") == "de", "a new address counts"


def test_what_is_no_photo_is_said_so(visit: Callable[..., Visitor], tmp_path: Path) -> None:
    visitor = visit(opens=False)
    (tmp_path / "broken.png").write_bytes(COFFEE.read_bytes()[:9000])
    (tmp_path / "notes.txt").write_text("no photo")
    for name, text in (("notes.txt", "no photo that can be read"), ("broken.png", "damaged")):
        visitor.page.set_input_files("#file", tmp_path / name)
        visitor.page.wait_for_selector(f"#toast:has-text('{text}')")
        assert visitor.page.is_visible("#attract")
    visitor.complaints.clear()  # the browser notes the 422


def test_without_camera_and_files_the_samples_remain(visit: Callable[..., Visitor]) -> None:
    """A browser without a camera, and with a kiosk's rules: what does not work is not advised, in any language."""
    page = visit(opens=False).page
    page.evaluate("void (HTMLInputElement.prototype.click = function () { this.dispatchEvent(new Event('cancel')); })")

    def said(button: str) -> str:
        page.evaluate("void (document.getElementById('toast').hidden = true)")
        page.click(button)
        page.wait_for_selector("#toast:not([hidden])")
        return str(page.inner_text("#toast"))

    english = json.loads((LANGUAGES / "en.json").read_text())
    assert said("#take") == english["error_camera"], "the page does not know of the files yet"
    for language in sorted(LANGUAGES.glob("*.json")):
        page.evaluate(SPOKEN % language.stem)
        for button in ("#open", "#take"):
            assert said(button) == json.loads(language.read_text())["error_only_samples"]


def test_leaving_and_idling_wipe_the_photo(chromium: Any, tmp_path: Path) -> None:
    with Kiosk(tmp_path / "state", "--idle", "4") as kiosk:
        visitor = Visitor(chromium, kiosk.url)
        visitor.open(COFFEE, 600, 400)
        visitor.page.wait_for_selector("#still-there[open]")
        visitor.page.click("#stay")
        assert not visitor.page.is_visible("#still-there")
        visitor.page.wait_for_selector("#attract:not([hidden])", timeout=15_000)
        assert visitor.page.evaluate("sessionStorage.getItem('session')") is None
        visitor.photo = (600, 400)
        visitor.page.click(".sample")
        visitor.page.wait_for_selector("#edit:not([hidden])")
        visitor.page.wait_for_selector("#opening", state="hidden")
        visitor.edit(SPOON, AWAY)
        visitor.page.click("#leave")
        visitor.page.click("#finish-stay")
        assert visitor.page.is_visible("#edit")
        visitor.page.click("#leave")
        visitor.page.click("#finish-end")
        visitor.page.wait_for_selector("#attract:not([hidden])")
        limit = time.monotonic() + 10
        while (wiped := sum(said["event"] == "session wiped" for said in kiosk.lines)) < 2 and time.monotonic() < limit:
            time.sleep(0.1)
        assert wiped == 2
        visitor.context.close()


def test_a_lost_station_is_told_and_its_return_ends_the_visit(chromium: Any, tmp_path: Path) -> None:
    with Kiosk(tmp_path / "state") as kiosk:
        visitor = Visitor(chromium, kiosk.url)
        page = visitor.page
        visitor.open(COFFEE, 600, 400)
        page.evaluate("navigator.serviceWorker.ready.then(() => true)")
        os.kill(kiosk.process.pid, signal.SIGSTOP)
        page.wait_for_selector("#link:not([hidden])", timeout=30_000)
        os.kill(kiosk.process.pid, signal.SIGCONT)
        page.wait_for_selector("#link", state="hidden")
        assert visitor.edit(SPOON, AWAY) and page.is_enabled("#undo"), "it goes on"
        kiosk.kill()
        page.wait_for_selector("#link:not([hidden])")
        page.reload()
        visitor.ready()
        page.wait_for_selector("#link:has-text('No connection')")
    with Kiosk(tmp_path / "state", "--port", str(kiosk.port)):
        page.wait_for_selector("#toast:has-text('restarted')", timeout=30_000)
        page.wait_for_selector("#link", state="hidden")
        assert page.is_visible("#attract")
        visitor.context.close()


LANGUAGES = REPOSITORY / "studio" / "static" / "i18n"
# What lies over the photo, is cut off or leaves the screen; "no connection" may be shown at any time.
OUT_OF_PLACE = """(() => {
  const link = document.getElementById("link"), { hidden } = link;
  link.hidden = false;
  const faults = [], stage = document.getElementById("stage").getBoundingClientRect();
  for (const id of ["panel", "tools", "link"]) {
    const { left, right, top, bottom } = document.getElementById(id).getBoundingClientRect();
    if (Math.min(right, stage.right) - Math.max(left, stage.left) > 1
        && Math.min(bottom, stage.bottom) - Math.max(top, stage.top) > 1) faults.push(`${id} lies over the photo`);
  }
  link.hidden = hidden;
  const buttons = [...document.querySelectorAll("#attract button, #corner button, #tools button, .kinds button")];
  for (const button of buttons.filter((each) => each.checkVisibility())) {
    const { left, right, top, bottom } = button.getBoundingClientRect();
    if (Math.min(left, top, innerWidth - right, innerHeight - bottom) < 0) faults.push(`${button.id} is off screen`);
    if (button.scrollWidth > button.clientWidth + 1) faults.push(`${button.id} is cut off`);
  }
  const rows = new Set([...document.querySelectorAll("#tools button")].map((each) => each.getBoundingClientRect().top));
  if (rows.size > 2 || (innerWidth > 1150 && rows.size > 1)) faults.push(`tools in ${rows.size} rows`);
  return faults;
})()"""


SPOKEN = "import('./static/words.js').then(({ speak }) => speak('%s'))"
FOUR_SIZES = (KIOSK, PHONE, (844, 390), (1920, 1080))


def test_nothing_is_cut_off_in_any_language_at_four_sizes(visit: Callable[..., Visitor]) -> None:
    page = visit().page
    for width, height in (*FOUR_SIZES, (1180, 820), (1024, 768)):
        page.set_viewport_size({"width": width, "height": height})
        for language in sorted(LANGUAGES.glob("*.json")):
            page.evaluate(SPOKEN % language.stem)
            for tool in ("pull", "brush", "shape"):
                page.evaluate(f"document.getElementById('tool-{tool}').click()")
                faults = page.evaluate(OUT_OF_PLACE)
                assert not faults, (language.stem, tool, width, faults)


@pytest.mark.parametrize("scheme", ["dark", "light"])
def test_each_screen_is_accessible_at_four_sizes(visit: Callable[..., Visitor], scheme: Any) -> None:
    """WCAG 2.2 AA, as far as axe-core can tell."""
    axe = pytest.importorskip("axe_playwright_python.sync_playwright", reason="needs axe-playwright-python").Axe()
    visitor = visit(opens=False, language="de")
    page = visitor.page
    page.emulate_media(color_scheme=scheme, reduced_motion="reduce")
    rules = {"runOnly": ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa"]}

    def check(screen: str) -> None:
        for width, height in FOUR_SIZES:
            page.set_viewport_size({"width": width, "height": height})
            faults = page.evaluate(OUT_OF_PLACE)
            assert not faults, (screen, width, faults)
            answer = axe.run(page, options=rules).response
            found = answer["violations"]
            assert len(answer["passes"]) > 8, "it looked"
            faults = [(rule["id"], [node["html"][:90] for node in rule["nodes"]]) for rule in found]
            assert not faults, (screen, width, faults)

    check("first screen")
    visitor.open(COFFEE, 600, 400)
    visitor.edit(SPOON, AWAY)
    check("result")
    brush(visitor, "protect")
    check("brush")
    page.click("#tool-shape")
    check("shape")
    page.click("#save")
    check("saving")


def test_staff_see_health_test_the_station_and_lock_it_again(visit: Callable[..., Visitor], kiosk: Kiosk) -> None:
    with httpx.Client(base_url=kiosk.url, timeout=60) as client:
        assert client.post(f"{opened(client)}/edits", json={"drags": PULL}).status_code == 200
    visitor = visit(opens=False)
    page = visitor.page
    page.goto(f"{kiosk.url}/staff")
    visitor.ready()
    page.fill("#code", "this-is-not-the-code")
    page.click("#enter button")
    page.wait_for_selector("#refused:has-text('not right')")
    visitor.complaints.clear()  # the browser notes the 401
    page.fill("#code", kiosk.staff["Authorization"].partition(" ")[2])
    page.click("#enter button")
    page.wait_for_selector("#board:not([hidden])")
    page.click("#test")
    page.wait_for_selector("#report[data-passed=true]")
    assert "edgedrag" in page.inner_text("#facts") and "idle_seconds" in page.inner_text("#settings")
    assert page.locator("#days tr").count() >= 1
    exceeded = httpx.get(f"{kiosk.url}/api/staff/health", headers=kiosk.staff).json()["exceeded"]
    assert page.get_attribute("#state", "data-well") == ("false" if exceeded else "true")
    assert page.locator("#exceeded li").count() == len(exceeded)
    page.click(".language")
    page.click("#languages [value=ja]")
    page.wait_for_selector("#state:has-text('正常')" if not exceeded else "#exceeded li:has-text('上限')")
    assert "staff_" not in page.inner_text("#board"), "a text that is missing shows its name"
    page.click("#done")
    page.wait_for_selector("#attract")
    page.goto(f"{kiosk.url}/staff")
    visitor.ready()
    assert page.is_visible("#enter") and not page.is_visible("#board")
