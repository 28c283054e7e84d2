"""The noise schedule of training, and the matching sampler entry of a bundle."""

from __future__ import annotations

from typing import Any

import numpy as np

STEPS = 1000
GRID = 50  # number of timesteps from which a sampler's steps are selected


def alphas_and_sigmas() -> tuple[np.ndarray, np.ndarray]:
    """alpha_t and sigma_t for t = 0..999, float64: Stable Diffusion's scaled-linear betas, 0.00085 to 0.012."""
    betas = np.linspace(0.00085**0.5, 0.012**0.5, STEPS) ** 2
    squared = np.cumprod(1.0 - betas)
    return np.sqrt(squared), np.sqrt(1.0 - squared)


def sampler(prediction: str, default_steps: int) -> dict[str, Any]:
    """The manifest's `sampler` entry: deterministic DDIM without guidance."""
    return {
        "method": "ddim",
        "prediction": prediction,
        "alphas": [round(float(a), 9) for a in alphas_and_sigmas()[0]],
        "timesteps": np.arange(STEPS - 1, -1, -STEPS // GRID).tolist(),
        "default_steps": default_steps,
        "guidance": {"schedule": "none", "scale": 1.0},
    }
