"""Memory that this process can still have: RAM, and swap that adds to it.

From /proc and, in a container, its control group (version 2), read under a root folder, "/" but in tests.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from edgedrag.runtime.system.sensors import read_number, read_text

CGROUP = "sys/fs/cgroup"


@dataclass(frozen=True)
class Memory:
    """Bytes.

    Attributes:
        free: RAM that the system can give.
        swap: free swap on disks, which adds to RAM.
        zram: size of the swap that is compressed RAM, and so adds little for weights, which compress badly.
    """

    total: int
    free: int
    swap: int
    zram: int


def read_memory(root: Path = Path("/")) -> Memory | None:
    """What is free at this moment; None where the system does not say."""
    text = read_text(root / "proc/meminfo") or ""
    lines = {name: int(kilobytes) * 1024 for name, kilobytes in re.findall(r"^(\w+):\s+(\d+) kB", text, re.M)}
    if "MemTotal" not in lines or "MemAvailable" not in lines:
        return None
    disk, zram = _swaps(root)
    return Memory(
        total=lines["MemTotal"],
        free=min(lines["MemAvailable"], _group_leaves(root, "memory", lines["MemAvailable"])),
        swap=min(disk, _group_leaves(root, "memory.swap", disk)),
        zram=zram,
    )


def _swaps(root: Path) -> tuple[int, int]:
    """Free bytes of the swap on disks, and all bytes of the swap in zram."""
    disk = zram = 0
    for line in (read_text(root / "proc/swaps") or "").splitlines()[1:]:
        found = re.match(r"(\S+)\s+\S+\s+(\d+)\s+(\d+)", line)
        if found is None:
            continue
        size, used = int(found[2]) * 1024, int(found[3]) * 1024
        if "/zram" in found[1]:
            zram += size
        else:
            disk += size - used
    return disk, zram


def _group_leaves(root: Path, kind: str, otherwise: int) -> int:
    """Bytes below the control group's limit, its file cache counted as free; `otherwise` where it has no limit."""
    try:
        limit = read_number(root / CGROUP / f"{kind}.max")
        used = read_number(root / CGROUP / f"{kind}.current")
    except (OSError, ValueError):  # no such group, or "max"
        return otherwise
    cache = re.search(r"^inactive_file (\d+)", read_text(root / CGROUP / "memory.stat") or "", re.M)
    reclaimable = int(cache[1]) if cache and kind == "memory" else 0
    return max(0, int(limit - used + reclaimable))
