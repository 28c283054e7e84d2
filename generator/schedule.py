"""The noise schedule that the embedded generator is trained with, and that its bundle states."""

from __future__ import annotations

import numpy as np

STEPS = 1000


def alphas_and_sigmas() -> tuple[np.ndarray, np.ndarray]:
    """alpha_t and sigma_t for t = 0..999, float64: Stable Diffusion's scaled-linear betas, 0.00085 to 0.012."""
    betas = np.linspace(0.00085**0.5, 0.012**0.5, STEPS) ** 2
    kept = np.cumprod(1.0 - betas)
    return np.sqrt(kept), np.sqrt(1.0 - kept)
