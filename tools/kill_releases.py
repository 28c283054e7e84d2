"""Installing, switching and rolling back releases, killed at random moments while others open the bundle."""

from __future__ import annotations

import json
import os
import random
import shutil
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

from edgedrag.runtime.bundle.installed import read_serving
from edgedrag.runtime.bundle.manifest import SHIPPED, open_bundle
from edgedrag.runtime.errors import EdgedragError
from edgedrag.runtime.files import ASIDE
from edgedrag.runtime.releases.install import verify
from edgedrag.runtime.releases.store import LOCK, releases

NAME = "shop"
MOST_RELEASES = 4


class Reader(threading.Thread):
    """Opens the bundle by its name again and again, as starting commands and stations do."""

    def __init__(self) -> None:
        super().__init__(daemon=True)
        self.opened, self.problems = 0, list[str]()
        self._stop_asked = threading.Event()

    def run(self) -> None:
        while not self._stop_asked.wait(0.05):
            try:
                open_bundle(NAME)
                self.opened += 1
            except EdgedragError as error:
                self.problems.append(f"while a command ran: {error}")

    def stop(self) -> None:
        self._stop_asked.set()
        self.join()


def command(arguments: list[str], after: float | None) -> tuple[bool, str]:
    """Run a command of edgedrag and kill it after so many seconds; whether it was killed, and what it said."""
    process = subprocess.Popen(
        [sys.executable, "-m", "edgedrag", "bundle", *arguments], stdout=subprocess.DEVNULL, stderr=subprocess.PIPE,
        text=True, start_new_session=True,
    )  # fmt: skip
    try:
        said = process.communicate(timeout=after)[1]
        return False, said if process.returncode else ""
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        process.communicate()
        return True, ""


def make_versions(root: Path, bundle: Path) -> list[Path]:
    """Copies of a bundle that differ in their version."""
    found = []
    for number in range(5):
        folder = shutil.copytree(bundle, root / f"v{number}")
        manifest = json.loads((folder / "bundle.json").read_text())
        (folder / "bundle.json").write_text(json.dumps({**manifest, "version": str(number)}))
        found.append(folder)
    return found


def problems_now(allowed: set[str | None]) -> list[str]:
    """What is wrong after a kill: the bundle does not open, is damaged, or is neither the old nor the new one."""
    try:
        verify(open_bundle(NAME))
        serving = read_serving(NAME)
    except EdgedragError as error:
        return [str(error)]
    assert serving is not None
    return [] if serving.release in allowed else [f"{serving.release} serves, allowed were {allowed}"]


def leftovers(store: Path) -> list[str]:
    """What a completed command may not leave."""
    left = [f"{path.name} is left" for path in store.rglob(f"{ASIDE}*") if path.name != LOCK]
    many = len(releases(NAME))
    return left + ([f"{many} releases"] if many > MOST_RELEASES else [])


def kill_releases(kills: int, seed: int, root: Path, bundle: Path = SHIPPED / "embedded") -> dict[str, Any]:
    """Kill so often; returns the figures and the problems."""
    store = root / "store"
    os.environ["EDGEDRAG_BUNDLES"] = str(store)
    versions = make_versions(root, bundle)
    moments = random.Random(seed)
    problems, killed, completed = list[str](), 0, 0
    seconds: dict[str, float] = {}
    install = ["install", "--unsigned", "--name", NAME]
    for kind, arguments in (("install", [*install, str(versions[0])]), ("use", ["use", NAME])):
        begun = time.monotonic()
        said = command(arguments, None)[1]
        problems += [said] if said else []
        seconds[kind] = time.monotonic() - begun
    command([*install, "--use", str(versions[1])], None)
    seconds["rollback"] = seconds["use"]
    reader = Reader()
    reader.start()
    while killed < kills:
        kind = moments.choice(("install", "install", "use", "rollback"))
        serving = read_serving(NAME)
        assert serving is not None
        installed = releases(NAME)
        arguments, allowed = {
            "install": ([*install, str(moments.choice(versions))], {serving.release}),
            "use": (["use", NAME, chosen := moments.choice(installed)], {serving.release, chosen}),
            "rollback": (["rollback", NAME], {serving.release, *serving.before}),
        }[kind]
        was_killed, said = command(arguments, moments.uniform(0, seconds[kind]))
        found = problems_now(set(allowed))
        if not was_killed:
            completed += 1
            found += leftovers(store)
            found += [said] if said and "nothing served before" not in said else []
        killed += was_killed
        problems += [f"after kill {killed}, {kind}: {problem}" for problem in found]
    reader.stop()
    command([*install, str(versions[0])], None)
    problems += leftovers(store) + reader.problems
    return {
        "kills": killed,
        "completed": completed,
        "opened_meanwhile": reader.opened,
        "seconds_undisturbed": {kind: round(spent, 2) for kind, spent in seconds.items()},
        "problems": problems,
    }
