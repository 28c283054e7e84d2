"""Running statistics of a tensor over many runs, in constant memory."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

BINS = 2048


@dataclass
class TensorStatistics:
    """Statistics of a tensor's values.

    Attributes:
        counts: histogram of the magnitudes, BINS equal bins over 0..reach.
        reach: upper end of the histogram, a power of two; 0 before the first nonzero value.
        peaks: the largest magnitude of each channel.
        extremes: timestep -> (smallest, largest) value; timestep -1 if the graph has none.
    """

    counts: np.ndarray = field(default_factory=lambda: np.zeros(BINS, np.int64))
    reach: float = 0.0
    peaks: np.ndarray = field(default_factory=lambda: np.zeros(0, np.float32))
    extremes: dict[int, tuple[float, float]] = field(default_factory=dict)

    @property
    def peak(self) -> float:
        return max((max(abs(low), abs(high)) for low, high in self.extremes.values()), default=0.0)

    def add(self, values: np.ndarray, channel_axis: int, timestep: int = -1) -> None:
        """Add a run's values, of any shape. Raises FloatingPointError if one is NaN or infinite."""
        magnitudes = np.abs(values)
        peak = float(magnitudes.max(initial=0.0))
        if not np.isfinite(peak):
            raise FloatingPointError
        low, high = self.extremes.get(timestep, (np.inf, -np.inf))
        self.extremes[timestep] = min(low, float(values.min(initial=0.0))), max(high, float(values.max(initial=0.0)))
        others = tuple(a for a in range(values.ndim) if a != channel_axis % values.ndim)
        peaks = magnitudes.max(axis=others, initial=0.0)
        self.peaks = np.maximum(self.peaks, peaks) if self.peaks.size else peaks
        if peak > 0:
            self._reach_for(peak)
            bins = np.minimum(magnitudes.ravel() * (BINS / self.reach), BINS - 1).astype(np.int32)
            self.counts += np.bincount(bins, minlength=BINS)

    def _reach_for(self, peak: float) -> None:
        """Double the histogram's range, merging pairs of bins, until it contains the peak."""
        needed = 2.0 ** np.ceil(np.log2(peak))
        if self.reach == 0:
            self.reach = needed
        while self.reach < needed:
            merged = self.counts.reshape(-1, 2).sum(1)
            self.counts = np.concatenate([merged, np.zeros(BINS // 2, np.int64)])
            self.reach *= 2

    def arrays(self) -> dict[str, np.ndarray]:
        """The statistics as arrays for `numpy.savez`; see `from_arrays`."""
        extremes = np.array([[step, *ends] for step, ends in sorted(self.extremes.items())], np.float64)
        return {"counts": self.counts, "reach": np.array(self.reach), "peaks": self.peaks, "extremes": extremes}

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, np.ndarray]) -> TensorStatistics:
        extremes = {int(step): (float(low), float(high)) for step, low, high in arrays["extremes"]}
        return cls(arrays["counts"], float(arrays["reach"]), arrays["peaks"], extremes)
