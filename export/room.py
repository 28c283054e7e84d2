"""Is there room for the work: asked before it begins."""

from __future__ import annotations

import shutil
from pathlib import Path

from edgedrag.runtime.errors import InputError

GB = 1e9


def free_memory() -> int | None:
    """Bytes that the system can give, or None where it does not say."""
    try:
        for line in Path("/proc/meminfo").read_text().splitlines():
            if line.startswith("MemAvailable:"):
                return int(line.split()[1]) * 1024
    except OSError:
        pass
    return None


def check_memory(needed: float, what: str) -> None:
    """Raise InputError where less than `needed` bytes of memory are free."""
    free = free_memory()
    if free is not None and free < needed:
        raise InputError(
            f"too little memory: {what} needs {needed / GB:.1f} GB, {free / GB:.1f} GB are free; close other programs "
            "or use a larger machine"
        )


def check_disk(folder: Path, needed: float, what: str) -> None:
    """Raise InputError where less than `needed` bytes are free in a folder."""
    free = shutil.disk_usage(folder).free if folder.is_dir() else needed
    if free < needed:
        raise InputError(
            f"{folder}: too little room: {what} needs {needed / GB:.1f} GB, {free / GB:.1f} GB are free; make room or "
            "name another folder"
        )
