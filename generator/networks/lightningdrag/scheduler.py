"""Converts the base model's noise schedule (diffusers' `scheduler_config.json`) to a manifest's sampler entry."""

from __future__ import annotations

from typing import Any

from diffusers import DDIMScheduler, LCMScheduler

from edgedrag.runtime.errors import InputError
from edgedrag.runtime.sampling.sampler import LCM_TIMESTEP_SCALE

START = 999  # timestep of the noised source in the published code, for any number of steps
PREDICTIONS = {"epsilon": "epsilon", "v_prediction": "v", "sample": "sample"}
STABLE_DIFFUSION_15: dict[str, Any] = {  # for random weights, which have no base model
    "beta_start": 0.00085,
    "beta_end": 0.012,
    "beta_schedule": "scaled_linear",
    "num_train_timesteps": 1000,
    "clip_sample": False,
    "set_alpha_to_one": False,
    "steps_offset": 1,
}


def sampler_entry(method: str, config: dict[str, Any], where: str) -> dict[str, Any]:
    """The manifest's `sampler` for a base's scheduler: LCM with 8 steps by default or DDIM with 25, as published.

    Args:
        method: "lcm" or "ddim".
        config: the base model's scheduler_config.json; the class named in it is ignored, as in the published code.
        where: the file, for errors.

    Raises:
        InputError: not a scheduler config, or one whose steps are not linear in the latent.
    """
    lcm = method == "lcm"
    if not lcm:  # diffusers' StableDiffusionPipeline sets these two, whatever the file says
        config = {**config, "steps_offset": 1, "clip_sample": False}
    try:
        scheduler = (LCMScheduler if lcm else DDIMScheduler).from_config(config)
        alphas = [round(float(a) ** 0.5, 9) for a in scheduler.alphas_cumprod.double()]
    except (TypeError, ValueError, NotImplementedError, AttributeError) as error:
        raise InputError(f"{where}: diffusers cannot read it as a scheduler config ({error})") from None
    options = scheduler.config
    for name in ("clip_sample", "thresholding", "rescale_betas_zero_snr"):
        if options[name]:
            raise InputError(f"{where}: {name} is set, which bundles do not support; set it to false")
    if options["prediction_type"] not in PREDICTIONS or len(alphas) <= START:
        raise InputError(f"{where}: prediction_type {options['prediction_type']!r} with {len(alphas)} timesteps; "
                         f"one of {', '.join(PREDICTIONS)} with more than {START} is needed")  # fmt: skip
    entry: dict[str, Any] = {
        "method": method,
        "prediction": PREDICTIONS[options["prediction_type"]],
        "alphas": alphas,
        "default_steps": 8 if lcm else 25,
        "start_timestep": START,
        "guidance": {"schedule": "inv_square", "scale": 3.0 if lcm else 4.0},
    }
    if not lcm:
        final = round(float(scheduler.final_alpha_cumprod) ** 0.5, 9)
        return {**entry, "spacing": options["timestep_spacing"], "final_alpha": final}
    if options["timestep_scaling"] != LCM_TIMESTEP_SCALE:
        raise InputError(f"{where}: timestep_scaling is {options['timestep_scaling']}, not {LCM_TIMESTEP_SCALE}")
    scheduler.set_timesteps(options["original_inference_steps"])
    return {**entry, "timesteps": scheduler.timesteps.tolist()}
