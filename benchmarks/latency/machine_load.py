"""Whether the machine was busy while it was measured: load, other processes, stolen time, clock drift."""

from __future__ import annotations

import os
import resource
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from edgedrag.runtime.system.sensors import clocks

BUSY_LOAD = 0.5  # waiting processes for each CPU, before the run
BUSY_SHARE = 0.1  # of the CPUs' time that other processes took, or the hypervisor stole
BUSY_DRIFT = 0.1  # of the clock, largest over smallest minus 1


OWN = (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)


@dataclass(frozen=True)
class CpuTimes:
    """Seconds of all CPUs together since the system's start, and of this process with its ended children."""

    total: float
    busy: float
    stolen: float
    own: float


def cpu_times(root: Path = Path("/")) -> CpuTimes | None:
    """None where the system does not show them."""
    try:
        fields = (root / "proc" / "stat").read_text().splitlines()[0].split()[1:9]
        tick = os.sysconf("SC_CLK_TCK")
    except (OSError, ValueError, IndexError, AttributeError):
        return None
    values = [float(value) / tick for value in fields] + [0.0] * (8 - len(fields))
    user, nice, system, idle, waiting, hard, soft, stolen = values
    own = sum(part.ru_utime + part.ru_stime for part in map(resource.getrusage, OWN))
    busy = user + nice + system + hard + soft
    return CpuTimes(busy + idle + waiting + stolen, busy, stolen, own)


@dataclass
class MachineLoad:
    """What else ran on the machine from now on; `sample` adds a reading of the clock under the run's own load."""

    root: Path = Path("/")
    load: float | None = None
    mhz: list[float] = field(default_factory=list)
    begin: CpuTimes | None = None

    def __post_init__(self) -> None:
        self.load = round(os.getloadavg()[0], 2) if hasattr(os, "getloadavg") else None
        self.begin = cpu_times(self.root)

    def sample(self) -> None:
        clock = clocks(self.root).get("cpu_mhz")
        if clock is not None:
            self.mhz.append(clock)

    def summary(self) -> dict[str, Any]:
        """The part of a report; None for what the system does not show. All measured processes have ended before."""
        end, cpus = cpu_times(self.root), os.cpu_count() or 1
        others = stolen = None
        if self.begin is not None and end is not None and end.total > self.begin.total:
            total = end.total - self.begin.total
            others = max(0.0, end.busy - self.begin.busy - (end.own - self.begin.own)) / total
            stolen = (end.stolen - self.begin.stolen) / total
        drift = max(self.mhz) / min(self.mhz) - 1 if self.mhz and min(self.mhz) > 0 else None
        shares = {"others_share": others, "stolen_share": stolen, "clock_drift": drift}
        return {
            "load_before": self.load,
            "cpus": cpus,
            **{name: None if value is None else round(value, 4) for name, value in shares.items()},
            "cpu_mhz": self.mhz,
            "busy": is_busy(self.load, cpus, others, stolen, drift),
        }


def is_busy(
    load: float | None, cpus: int, others: float | None, stolen: float | None, drift: float | None
) -> bool | None:
    """Whether any of what is known is above its limit; None if nothing is known."""
    known = [
        (load is not None, (load or 0) / cpus > BUSY_LOAD),
        *((value is not None, (value or 0) > BUSY_SHARE) for value in (others, stolen)),
        (drift is not None, (drift or 0) > BUSY_DRIFT),
    ]
    return any(above for _, above in known) if any(is_known for is_known, _ in known) else None


def first_line(machine: dict[str, Any] | None) -> str | None:
    """What a report says first of a busy machine; None of one that is not, or of which nothing is known."""
    if machine is None or not machine["busy"]:
        return None
    parts = []
    if machine["load_before"] is not None:
        parts.append(f"load {machine['load_before']:g} on {machine['cpus']} CPUs before the run")
    if machine["others_share"] is not None:
        parts.append(f"other processes took {machine['others_share']:.0%} of the CPUs")
    if machine["stolen_share"] is not None:
        parts.append(f"{machine['stolen_share']:.0%} was stolen")
    if machine["clock_drift"] is not None:
        parts.append(f"the clock drifted by {machine['clock_drift']:.0%}")
    return f"BUSY MACHINE: {', '.join(parts)}. These are not the times of a quiet one."
