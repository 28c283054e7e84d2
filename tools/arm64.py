"""Runs edgedrag on an emulated 64-bit Arm processor and compares its pictures with this machine's.

    python tools/arm64.py -o benchmarks/results/arm64.json

Made the arm64 paragraph of docs/engines.md and benchmarks/results/arm64.json.

Builds a Debian arm64 root file system from this system's package mirror, installs the wheel of this checkout with its
dependencies' aarch64 wheels, runs `edgedrag doctor` and the README's drag in fp32 and INT8 under QEMU, and compares the
pictures with this machine's fp32. Mounts are private to the process; nothing is left behind.

Needs Debian, root, `apt-get install mmdebstrap qemu-user-static`, and `edgedrag[cpu]` in the Python that runs it. Takes
two to ten minutes; the times in the report are those of an emulator.
"""

from __future__ import annotations

import argparse
import datetime
import json
import os
import platform
import re
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np

import edgedrag
from edgedrag.runtime.selection.self_test import psnr
from edgedrag.runtime.system.processor import cpu_name

REPOSITORY = Path(__file__).resolve().parents[1]
EMULATOR = "qemu-aarch64-static"
PROCESSOR = "cortex-a76"  # 8-bit dot products, like a Jetson Orin's Cortex-A78AE, which QEMU does not emulate
LEAST_DB = {"fp32": 55.0, "int8": 33.0}  # required PSNR of the edit, in the mask, against this machine's fp32
# /proc/cpuinfo of that processor; with the host's, ONNX Runtime's detection of Arm processors crashes.
CPUINFO = """processor\t: {}
Features\t: fp asimd evtstrm aes pmull sha1 sha2 crc32 atomics fphp asimdhp cpuid asimdrdm lrcpc dcpop asimddp
CPU implementer\t: 0x41
CPU architecture: 8
CPU variant\t: 0x4
CPU part\t: 0xd0b
CPU revision\t: 1

"""
# Runs in a private mount namespace, which ends with the program. ONNX Runtime reads its files through /proc.
ENTER = """set -e
cd "$1"; shift
mount --rbind /proc proc
mount --rbind /sys sys
mount --bind cpuinfo proc/cpuinfo
exec chroot . "$@"
"""
SITE = "/opt/edgedrag"
# System packages that the interpreter and the wheels need.
PACKAGES = "python3,libstdc++6,libgomp1"
# Platform tags of the wheels that glibc 2.36 can load.
PLATFORMS = ("manylinux_2_34_aarch64", "manylinux_2_28_aarch64", "manylinux_2_17_aarch64", "manylinux2014_aarch64")


class Stop(Exception):
    """The run cannot continue; the message is for the user."""


class Clock:
    """The time limit of the whole run, seconds."""

    def __init__(self, limit_s: int) -> None:
        self._start, self._limit_s = time.monotonic(), limit_s

    def spent(self) -> float:
        return time.monotonic() - self._start

    def run(self, command: list[str], env: dict[str, str] | None = None, cwd: Path | None = None) -> str:
        """Run a command; returns its output. Raises Stop if it fails or the time is over."""
        left = self._limit_s - self.spent()
        try:
            done = subprocess.run(command, capture_output=True, text=True, env=env, cwd=cwd, timeout=max(left, 1))
        except subprocess.TimeoutExpired:
            raise Stop(f"{' '.join(command[:6])}: not done within {self._limit_s} s after the start") from None
        if done.returncode:
            raise Stop(f"{' '.join(command[:6])}: exit code {done.returncode}\n{(done.stdout + done.stderr)[-2000:]}")
        return done.stdout


class Machine:
    """An arm64 root file system whose programs run under QEMU's user-mode emulation."""

    def __init__(self, clock: Clock, root: Path):
        self._clock, self.root = clock, root
        mirror = next(
            p for p in ("/etc/apt/sources.list.d/debian.sources", "/etc/apt/sources.list") if Path(p).exists()
        )
        self.release = platform.freedesktop_os_release()["VERSION_CODENAME"]
        # "extract" runs no program of the new system, so the host's kernel needs no binfmt entry for QEMU.
        options = ["--variant=extract", "--architectures=arm64", f"--include={PACKAGES}"]
        clock.run(["mmdebstrap", *options, self.release, str(root), mirror])
        self.python = os.readlink(root / "usr/bin/python3")
        shutil.copy(str(shutil.which(EMULATOR)), root / "usr/bin" / EMULATOR)
        for folder in ("proc", "sys"):
            (root / folder).mkdir(exist_ok=True)
        (root / "cpuinfo").write_text("".join(CPUINFO.format(index) for index in range(os.cpu_count() or 1)))

    def install(self, wheel: Path) -> None:
        """Install a wheel with the extra `cpu`: aarch64 wheels, for the Python of the root file system."""
        target = ["--target", str(self.root / SITE[1:]), "--python-version", self.python.removeprefix("python")]
        platforms = [part for name in PLATFORMS for part in ("--platform", name)]
        pip = [sys.executable, "-m", "pip", "install", "-q", "--no-compile", "--only-binary=:all:"]
        self._clock.run([*pip, *target, *platforms, f"{wheel}[cpu]"])

    def edgedrag(self, *args: str) -> dict[str, Any]:
        """Run an edgedrag command there; returns the JSON that it prints."""
        env = {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "HOME": "/tmp", "LC_ALL": "C.UTF-8", "PYTHONPATH": SITE}
        enter = ["unshare", "--mount", "--propagation", "private", "sh", "-c", ENTER, "sh", str(self.root)]
        python = [f"/usr/bin/{EMULATOR}", "-cpu", PROCESSOR, f"/usr/bin/{self.python}"]
        return json.loads(self._clock.run([*enter, *python, "-m", "edgedrag", *args, "--json"], env))


