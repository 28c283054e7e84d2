"""The kiosk's units, and its Debian package: built, installed and started in a root of its own."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import sysconfig
from pathlib import Path

import pytest
from conftest import REPOSITORY

from edgedrag.studio.settings_file import read_settings

PACKAGING = REPOSITORY / "packaging"
KIOSK = PACKAGING / "kiosk"
UNITS = KIOSK / "usr" / "lib" / "systemd" / "system"
SYSTEM_PYTHON = "/usr/bin/python3"
# What systemd-analyze calls the exposure of a unit, 0 to 10, at most.
EXPOSURE = {"edgedrag-studio.service": 3.0, "edgedrag-screen.service": 3.0}


def unit(name: str) -> dict[str, list[str]]:
    """The values of a unit's settings, by name."""
    found: dict[str, list[str]] = {}
    for key, value in re.findall(r"^(\w+)=((?:.*\\\n)*.*)$", (UNITS / name).read_text(), re.M):
        found.setdefault(key, []).append(re.sub(r"\\\n\s*", "", value))
    return found


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="needs systemd-analyze")
@pytest.mark.parametrize("name", EXPOSURE)
def test_the_exposure_of_a_unit(name: str) -> None:
    command = ["systemd-analyze", "security", "--offline=true", "--no-pager", str(UNITS / name)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60)
    if "unrecognized option" in done.stderr:
        pytest.skip("systemd is older than 250")
    found = re.search(r"Overall exposure level for \S+: ([\d.]+)", done.stdout)
    assert found is not None, done.stderr
    assert float(found[1]) <= EXPOSURE[name], done.stdout


def test_station_and_browser_are_different_users_with_bounded_memory_and_no_secret_in_a_command() -> None:
    station, screen = unit("edgedrag-studio.service"), unit("edgedrag-screen.service")
    assert station["User"] != screen["User"]
    hidden = " ".join(screen["InaccessiblePaths"]).split()
    assert f"-/var/lib/{station['StateDirectory'][0]}" in hidden and "-/etc/edgedrag" in hidden
    for each in (station, screen):
        assert each["MemoryMax"] and each["MemorySwapMax"] == ["0"] and each["LimitCORE"] == ["0"]
        assert each["IPAddressDeny"] == ["any"] and each["IPAddressAllow"] == ["localhost"]
    texts = [file.read_text() for file in (*UNITS.iterdir(), *(KIOSK / "usr/share/edgedrag").iterdir())]
    assert not any(re.search(r"--(token|staff-code)[ =]", text) for text in texts)
    tablets = (KIOSK / "usr/share/edgedrag/tablets.conf").read_text()
    assert "LoadCredential=token:" in tablets and "--token-file %d/token" in tablets
    users = (KIOSK / "usr/lib/sysusers.d/edgedrag.conf").read_text()
    assert all(f"u {each['User'][0]} " in users for each in (station, screen))


def test_the_settings_that_the_package_brings() -> None:
    settings = read_settings(KIOSK / "etc/edgedrag/studio.toml")
    assert settings["state"] == Path("/var/lib/edgedrag-studio")
    (high,) = unit("edgedrag-studio.service")["MemoryHigh"]
    assert settings["limits"].memory_mb < int(high.removesuffix("G")) * 1000, "staff are told before systemd acts"


