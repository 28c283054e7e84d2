"""The few-step sampler as a table of numbers: each step is x <- a x + b prediction + c noise.

DDIM with eta 0 (Song et al., ICLR 2021) and LCM (Luo et al., 2023) are both of that form.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from edgedrag.runtime.errors import InputError

LCM_SIGMA_DATA, LCM_TIMESTEP_SCALE = 0.5, 10.0
GUIDANCE_EPSILON = 0.05  # scales this near 1 run the single branch


@dataclass(frozen=True)
class Table:
    """The sampler's numbers for each step.

    `start` is the row (a, 0, c) that makes the first latent from the prior; `steps` [S, 3] holds
    a, b, c; `timesteps` [S]; `guidance` [S] the scale of the guidance pair. float64.
    """

    start: np.ndarray
    steps: np.ndarray
    timesteps: np.ndarray
    guidance: np.ndarray


def pick_timesteps(grid: list[int], steps: int) -> np.ndarray:
    """`steps` of the falling `grid`, evenly spread and beginning with its first.

    Raises:
        InputError: fewer than one step, or more than the grid has.
    """
    if not 1 <= steps <= len(grid):
        raise InputError(f"steps: {steps} is not between 1 and {len(grid)}, which is what this bundle can do")
    return np.array(grid)[np.floor(np.linspace(0, len(grid), steps, endpoint=False)).astype(int)]


def spaced_timesteps(spacing: str, count: int, steps: int) -> np.ndarray:
    """`steps` falling timesteps of 0..count - 1, spread as diffusers' DDIMScheduler does in its pipelines.

    "leading" is 1 + i * (count // steps), "linspace" from 0 to the last, "trailing" the last and then every
    count / steps-th.

    Raises:
        InputError: fewer than one step, or more than can be spread.
    """
    most = count - 1 if spacing == "leading" else count
    if not 1 <= steps <= most:
        raise InputError(f"steps: {steps} is not between 1 and {most}, which is what this bundle can do")
    if spacing == "leading":
        return np.arange(steps)[::-1] * (count // steps) + 1
    if spacing == "linspace":
        return np.linspace(0, count - 1, steps).round()[::-1].astype(int)
    return np.arange(count, 0, -count / steps)[:steps].round().astype(int) - 1


def most_steps(sampler: dict[str, Any]) -> int:
    """The largest step count of a manifest's `sampler` entry."""
    if "timesteps" in sampler:
        return len(sampler["timesteps"])
    return len(sampler["alphas"]) - (sampler["spacing"] == "leading")


def guidance_scales(schedule: str, scale: float, steps: int) -> np.ndarray:
    """The guidance scale of each step, falling from `scale` towards 1 unless the schedule is "none"."""
    progress = np.arange(steps) / steps
    weight = {
        "none": np.ones(steps),
        "linear": 1 - progress,
        "square": 1 - progress**2,
        "inv_square": (1 - progress) ** 2,
    }[schedule]
    return (scale - 1) * weight + 1


def make_table(sampler: dict[str, Any], steps: int | None = None) -> Table:
    """The table of `steps` (the bundle's default where None) for a manifest's `sampler` entry."""
    steps = sampler["default_steps"] if steps is None else steps
    alphas = np.array(sampler["alphas"], np.float64)
    if "spacing" in sampler:
        timesteps = spaced_timesteps(sampler["spacing"], len(alphas), steps)
        following = timesteps - len(alphas) // steps  # diffusers' rule, which need not be the next timestep
    else:
        timesteps = pick_timesteps(sampler["timesteps"], steps)
        following = np.append(timesteps[1:], -1)
    alpha = alphas[timesteps]
    sigma = np.sqrt(1 - alpha**2)
    next_alpha = np.where(following >= 0, alphas[following], sampler.get("final_alpha", 1.0))
    next_sigma = np.sqrt(1 - next_alpha**2)

    # Clean sample and noise as combinations of x and the prediction: (weight of x, weight of prediction).
    zero, one = np.zeros(steps), np.ones(steps)
    clean, noise = {
        "sample": ((zero, one), (1 / sigma, -alpha / sigma)),
        "epsilon": ((1 / alpha, -sigma / alpha), (zero, one)),
        "v": ((alpha, -sigma), (sigma, alpha)),
    }[sampler["prediction"]]
    if sampler["method"] == "ddim":
        a, b, c = (next_alpha * clean[0] + next_sigma * noise[0], next_alpha * clean[1] + next_sigma * noise[1], zero)
    else:
        scaled = timesteps * LCM_TIMESTEP_SCALE
        skip = LCM_SIGMA_DATA**2 / (scaled**2 + LCM_SIGMA_DATA**2)
        out = scaled / np.sqrt(scaled**2 + LCM_SIGMA_DATA**2)
        a, b, c = next_alpha * (skip + out * clean[0]), next_alpha * out * clean[1], next_sigma
    guidance = sampler["guidance"]
    start = sampler["alphas"][sampler.get("start_timestep", timesteps[0])]
    return Table(
        start=np.array([start, 0.0, np.sqrt(1 - start**2)]),
        steps=np.stack([a, b, c], 1),
        timesteps=timesteps,
        guidance=guidance_scales(guidance["schedule"], guidance["scale"], steps),
    )
