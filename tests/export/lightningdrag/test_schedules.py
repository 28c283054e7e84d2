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
from edgedrag.generator.networks.lightningdrag.scheduler import STABLE_DIFFUSION_15, sampler_entry
from edgedrag.runtime.errors import InputError
from edgedrag.runtime.sampling.sampler import make_table

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
    scheduler = diffusers.LCMScheduler.from_config(STABLE_DIFFUSION_15)
    scheduler.set_timesteps(steps)
    entry = sampler_entry("lcm", STABLE_DIFFUSION_15, "config")
    if steps == 8:
        assert scheduler.timesteps.tolist() == [999, 879, 759, 639, 499, 379, 259, 139]
    assert make_table(entry, steps).timesteps.tolist() == scheduler.timesteps.tolist()
    drawn = iter(torch.from_numpy(noise[1:]))
    monkeypatch.setattr(scheduling_lcm, "randn_tensor", lambda *_, **__: next(drawn))
    np.testing.assert_allclose(
        ours(entry, steps, source, noise), theirs(scheduler, 999, source, noise), rtol=1e-5, atol=1e-5
    )


@pytest.mark.parametrize("steps", [1, 3, 8, 25, 30, 50, 64, 500, 999])
def test_ddim_respaces_for_any_number_of_steps(steps: int) -> None:
    check_ddim(STABLE_DIFFUSION_15, steps)


@pytest.mark.parametrize("spacing", ["leading", "linspace", "trailing"])
@pytest.mark.parametrize("steps", [4, 30])
@pytest.mark.parametrize("to_one", [True, False])
def test_ddim_follows_the_bases_config(spacing: str, steps: int, to_one: bool) -> None:
    other = {"beta_start": 0.0001, "beta_end": 0.02, "beta_schedule": "linear", "prediction_type": "v_prediction"}
    check_ddim({**other, "timestep_spacing": spacing, "set_alpha_to_one": to_one, "steps_offset": 0}, steps)


def check_ddim(config: dict, steps: int) -> None:
    """As in diffusers' pipeline, which sets an offset of 1 and takes off the clipping."""
    rng = np.random.default_rng(0)
    source, noise = rng.normal(size=SHAPE), rng.normal(size=(steps + 1, *SHAPE))
    scheduler = diffusers.DDIMScheduler.from_config({**config, "steps_offset": 1, "clip_sample": False})
    scheduler.set_timesteps(steps)
    entry = sampler_entry("ddim", config, "config")
    assert make_table(entry, steps).timesteps.tolist() == scheduler.timesteps.tolist()
    expected = theirs(scheduler, 999, source, noise)
    np.testing.assert_allclose(ours(entry, steps, source, noise), expected, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("steps", [0, 1000])
def test_steps_that_ddim_cannot_spread_are_refused(steps: int) -> None:
    with pytest.raises(InputError, match=f"steps: {steps} is not between 1 and 999"):
        make_table(sampler_entry("ddim", STABLE_DIFFUSION_15, "config"), steps)


@pytest.mark.parametrize(
    ("method", "change", "words"),
    [
        ("lcm", {"clip_sample": True}, "clip_sample is set"),
        ("ddim", {"thresholding": True}, "thresholding is set"),
        ("ddim", {"rescale_betas_zero_snr": True}, "rescale_betas_zero_snr is set"),
        ("ddim", {"num_train_timesteps": 500}, "with 500 timesteps"),
        ("ddim", {"prediction_type": "flow"}, "prediction_type 'flow'"),
        ("ddim", {"beta_schedule": "none such"}, "cannot read it as a scheduler config"),
        ("ddim", {"beta_start": "x"}, "cannot read it as a scheduler config"),
    ],
)
def test_schedulers_that_no_bundle_can_state_are_refused(method: str, change: dict, words: str) -> None:
    with pytest.raises(InputError, match=f"^config: .*{words}"):
        sampler_entry(method, {**STABLE_DIFFUSION_15, **change}, "config")


@pytest.mark.parametrize("scale", [1.0, 0.5])
def test_a_scale_that_guides_nowhere_is_no_crash(toy: Path, scale: float) -> None:
    rewrite_manifest(toy, lambda m: m["sampler"].update(guidance={"schedule": "inv_square", "scale": scale}))
    photo = np.random.default_rng(0).integers(0, 255, (128, 128, 3), dtype=np.uint8)
    edit = edgedrag.open(toy).load(photo).drag([((60, 60), (70, 60))])
    assert np.array_equal(edit.image[~edit.mask], photo[~edit.mask])
