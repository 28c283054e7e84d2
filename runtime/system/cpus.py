"""How many CPUs this process may use: what the scheduler leaves to it, and what control groups allow.

A container with two CPUs on a machine of 64 must not start 64 threads: they wait for each other, and the quota is spent
long before its period ends.
"""

from __future__ import annotations

import math
import os
from collections.abc import Iterator
from pathlib import Path

MEMBERSHIP = "proc/self/cgroup"
MOUNT = "sys/fs/cgroup"


def allowed_cpus() -> int:
    """The CPUs that this process may run on: its affinity, with which `taskset` and cpusets limit it."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def cpu_quota(root: Path = Path("/")) -> float | None:
    """CPUs' worth of time that control groups of version 1 or 2 allow, as 1.5; None without a limit.

    The least over the group and all above it: each of them is a limit.

    Args:
        root: where `proc` and `sys` lie.
    """
    quotas = [quota for folder in _groups(root) if (quota := _quota(folder)) is not None]
    return min(quotas, default=None)


def default_threads(root: Path = Path("/")) -> int:
    """Threads for work that keeps a CPU busy: the allowed CPUs, at most the quota, rounded up."""
    quota = cpu_quota(root)
    return allowed_cpus() if quota is None else max(1, min(allowed_cpus(), math.ceil(quota)))


def _groups(root: Path) -> Iterator[Path]:
    """The folders of this process's groups of both versions, each with those above it.

    In a container the path may be the host's, which is not there; the mount itself then is the container's group.
    """
    try:
        lines = (root / MEMBERSHIP).read_text().splitlines()
    except OSError:
        return
    for line in lines:
        number, controllers, path = (*line.split(":", 2), "", "")[:3]
        if number == "0" and not controllers:
            mounts = [root / MOUNT, root / MOUNT / "unified"]
        elif "cpu" in controllers.split(","):
            mounts = [root / MOUNT / controllers, root / MOUNT / "cpu"]
        else:
            continue
        for mount in mounts:
            parts = [part for part in path.split("/") if part not in ("", "..")]
            for depth in range(len(parts), -1, -1):
                yield mount.joinpath(*parts[:depth])


def _quota(folder: Path) -> float | None:
    """A group's own limit, in CPUs."""
    for names in (("cpu.max",), ("cpu.cfs_quota_us", "cpu.cfs_period_us")):
        try:
            quota, period = " ".join((folder / name).read_text() for name in names).split()
            if int(period) > 0 and int(quota) > 0:
                return int(quota) / int(period)
        except (OSError, ValueError):  # no such file, or "max"
            continue
    return None
