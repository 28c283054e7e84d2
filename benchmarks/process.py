"""The command line, with the peak memory of its process on stderr when it ends.

python -m edgedrag.benchmarks.process drag PHOTO ...
"""

from __future__ import annotations

import atexit
import resource
import sys
from pathlib import Path

from edgedrag.cli import main

MARK = "peak memory MB:"


def peak_memory_mb() -> float:
    """Of this process alone: getrusage would count the parent's memory at the time of the fork."""
    try:
        lines = Path("/proc/self/status").read_text().splitlines()
        return float(next(line.split()[1] for line in lines if line.startswith("VmHWM"))) / 1024
    except (OSError, StopIteration):
        scale = 1 << 20 if sys.platform == "darwin" else 1 << 10
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / scale


if __name__ == "__main__":
    atexit.register(lambda: print(MARK, round(peak_memory_mb(), 1), file=sys.stderr))
    main()
