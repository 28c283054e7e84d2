"""What the processor is, and what it can."""

from __future__ import annotations

import platform
import re
from pathlib import Path

from edgedrag.runtime.system.sensors import board

# Of x86, as Linux names them, that decide how fast and how exact a network runs in each precision.
VECTOR_INSTRUCTIONS = ("avx2", "avx_vnni", "avx512f", "avx512_vnni", "avx512_bf16", "amx_bf16", "amx_int8")


def cpu_name() -> str:
    """The processor's name as the system gives it; the board's, as on a Jetson, where it gives the processor none."""
    try:
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            if line.lower().startswith("model name"):
                return line.split(":", 1)[1].strip()
    except OSError:
        pass
    return board() or platform.processor() or platform.machine()


def vector_instructions() -> tuple[str, ...]:
    """Those of `VECTOR_INSTRUCTIONS` that this processor has; none where the system does not list them."""
    try:
        listed = set(re.findall(r"\w+", Path("/proc/cpuinfo").read_text()))
    except OSError:
        return ()
    return tuple(name for name in VECTOR_INSTRUCTIONS if name in listed)


def multiplies_int8() -> bool:
    """Whether this processor multiplies 8-bit numbers into 32 bits at once.

    An x86 without VNNI or AMX adds pairs of products in 16 bits, where they saturate, or takes slower steps.
    """
    if platform.machine().lower() not in ("x86_64", "amd64"):
        return True
    return not {"avx_vnni", "avx512_vnni", "amx_int8"}.isdisjoint(vector_instructions())
