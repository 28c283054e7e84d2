"""Where the time of a drag goes."""

from __future__ import annotations

import time


class Stopwatch:
    """Milliseconds spent under each name; `composite` is what remains of the total."""

    def __init__(self) -> None:
        self.timings = dict.fromkeys(("reference", "drag", "denoise", "decode"), 0.0)
        self._start = self._last = time.perf_counter()

    def begin(self) -> None:
        """The next lap begins; what lies before it goes to `composite`."""
        self._last = time.perf_counter()

    def skip(self) -> None:
        """Leave out the time since the last lap: it was spent by the caller."""
        now = time.perf_counter()
        self._start += now - self._last
        self._last = now

    def lap(self, name: str) -> None:
        now = time.perf_counter()
        self.timings[name] += (now - self._last) * 1e3
        self._last = now

    def finish(self) -> dict[str, float]:
        total = (time.perf_counter() - self._start) * 1e3
        self.timings["composite"] = total - sum(self.timings.values())
        self.timings["total"] = total
        return {name: round(ms, 2) for name, ms in self.timings.items()}
