"""The kiosk's policies in a real Chromium, which reads them from a mount of its own."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from conftest import REPOSITORY

from edgedrag.benchmarks.station.browser import find_chromium
from edgedrag.benchmarks.station.process import Kiosk

POLICIES = REPOSITORY / "packaging" / "kiosk" / "etc" / "chromium" / "policies" / "managed" / "edgedrag.json"
STICK = REPOSITORY / "packaging" / "kiosk" / "usr" / "share" / "edgedrag" / "edgedrag_stick.json"
PORT = "8000"
FLAGS = ["--no-sandbox", "--enable-unsafe-swiftshader", "--use-fake-device-for-media-stream"]
WRAPPER = """#!/bin/sh
exec unshare --mount sh -c 'mount -t tmpfs none /etc/chromium && mkdir -p /etc/chromium/policies/managed &&
cp "$POLICIES"/* /etc/chromium/policies/managed/ && exec "$CHROMIUM" "$@"' sh "$@"
"""
# What the file dialog does to a page: "cancel" where it is switched off, nothing while it waits for a person.
ASK_FOR_A_FILE = """new Promise((done) => {
  const input = Object.assign(document.createElement("input"), { type: "file" });
  input.addEventListener("cancel", () => done("cancelled"));
  setTimeout(() => done("open"), 3000);
  input.click();
})"""

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def kiosk(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Kiosk]:
    with Kiosk(tmp_path_factory.mktemp("station")) as running:
        yield running


@pytest.fixture
def launch(kiosk: Kiosk, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """A function that starts a Chromium with policy files, for the station's own port; gives a page."""
    sync_api = pytest.importorskip("playwright.sync_api")
    chromium, test_mount = find_chromium(), ["unshare", "--mount", "true"]
    if chromium is None or not Path("/etc/chromium").is_dir():
        pytest.skip("needs Debian's Chromium")
    if shutil.which("Xvfb") is None:
        pytest.skip("needs Xvfb: without a screen Chromium has no file dialog")
    if shutil.which("unshare") is None or os.geteuid() != 0 or subprocess.run(test_mount).returncode:
        pytest.skip("needs root, to mount policies of its own")
    policies, wrapper = tmp_path / "policies", tmp_path / "chromium"
    policies.mkdir()
    wrapper.write_text(WRAPPER)
    wrapper.chmod(0o755)
    monkeypatch.setenv("POLICIES", str(policies))
    monkeypatch.setenv("CHROMIUM", chromium)
    command = ["Xvfb", "-displayfd", "1"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as screen:
        assert screen.stdout is not None
        monkeypatch.setenv("DISPLAY", f":{int(screen.stdout.readline())}")
        started: list[Any] = []
        with sync_api.sync_playwright() as playwright:

            def start(*files: Path) -> Any:
                for file in files:
                    rules = json.loads(file.read_text().replace(f"127.0.0.1:{PORT}", f"127.0.0.1:{kiosk.port}"))
                    for name in ("IncognitoModeAvailability", "DeveloperToolsAvailability"):
                        rules.pop(name, None)  # under these no program can drive the browser
                    (policies / file.name).write_text(json.dumps(rules))
                started.append(playwright.chromium.launch(executable_path=wrapper, args=FLAGS, headless=False))
                return started[-1].new_context().new_page()

            yield start
            for running in started:
                running.close()
        screen.terminate()


def test_the_browser_opens_the_station_alone_and_no_file_dialog(launch: Any, kiosk: Kiosk) -> None:
    page = launch(POLICIES)
    page.goto(kiosk.url)
    page.wait_for_selector("body[data-ready]")
    assert page.evaluate("navigator.permissions.query({ name: 'camera' }).then((found) => found.state)") == "granted"
    assert page.evaluate("navigator.permissions.query({ name: 'microphone' }).then((found) => found.state)") == "denied"
    assert page.evaluate(ASK_FOR_A_FILE) == "cancelled"
    page.click("#open")
    page.wait_for_selector("#toast:has-text('opens no files')")
    for elsewhere in ("file:///etc/passwd", f"http://localhost:{kiosk.port}/", "https://example.org/"):
        with pytest.raises(Exception, match="ERR_BLOCKED_BY_ADMINISTRATOR"):
            page.goto(elsewhere)


def test_with_the_file_for_sticks_the_dialog_opens(launch: Any, kiosk: Kiosk) -> None:
    """A later file of the folder counts; what the dialog can reach is bounded by the unit of the screen."""
    page = launch(POLICIES, STICK)
    page.goto(kiosk.url)
    page.wait_for_selector("body[data-ready]")
    assert page.evaluate(ASK_FOR_A_FILE) == "open"
    page.click("#open")
    page.wait_for_timeout(500)
    assert page.is_hidden("#toast")
