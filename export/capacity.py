"""Capacity checks before a long task starts: memory and disk."""

from __future__ import annotations

import math
import shutil
from pathlib import Path

from edgedrag.runtime.errors import InputError
from edgedrag.runtime.system.memory import read_memory

GB = 1e9


def check_memory(needed: float, what: str, in_ram: float | None = None) -> None:
    """Raise InputError if less than `needed` bytes of memory are free.

    Args:
        in_ram: bytes of it that must be RAM; the rest may be swap on a disk. None: all of it.
    """
    memory = read_memory()
    if memory is None:
        return
    in_ram = needed if in_ram is None else in_ram
    swap = memory.swap if in_ram < needed else 0
    if memory.free < in_ram and swap:
        lack = f"{in_ram / GB:.1f} GB of RAM that swap cannot replace, {memory.free / GB:.1f} GB are free"
    elif memory.free + swap < needed:
        parts = f" ({memory.free / GB:.1f} GB of RAM, {swap / GB:.1f} GB of swap)" if swap else ""
        lack = f"{needed / GB:.1f} GB, {(memory.free + swap) / GB:.1f} GB are free{parts}"
    else:
        return
    more = ""
    if in_ram <= memory.free:
        missing = math.ceil((needed - memory.free - swap) / GB)
        more = f", add {missing} GB of swap on a disk (docs/jetson.md has the commands)"
    raise InputError(f"too little memory: {what} needs {lack}; close other programs{more} or use a larger machine")


def check_disk(folder: Path, needed: float, what: str) -> None:
    """Raise InputError if less than `needed` bytes of disk space are free in a folder."""
    free = shutil.disk_usage(folder).free if folder.is_dir() else needed
    if free < needed:
        raise InputError(
            f"{folder}: too little disk space: {what} needs {needed / GB:.1f} GB, {free / GB:.1f} GB are free; "
            "free some or choose another folder"
        )
