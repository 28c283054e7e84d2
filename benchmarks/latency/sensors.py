"""Clocks, temperatures and throttling, where the system shows them; read under a root folder, "/" but in tests."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from edgedrag.benchmarks.latency.nvidia import Card
from edgedrag.benchmarks.latency.power import read_number

CPUS = "sys/devices/system/cpu"


def _numbers(root: Path, pattern: str) -> dict[Path, float]:
    """Of all files that match and can be read."""
    found = {}
    for file in sorted(root.glob(pattern)):
        try:
            found[file] = read_number(file)
        except (OSError, ValueError):
            continue
    return found


def _text(file: Path) -> str | None:
    try:
        return file.read_text().strip("\0\n ")
    except OSError:
        return None


def clocks(root: Path = Path("/")) -> dict[str, float]:
    """Mean clock of the CPUs, and a Jetson's GPU, MHz."""
    found = {}
    cpus = list(_numbers(root, f"{CPUS}/cpu[0-9]*/cpufreq/scaling_cur_freq").values())
    if cpus:
        found["cpu_mhz"] = round(sum(cpus) / len(cpus) / 1e3, 1)
    else:
        listed = re.findall(r"^cpu MHz\s*:\s*([\d.]+)", _text(root / "proc/cpuinfo") or "", re.M)
        if listed:
            found["cpu_mhz"] = round(sum(map(float, listed)) / len(listed), 1)
    for file, hertz in _numbers(root, "sys/class/devfreq/*/cur_freq").items():
        if re.search(r"gpu|ga10b|gv11b|gb10b", file.parent.name):
            found["gpu_mhz"] = round(hertz / 1e6, 1)
    return found


def temperatures(root: Path = Path("/")) -> dict[str, float]:
    """Of the thermal zones, degrees Celsius by name."""
    zones = _numbers(root, "sys/class/thermal/thermal_zone*/temp")
    return {_text(file.with_name("type")) or file.parent.name: round(value / 1e3, 1) for file, value in zones.items()}


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
        kind = _text(file.with_name("type")) or file.parent.name
        if "fan" not in kind:  # a fan that turns is not a machine that is slowed down
            found[f"cooling {kind}"] = int(max(state, found.get(f"cooling {kind}", 0)))
    return found


def sample(card: Card, root: Path = Path("/")) -> dict[str, Any]:
    """All of it at this moment; {} for what the system does not show."""
    shown = card.state()
    reasons = shown.pop("gpu_throttle_reasons", None)
    heat = {"gpu": shown.pop("gpu_c")} if "gpu_c" in shown else {}
    return {
        "clocks": {**clocks(root), **shown},
        "temperatures_c": {**temperatures(root), **heat},
        "throttle": {**throttling(root), **({} if reasons is None else {"gpu_reasons": reasons})},
    }


def governor(root: Path = Path("/")) -> str | None:
    """Of the CPUs' clocks; None where the system shows none."""
    return _text(root / CPUS / "cpu0/cpufreq/scaling_governor")


def board(root: Path = Path("/")) -> str | None:
    """A board's name as the device tree gives it, such as a Jetson's."""
    return _text(root / "proc/device-tree/model")
