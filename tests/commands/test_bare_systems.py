"""The command line where much of a system is missing: home folder, user name, temporary and cache folders, writing."""

from __future__ import annotations

import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from conftest import EXAMPLES
from unprivileged import unprivileged

pytestmark = pytest.mark.slow

EDGEDRAG = [sys.executable, "-m", "edgedrag"]
DRAG = ["drag", str(EXAMPLES / "coffee.png"), "--drag", "365,285:378,303", "-o"]
NO_HOME: dict[str, str | None] = dict.fromkeys(
    ("HOME", "XDG_CACHE_HOME", "XDG_STATE_HOME", "USER", "LOGNAME", "EDGEDRAG_ENGINES", "EDGEDRAG_CACHE")
)


@pytest.fixture
def place() -> Iterator[Path]:
    """A folder that everybody can write to; pytest's own are the user's alone."""
    with tempfile.TemporaryDirectory() as name:
        place = Path(name)
        place.chmod(0o777)
        yield place


def test_a_user_without_a_name_and_a_home_folder(place: Path) -> None:
    done = unprivileged([*EDGEDRAG, *DRAG, str(place / "out.png")], unknown=True, **NO_HOME)
    assert done.returncode == 0 and (place / "out.png").exists(), done.stderr
    listed = unprivileged([*EDGEDRAG, "engines", "list"], unknown=True, **NO_HOME)
    assert listed.returncode == 0 and "/var/cache/edgedrag/engines" in listed.stdout, listed.stderr


@pytest.mark.parametrize("home", [None, "/nonexistent"])  # Debian's system users have that one
def test_a_station_without_a_home_folder_asks_for_one_for_its_state(home: str | None) -> None:
    station = unprivileged([*EDGEDRAG, "studio", "--port", "0"], unknown=True, **{**NO_HOME, "HOME": home})
    assert station.returncode == 2 and "give another --state" in station.stderr
    assert (home or "/var/lib/edgedrag") in station.stderr and "Traceback" not in station.stderr


def test_a_temporary_folder_that_is_not_there(place: Path) -> None:
    done = unprivileged([*EDGEDRAG, *DRAG, "-"], TMPDIR=str(place / "none"), cwd=place)
    assert done.returncode == 0 or "set TMPDIR" in done.stderr, done.stderr


READ_ONLY = """
mount -o remount,bind,ro / || exit 77
touch {place}/probe 2> /dev/null && exit 77
for arguments in "{drag} {place}/out.png" "{drag} -" "studio --port 0 --state {place}/state" "engines list"; do
    {python} -m edgedrag $arguments > /dev/null; echo $?
done
"""


def test_a_read_only_file_system(place: Path) -> None:
    script = READ_ONLY.format(place=place, drag=" ".join(DRAG), python=sys.executable)
    if subprocess.run(["unshare", "-rm", "true"], capture_output=True).returncode:
        pytest.skip("no file system can be mounted here")
    done = subprocess.run(["unshare", "-rm", "sh", "-c", script], capture_output=True, text=True, cwd=place)
    if done.returncode == 77:
        pytest.skip("the file system cannot be made read-only here")
    assert done.stdout.split() == ["2", "2", "2", "0"], done.stderr
    assert "Traceback" not in done.stderr
    for words in ("not writable", "set TMPDIR to a folder", "Read-only file system); give another --state"):
        assert words in done.stderr, done.stderr
