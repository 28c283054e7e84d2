"""A Jetson's power modes: which one is set, which there are, and which is the fastest.

From `nvpmodel -q` and /etc/nvpmodel.conf, read under a root folder, "/" but in tests.
"""

from __future__ import annotations

import re
import subprocess
from dataclasses import dataclass
from pathlib import Path

from edgedrag.runtime.sensors import read_text


@dataclass(frozen=True)
class PowerMode:
    """What `nvpmodel -m ID` sets."""

    id: int
    name: str


def current_mode(root: Path = Path("/")) -> PowerMode | None:
    """The mode that is set; None where the system has no power modes or does not say which is set."""
    return _queried(root) or _stored(root)


def available_modes(root: Path = Path("/")) -> list[PowerMode]:
    """All that the board's configuration defines, by id; empty where there is none."""
    text = read_text(root / "etc/nvpmodel.conf") or ""
    found = re.findall(r"^\s*<\s*POWER_MODEL\s+ID=(\d+)\s+NAME=(\S+)\s*>", text, re.M)
    return sorted((PowerMode(int(number), name) for number, name in found), key=lambda mode: mode.id)


def fastest_mode(modes: list[PowerMode]) -> PowerMode | None:
    """The one without a power budget (MAXN or MAXN_SUPER), else the one of the most watts; None where no name says.

    The id does not say it: on an Orin Nano 0 is 15 W and 2 is MAXN_SUPER, on an AGX Orin 0 is MAXN.
    """
    ranked = [(_rank(mode.name), mode) for mode in modes]
    known = [(rank, mode) for rank, mode in ranked if rank != (0, 0)]
    return max(known, key=lambda pair: pair[0])[1] if known else None


def _rank(name: str) -> tuple[int, int]:
    """Larger is faster; (0, 0) where the name says nothing."""
    upper = name.upper()
    if upper.startswith("MAXN"):
        return 2 + upper.endswith("SUPER"), 0
    watts = re.search(r"(\d+)W", upper)
    return (1, int(watts[1])) if watts else (0, 0)


def _queried(root: Path) -> PowerMode | None:
    """What nvpmodel answers; it may warn in lines before."""
    try:
        command = [str(root / "usr/sbin/nvpmodel"), "-q"]
        asked = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=10)
    except (OSError, ValueError, subprocess.TimeoutExpired):
        return None
    found = re.search(r"NV Power Mode:[ \t]*(\S+)\s+(\d+)\b", asked.stdout)
    return PowerMode(int(found[2]), found[1]) if found else None


def _stored(root: Path) -> PowerMode | None:
    """The mode that nvpmodel noted when it was set ("pmode:0002"), named by the configuration."""
    found = re.search(r"pmode:(\d+)", read_text(root / "var/lib/nvpmodel/status") or "")
    return next((mode for mode in available_modes(root) if found and mode.id == int(found[1])), None)
