"""The sampler of LightningDrag's bundle against the schedulers of diffusers, on a made-up network."""

from __future__ import annotations

from pathlib import Path

import diffusers
import numpy as np
import pytest
import torch
from conftest import rewrite_manifest
from diffusers.schedulers import scheduling_lcm

import edgedrag
from edgedrag.export.lightningdrag import sampler_entry
from edgedrag.runtime.sampler import make_table

BETAS = {"beta_start": 0.00085, "beta_end": 0.012, "beta_schedule": "scaled_linear"}
SHAPE = (1, 4, 8, 8)


def network(latent: np.ndarray, timestep: int) -> np.ndarray:
    return np.tanh(latent + timestep / 1000)


def ours(entry: dict, steps: int, source: np.ndarray, noise: np.ndarray) -> np.ndarray:
    table = make_table(entry, steps)
    x = table.start[0] * source + table.start[2] * noise[0]
    for step, ((a, b, c), timestep) in enumerate(zip(table.steps, table.timesteps)):
        x = a * x + b * network(x, timestep) + c * noise[step + 1]
    return x


def theirs(scheduler: diffusers.SchedulerMixin, start: int, source: np.ndarray, noise: np.ndarray) -> np.ndarray:
    x = scheduler.add_noise(torch.from_numpy(source), torch.from_numpy(noise[0]), torch.tensor([start]))
    for timestep in scheduler.timesteps:
        x = scheduler.step(torch.from_numpy(network(x.numpy(), int(timestep))), timestep, x).prev_sample
    return x.numpy()


@pytest.mark.parametrize("steps", [2, 4, 8])
def test_lcm(steps: int, monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(0)
    source, noise = rng.normal(size=SHAPE), rng.normal(size=(steps + 1, *SHAPE))
    scheduler = diffusers.LCMScheduler(**BETAS)
    scheduler.set_timesteps(steps)
    entry = sampler_entry("lcm")
    if steps == 8:
        assert scheduler.timesteps.tolist() == [999, 879, 759, 639, 499, 379, 259, 139]
    assert make_table(entry, steps).timesteps.tolist() == scheduler.timesteps.tolist()
    drawn = iter(torch.from_numpy(noise[1:]))
    monkeypatch.setattr(scheduling_lcm, "randn_tensor", lambda *_, **__: next(drawn))
    np.testing.assert_allclose(
        ours(entry, steps, source, noise), theirs(scheduler, 999, source, noise), rtol=1e-5, atol=1e-5
    )


def test_ddim() -> None:
    rng = np.random.default_rng(0)
    source, noise = rng.normal(size=SHAPE), rng.normal(size=(26, *SHAPE))
    scheduler = diffusers.DDIMScheduler(**BETAS, clip_sample=False, set_alpha_to_one=False, steps_offset=1)
    scheduler.set_timesteps(25)
    entry = sampler_entry("ddim")
    assert make_table(entry, 25).timesteps.tolist() == scheduler.timesteps.tolist()
    np.testing.assert_allclose(
        ours(entry, 25, source, noise), theirs(scheduler, 999, source, noise), rtol=1e-5, atol=1e-5
    )


@pytest.mark.parametrize("scale", [1.0, 0.5])
def test_a_scale_that_guides_nowhere_is_no_crash(toy: Path, scale: float) -> None:
    rewrite_manifest(toy, lambda m: m["sampler"].update(guidance={"schedule": "inv_square", "scale": scale}))
    photo = np.random.default_rng(0).integers(0, 255, (128, 128, 3), dtype=np.uint8)
    edit = edgedrag.open(toy).load(photo).drag([((60, 60), (70, 60))])
    assert np.array_equal(edit.image[~edit.mask], photo[~edit.mask])
