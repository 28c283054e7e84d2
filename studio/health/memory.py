"""The process's memory."""

from __future__ import annotations

import ctypes
import gc
from pathlib import Path

PAGE = 4096
M_ARENA_MAX = -8  # of glibc's mallopt


def keep_one_heap() -> None:
    """Have threads that start later share one heap: glibc returns no other whole. Without glibc, nothing."""
    option = getattr(ctypes.CDLL(None), "mallopt", None)
    if option is not None:
        option(M_ARENA_MAX, 1)


def sweep() -> None:
    """Return freed pages to the system, which clears them; without glibc, nothing."""
    gc.collect()
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
    if trim is not None:
        trim(0)


def resident_mb(process: int | str = "self") -> float:
    """Resident memory of a process, MB; 0 where the system does not report it."""
    try:
        return int(Path(f"/proc/{process}/statm").read_text().split()[1]) * PAGE / 1e6
    except OSError:
        return 0.0
