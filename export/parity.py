"""Parity as a signal-to-noise ratio."""

from __future__ import annotations

import numpy as np


def snr_db(reference: np.ndarray, value: np.ndarray) -> float:
    """Signal-to-noise ratio of `value` against `reference`, dB; 200 where they are equal."""
    reference, value = reference.astype(np.float64), value.astype(np.float64)
    noise = float(((reference - value) ** 2).sum())
    signal = float((reference**2).sum())
    return 200.0 if noise == 0 else min(200.0, 10 * float(np.log10(max(signal, 1e-300) / noise)))