@pytest.fixture(scope="module")
def package(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The package, without the Python packages that would be downloaded: the test lends it those of its environment."""
    if shutil.which("dpkg-deb") is None:
        pytest.skip("needs dpkg-deb")
    version = subprocess.run(
        [SYSTEM_PYTHON, "-c", "import sys; print(sys.version_info[:2])"], capture_output=True, text=True
    )
    if version.stdout.strip() != str(tuple(sys.version_info[:2])):
        pytest.skip(f"needs {SYSTEM_PYTHON} of the version that runs the tests")
    folder = tmp_path_factory.mktemp("deb")
    packages = folder / "packages"
    packages.mkdir()
    (packages / "edgedrag").symlink_to(REPOSITORY / "src" / "edgedrag")
    environment = {**os.environ, "PACKAGES": str(packages), "COMPRESSION": "none"}
    command = [str(PACKAGING / "build_deb.sh"), str(folder)]
    done = subprocess.run(command, capture_output=True, text=True, env=environment, timeout=120)
    assert done.returncode == 0, done.stderr
    (built,) = folder.glob("edgedrag_*.deb")
    return built


@pytest.mark.slow
def test_what_the_package_is(package: Path) -> None:
    def asked(*arguments: str) -> str:
        return subprocess.run(["dpkg-deb", *arguments], capture_output=True, text=True, check=True).stdout

    fields = asked("--field", str(package))
    assert "Package: edgedrag" in fields and re.search(r"Depends: python3 \(>= 3\.\d+\), python3 \(<< 3\.\d+\)", fields)
    contents = asked("--contents", str(package))
    assert all(f"/usr/lib/systemd/system/{name}" in contents for name in EXPOSURE)
    assert not re.search(r"^[^l](.{4}|.{7})w", contents, re.M) and "root/root" in contents, "nobody else may write"
    conffiles = asked("--info", str(package), "conffiles")
    assert "/etc/edgedrag/studio.toml" in conffiles and "/etc/chromium/policies/managed/edgedrag.json" in conffiles


INSTALL = r"""
set -e
mount -t tmpfs none "$ROOM"; mkdir "$ROOM/upper" "$ROOM/work" "$ROOM/root"
mount -t overlay overlay -o "lowerdir=/,upperdir=$ROOM/upper,workdir=$ROOM/work" "$ROOM/root"
mount -t proc none "$ROOM/root/proc"
for place in /sys /dev $PLACES; do mkdir -p "$ROOM/root$place"; mount --rbind "$place" "$ROOM/root$place"; done
ip link set lo up
exec chroot "$ROOM/root" sh -ec '
dpkg --install "$DEB" >&2
python=/usr/lib/edgedrag/python
mount -t overlay overlay -o "lowerdir=$python:$LENT" $python
[ "$(stat -c %U:%a /media/visitor)" = edgedrag-screen:700 ]
[ "$(stat -c %G:%a /etc/edgedrag)" = edgedrag:750 ]
install -d -o edgedrag -g edgedrag -m 700 /var/lib/edgedrag-studio
as() { user=$1; shift; setpriv --reuid="$user" --regid="$user" --clear-groups $CAPS env HOME=/nowhere "$@"; }
as edgedrag $(sed -n "s/^ExecStart=//p" /usr/lib/systemd/system/edgedrag-studio.service) &
/usr/bin/python3 - $! <<ASK
import json, os, sys, time, urllib.request as u
while os.path.exists("/proc/" + sys.argv[1]):
    try:
        u.urlopen("http://127.0.0.1:8000/readyz")
        break
    except OSError:
        time.sleep(0.5)
code = open("/var/lib/edgedrag-studio/staff-code").read().strip()
ask = u.Request("http://127.0.0.1:8000/api/staff/self-test", method="POST", headers={"Authorization": "Bearer " + code})
print(json.load(u.urlopen(ask))["passed"])
ASK
CAPS= as edgedrag-screen cat /var/lib/edgedrag-studio/staff-code 2>&1 | tail -1
umount --lazy $python
dpkg --remove edgedrag >&2; [ -e /var/lib/edgedrag-studio/monitor.sqlite ] && [ -e /etc/edgedrag/studio.toml ]
dpkg --purge edgedrag >&2; [ ! -e /var/lib/edgedrag-studio ] && [ ! -e /etc/edgedrag/studio.toml ]
echo purged'
"""


@pytest.mark.slow
def test_the_package_installs_starts_and_goes(package: Path, tmp_path: Path) -> None:
    """In an overlay of this machine's root, with processes and a network of its own; no systemd runs there."""
    if os.geteuid() != 0 or shutil.which("unshare") is None:
        pytest.skip("needs root, to mount a root of its own")
    room = tmp_path / "room"
    room.mkdir()
    isolated = ["unshare", "--mount", "--pid", "--net", "--fork", "--kill-child", "sh", "-c"]
    if subprocess.run([*isolated, f"mount -t tmpfs none {room}"], capture_output=True).returncode != 0:
        pytest.skip("mounts are not allowed here")
    lent = sysconfig.get_path("purelib")
    environment = {
        **os.environ,
        "ROOM": str(room),
        "DEB": str(package),
        "PLACES": f"{package.parent} {REPOSITORY} {lent}",
        "LENT": lent,
        # They may lie in root's home folder.
        "CAPS": "--inh-caps=+dac_read_search --ambient-caps=+dac_read_search",
    }
    done = subprocess.run([*isolated, INSTALL], capture_output=True, text=True, env=environment, timeout=200)
    assert done.returncode == 0, done.stdout + done.stderr
    *printed, passed, refused, purged = done.stdout.splitlines()
    assert "visitors: http://127.0.0.1:8000/" in printed and passed == "True" and purged == "purged"
    assert "Permission denied" in refused, "the browser's user reads the station's folder"
