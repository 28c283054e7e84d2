"""What the processor is, and what it can."""

from __future__ import annotations

import platform
import re
from pathlib import Path

from edgedrag.runtime.sensors import board


def cpu_name() -> str:
    """The processor's name as the system gives it; the board's, as on a Jetson, where it gives the processor none."""
    try:
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            if line.lower().startswith("model name"):
                return line.split(":", 1)[1].strip()
    except OSError:
        pass
    return board() or platform.processor() or platform.machine()


def multiplies_int8() -> bool:
    """Whether this processor multiplies 8-bit numbers into 32 bits at once.

    An x86 without these instructions (VNNI, AMX) adds pairs of products in 16 bits, where they can saturate: INT8
    would be neither fast nor right there.
    """
    if platform.machine().lower() not in ("x86_64", "amd64"):
        return True
    try:
        return bool(re.search(r"\b(avx512_vnni|avx_vnni|amx_int8)\b", Path("/proc/cpuinfo").read_text()))
    except OSError:
        return False
