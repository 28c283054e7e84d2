"""The table of coefficients against a plain float64 loop, and against the published figures."""

from __future__ import annotations

import numpy as np
import pytest

from edgedrag.runtime.errors import InputError
from edgedrag.runtime.sampling.sampler import guidance_scales, make_table, pick_timesteps

BETAS = np.linspace(0.00085**0.5, 0.012**0.5, 1000) ** 2
ALPHAS = np.sqrt(np.cumprod(1 - BETAS))
LCM_GRID = list(range(999, 0, -20))


def sampler(method: str, prediction: str) -> dict:
    guidance = {"schedule": "none", "scale": 1.0}
    return {
        "method": method,
        "prediction": prediction,
        "alphas": ALPHAS.tolist(),
        "timesteps": LCM_GRID,
        "default_steps": 4,
        "guidance": guidance,
    }


def plain_loop(method: str, prediction: str, x: np.ndarray, steps: int, noise: np.ndarray) -> np.ndarray:
    """The sampler as its papers write it, with a made-up network."""
    timesteps = pick_timesteps(LCM_GRID, steps)
    for i, t in enumerate(timesteps):
        alpha, sigma = ALPHAS[t], np.sqrt(1 - ALPHAS[t] ** 2)
        out = np.tanh(x + t / 1000)
        clean = {"sample": out, "epsilon": (x - sigma * out) / alpha, "v": alpha * x - sigma * out}[prediction]
        eps = {"sample": (x - alpha * out) / sigma, "epsilon": out, "v": sigma * x + alpha * out}[prediction]
        last = i + 1 == steps
        next_alpha = 1.0 if last else ALPHAS[timesteps[i + 1]]
        next_sigma = np.sqrt(1 - next_alpha**2)
        if method == "ddim":
            x = next_alpha * clean + next_sigma * eps
        else:
            skip = 0.25 / ((10 * t) ** 2 + 0.25)
            clean = skip * x + (10 * t) / np.sqrt((10 * t) ** 2 + 0.25) * clean
            x = next_alpha * clean + next_sigma * noise[i]
    return x


@pytest.mark.parametrize("method", ["ddim", "lcm"])
@pytest.mark.parametrize("prediction", ["sample", "epsilon", "v"])
@pytest.mark.parametrize("steps", [1, 4, 8, 50])
def test_table_equals_the_plain_loop(method: str, prediction: str, steps: int) -> None:
    rng = np.random.default_rng(1)
    x, noise = rng.standard_normal(100), rng.standard_normal((steps, 100))
    expected = plain_loop(method, prediction, x, steps, noise)
    table = make_table(sampler(method, prediction), steps)
    for (a, b, c), t, z in zip(table.steps, table.timesteps, noise):
        x = a * x + b * np.tanh(x + t / 1000) + c * z
    np.testing.assert_allclose(x, expected, rtol=1e-9, atol=1e-9)


def test_published_lcm_timesteps_and_guidance() -> None:
    assert pick_timesteps(LCM_GRID, 8).tolist() == [999, 879, 759, 639, 499, 379, 259, 139]
    published = [3.0, 2.53, 2.13, 1.78, 1.5, 1.28, 1.13, 1.03]
    np.testing.assert_allclose(guidance_scales("inv_square", 3.0, 8), published, atol=0.006)
    assert guidance_scales("none", 4.0, 3).tolist() == [4.0, 4.0, 4.0]
    np.testing.assert_allclose(guidance_scales("linear", 3.0, 4), [3.0, 2.5, 2.0, 1.5])
    np.testing.assert_allclose(guidance_scales("square", 3.0, 2), [3.0, 2.5])


def test_start_row_is_the_first_noise_level() -> None:
    table = make_table(sampler("ddim", "sample"))
    alpha = ALPHAS[table.timesteps[0]]
    np.testing.assert_allclose(table.start, [alpha, 0, np.sqrt(1 - alpha**2)])
    assert len(table.steps) == 4


@pytest.mark.parametrize("steps", [0, -3, 51])
def test_steps_that_cannot_be_are_named(steps: int) -> None:
    with pytest.raises(InputError, match=f"steps: {steps}"):
        make_table(sampler("ddim", "sample"), steps)
