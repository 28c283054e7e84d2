"""The first edits of a new release: have they kept to their limits?"""

from __future__ import annotations

from collections.abc import Sequence
from statistics import median

from edgedrag.runtime.bundle.installed import Trial

FEWEST_BEFORE = 5  # edits before, with fewer of which times are not compared


class TrialRun:
    """Counts edits against a `Trial`."""

    def __init__(self, trial: Trial, before_ms: Sequence[float]):
        """`before_ms` are the times of edits before the switch, in milliseconds."""
        self._trial = trial
        self._before = median(before_ms) if len(before_ms) >= FEWEST_BEFORE else None
        self._bad, self._edits = 0, 0
        self._times: list[float] = []

    @property
    def over(self) -> bool:
        """Whether all its edits were made."""
        return self._edits >= self._trial.edits

    def add(self, bad: bool, spent_ms: float | None) -> str | None:
        """Count an edit; the reason why the release did not keep to its limits, None where it does so far.

        Args:
            bad: its verdict is "bad", or it failed.
            spent_ms: what the engine took for it; None where it failed.
        """
        self._edits += 1
        self._bad += bad
        if spent_ms is not None:
            self._times.append(spent_ms)
        if self._bad > self._trial.bad_share * self._trial.edits:
            return f"{self._bad} of its first {self._edits} edits were bad"
        if self.over and self._before is not None and self._times:
            now = median(self._times)
            if now > self._trial.slower * self._before:
                return (
                    f"its first {self._edits} edits took {now:.0f} ms, {now / self._before:.1f} times as long as before"
                )
        return None