def readme_drag() -> tuple[Path, list[str]]:
    """The photo and the points of the README's first command."""
    match = re.search(r"edgedrag drag (\S+)((?: --drag \S+)+)", (REPOSITORY / "README.md").read_text())
    if match is None:
        raise Stop("README.md: no `edgedrag drag` to run")
    return REPOSITORY / match[1], match[2].split()


def compare(photo: np.ndarray, expected: Path, actual: Path, name: str) -> dict[str, Any]:
    """The difference between a picture and this machine's, and whether it equals the photo outside its mask."""
    ours, theirs = (edgedrag.load_picture(folder / f"{name}.png").pixels for folder in (expected, actual))
    masks = [edgedrag.load_picture(folder / f"{name}-mask.png").pixels > 0 for folder in (expected, actual)]
    apart = np.abs(ours.astype(int) - theirs)
    return {
        "psnr_in_mask_db": round(psnr(theirs, ours, masks[0]), 2),
        "largest_difference": int(apart.max()),
        "values_that_differ": int(np.count_nonzero(apart)),
        "mask_equal": bool(np.array_equal(*masks)),
        "outside_equal": bool(np.array_equal(theirs[~masks[1]], photo[~masks[1]])),
    }


def measure(folder: Path, clock: Clock) -> dict[str, Any]:
    """Run everything in an empty folder; returns the report."""
    photo, points = readme_drag()
    clock.run([sys.executable, "-m", "pip", "wheel", "-q", "--no-deps", "-w", str(folder), str(REPOSITORY)])
    machine = Machine(clock, folder / "root")
    machine.install(next(folder.glob("*.whl")))
    ready = clock.spent()
    doctor = machine.edgedrag("doctor")
    doctor.pop("built")  # has no engine and holds a path

    host = folder / "host"
    host.mkdir()
    shutil.copy(photo, machine.root / "tmp" / photo.name)
    pixels = edgedrag.load_picture(photo).pixels
    drags: dict[str, Any] = {}
    for precision in LEAST_DB:
        outputs = ["-o", f"{precision}.png", "--mask-out", f"{precision}-mask.png"]
        options = [*points, "--backend", "cpu", "--precision", precision]
        here = [sys.executable, "-m", "edgedrag", "drag", str(photo), *options, *outputs]
        clock.run(here, cwd=host)
        there = [text if text.startswith("-") else f"/tmp/{text}" for text in outputs]
        report = machine.edgedrag("drag", f"/tmp/{photo.name}", *options, *there)
        drags[precision] = {"verdict": report["checks"]["verdict"], "timings_ms": report["timings_ms"]}
    expected = host / "fp32"
    expected.mkdir()
    for precision in LEAST_DB:  # both are compared with this machine's fp32
        for ending in (".png", "-mask.png"):
            shutil.copy(host / f"fp32{ending}", expected / f"{precision}{ending}")
        drags[precision] |= {"from_this_machines_fp32": compare(pixels, expected, machine.root / "tmp", precision)}
    drags["int8"]["from_this_machines_int8"] = compare(pixels, host, machine.root / "tmp", "int8")
    return {
        "date": datetime.date.today().isoformat(),
        "note": "run under emulation: what is right, not how fast",
        "emulator": clock.run([EMULATOR, "--version"]).splitlines()[0],
        "emulated_processor": PROCESSOR,
        "host_processor": cpu_name(),
        "system": f"Debian {machine.release} arm64",
        "seconds": {"root_and_packages": round(ready, 1), "whole": round(clock.spent(), 1)},
        "packages": {
            path.name.split("-")[0]: path.name.split("-")[1].removesuffix(".dist")
            for path in sorted((machine.root / SITE[1:]).glob("*.dist-info"))
        },
        "doctor": doctor,
        "drag": f"{photo.relative_to(REPOSITORY)} {' '.join(points)}",
        "least_db": LEAST_DB,
        "drags": drags,
    }


def faults(report: dict[str, Any]) -> list[str]:
    """The failed requirements."""
    problems = [] if report["doctor"]["chosen"] == "cpu" else ["doctor chose no engine"]
    if not (report["doctor"]["bundle"]["self_test"] or {}).get("passed"):
        problems.append("doctor's self-test did not pass")
    for precision, least in report["least_db"].items():
        result = report["drags"][precision]["from_this_machines_fp32"]
        if result["psnr_in_mask_db"] < least:
            problems.append(f"{precision} is at {result['psnr_in_mask_db']} dB, at least {least} are expected")
        if not result["outside_equal"]:
            problems.append(f"{precision} changed the photo outside the mask")
    return problems


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("-o", "--output", type=Path, required=True, help="the report, JSON")
    parser.add_argument("--limit", type=int, default=600, help="seconds for all of it; more on a busy machine")
    options = parser.parse_args()
    output: Path = options.output
    try:
        missing = [tool for tool in ("mmdebstrap", EMULATOR, "unshare") if shutil.which(tool) is None]
        if missing or os.geteuid() != 0 or not output.resolve().parent.is_dir():
            absent = f"{', '.join(missing)} not found; " if missing else ""
            raise Stop(f"{absent}needs root, mmdebstrap and qemu-user-static, and an existing folder for {output}")
        with tempfile.TemporaryDirectory() as folder:
            report = measure(Path(folder), Clock(options.limit))
    except Stop as error:
        sys.exit(f"error: {error}")
    output.write_text(json.dumps(report, indent=1) + "\n")
    wrong = faults(report)
    for precision, drag in report["drags"].items():
        print(precision, drag["from_this_machines_fp32"])
    sys.exit("\n".join(f"error: {fault}" for fault in wrong) or None)


if __name__ == "__main__":
    main()
