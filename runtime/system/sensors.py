"""A board's name, clocks, temperatures and throttling, where the system shows them.

All are read under a root folder, "/" but in tests; what a system does not show is left out.
"""

from __future__ import annotations

import re
from pathlib import Path

CPUS = "sys/devices/system/cpu"
# Folder names of GPUs in /sys/class/devfreq; Thor's has a second one for video ("gpu-nvd-0"), which is not meant.
GPU = re.compile(r"gpu(?!-nvd)|ga10b|gv11b|gb10b")


def read_number(file: Path) -> float:
    return float(file.read_text().strip())


def read_text(file: Path) -> str | None:
    """Without the NULs and line ends around it; None where the file cannot be read."""
    try:
        return file.read_text(encoding="utf-8", errors="replace").strip("\0\n ")
    except OSError:
        return None


def _numbers(root: Path, pattern: str) -> dict[Path, float]:
    """Of all files that match and can be read."""
    found = {}
    for file in sorted(root.glob(pattern)):
        try:
            found[file] = read_number(file)
        except (OSError, ValueError):
            continue
    return found


def clocks(root: Path = Path("/")) -> dict[str, float]:
    """Mean clock of the CPUs, and a Jetson's GPU, MHz."""
    found = _frequencies(root, "scaling_cur_freq", "cur_freq")
    if "cpu_mhz" not in found:
        listed = re.findall(r"^cpu MHz\s*:\s*([\d.]+)", read_text(root / "proc/cpuinfo") or "", re.M)
        if listed:
            found["cpu_mhz"] = round(sum(map(float, listed)) / len(listed), 1)
    return found


def clock_limits(root: Path = Path("/")) -> dict[str, float]:
    """What `clocks` may rise to in the present power mode, MHz."""
    return _frequencies(root, "scaling_max_freq", "max_freq")


def _frequencies(root: Path, cpu_file: str, gpu_file: str) -> dict[str, float]:
    """Mean over the CPUs (kHz in their files) and the GPU's (Hz), MHz."""
    found = {}
    cpus = list(_numbers(root, f"{CPUS}/cpu[0-9]*/cpufreq/{cpu_file}").values())
    if cpus:
        found["cpu_mhz"] = round(sum(cpus) / len(cpus) / 1e3, 1)
    for file, hertz in _numbers(root, f"sys/class/devfreq/*/{gpu_file}").items():
        if GPU.search(file.parent.name):
            found["gpu_mhz"] = round(hertz / 1e6, 1)
    return found


def temperatures(root: Path = Path("/")) -> dict[str, float]:
    """Of the thermal zones, degrees Celsius by name."""
    zones = _numbers(root, "sys/class/thermal/thermal_zone*/temp")
    return {
        read_text(file.with_name("type")) or file.parent.name: round(value / 1e3, 1) for file, value in zones.items()
    }


def throttling(root: Path = Path("/")) -> dict[str, int]:
    """Counters and states that grow when the machine slows itself down: thermal, over-current, cooling."""
    found: dict[str, int] = {}
    for kind in ("core", "package"):
        counts = _numbers(root, f"{CPUS}/cpu[0-9]*/thermal_throttle/{kind}_throttle_count").values()
        if counts:
            found[f"{kind}_throttle_count"] = int(sum(counts))
    for file, count in _numbers(root, "sys/class/hwmon/hwmon*/oc*_event_cnt").items():
        found[file.name.removesuffix("_event_cnt")] = int(count)
    for file, state in _numbers(root, "sys/class/thermal/cooling_device*/cur_state").items():
        kind = read_text(file.with_name("type")) or file.parent.name
        if "fan" not in kind:  # a fan that turns is not a machine that is slowed down
            found[f"cooling {kind}"] = int(max(state, found.get(f"cooling {kind}", 0)))
    return found


def governor(root: Path = Path("/")) -> str | None:
    """Of the CPUs' clocks; None where the system shows none."""
    return read_text(root / CPUS / "cpu0/cpufreq/scaling_governor")


def board(root: Path = Path("/")) -> str | None:
    """A board's name as the device tree gives it, such as a Jetson's."""
    return read_text(root / "proc/device-tree/model")
