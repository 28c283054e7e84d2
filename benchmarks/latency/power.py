"""Energy counters of the platform: RAPL, a Jetson's INA3221 rails, NVML.

Files are read under a root folder, which is "/" except in tests. All sources measure the whole machine or GPU, not the
process alone.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from edgedrag.benchmarks.nvidia import Card
from edgedrag.runtime.system.sensors import read_number

INTERVAL = 0.05  # seconds between power readings
TOTAL_RAILS = ("VDD_IN", "POM_5V_IN", "VDD_TOTAL")  # a Jetson's input rails, which include all others


@dataclass(frozen=True)
class Counter:
    """A cumulative energy counter, joules; it wraps around at `turns_at` joules."""

    name: str
    joules: Callable[[], float]
    turns_at: float | None = None


@dataclass(frozen=True)
class Sensor:
    """A power sensor, watts."""

    name: str
    watts: Callable[[], float]


def find_rapl(root: Path) -> tuple[list[Counter], str]:
    """The counters of the processor packages, or the reason why there are none."""
    zones = [z for z in sorted((root / "sys/class/powercap").glob("*-rapl:*")) if z.name.count(":") == 1]
    counters = []
    for zone in zones:
        try:
            name, turns_at = (zone / "name").read_text().strip(), read_number(zone / "max_energy_range_uj") / 1e6
            read_number(zone / "energy_uj")
        except PermissionError:
            return [], f"{zone / 'energy_uj'} is readable by root only (chmod a+r, or run as root)"
        except (OSError, ValueError):
            continue
        if name.startswith("package"):

            def joules(file: Path = zone / "energy_uj") -> float:
                return read_number(file) / 1e6

            counters.append(Counter(f"RAPL {name}", joules, turns_at))
    return counters, "" if counters else "no RAPL package in /sys/class/powercap"


def find_ina3221(root: Path) -> tuple[list[Sensor], str]:
    """A Jetson's input rail, or all rails if it has none; or the reason why there are none."""
    rails: dict[str, Sensor] = {}
    for chip in sorted((root / "sys/class/hwmon").glob("hwmon*")):
        try:
            if (chip / "name").read_text().strip() != "ina3221":
                continue
        except OSError:
            continue
        for current in sorted(chip.glob("curr[1-3]_input")):
            channel = current.name[4]
            label, volts = chip / f"in{channel}_label", chip / f"in{channel}_input"
            if label.is_file() and volts.is_file():

                def watts(volts: Path = volts, current: Path = current) -> float:
                    return read_number(volts) * read_number(current) / 1e6  # mV times mA

                rails[label.read_text().strip()] = Sensor(f"INA3221 {label.read_text().strip()}", watts)
    total = [sensor for name, sensor in rails.items() if name in TOTAL_RAILS]
    sensors = total[:1] or list(rails.values())
    return sensors, "" if sensors else "no INA3221 in /sys/class/hwmon"


def find_card(card: Card) -> tuple[list[Counter | Sensor], str]:
    """The GPU's energy counter, or else its power sensor; or the reason why there is neither."""
    if card.joules() is not None:
        return [Counter("NVML", lambda: card.joules() or 0.0)], ""
    if card.watts() is not None:
        return [Sensor("NVML", lambda: card.watts() or 0.0)], ""
    return [], card.reason or "this GPU reports neither energy nor power"


class Energy:
    """A context manager that adds up the energy of all its contexts, J."""

    def __init__(self, card: Card, root: Path = Path("/")):
        self._sources: list[Counter | Sensor] = []
        self.absent: dict[str, str] = {}
        looked: dict[str, tuple[Sequence[Counter | Sensor], str]] = {
            "rapl": find_rapl(root),
            "ina3221": find_ina3221(root),
            "nvml": find_card(card),
        }
        for name, (sources, reason) in looked.items():
            self._sources += sources
            if not sources:
                self.absent[name] = reason
        self.joules = {source.name: 0.0 for source in self._sources}

    def __enter__(self) -> Energy:
        self._before = {s.name: s.joules() for s in self._sources if isinstance(s, Counter)}
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._sample, daemon=True)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        self._thread.join()
        for source in self._sources:
            if isinstance(source, Counter):
                spent = source.joules() - self._before[source.name]
                self.joules[source.name] += spent if spent >= 0 else spent + (source.turns_at or 0.0)

    def _sample(self) -> None:
        sensors = [source for source in self._sources if isinstance(source, Sensor)]
        last = time.perf_counter()
        while sensors and not self._ended.wait(INTERVAL):
            now = time.perf_counter()
            for sensor in sensors:
                self.joules[sensor.name] += sensor.watts() * (now - last)
            last = now

    def per(self, drags: int) -> dict[str, Any]:
        """Joules per drag by source, and the reasons for absent sources."""
        shares = {name: round(joules / drags, 4) for name, joules in self.joules.items()} if drags else {}
        return {"joules_per_drag": shares or None, "absent": self.absent}
