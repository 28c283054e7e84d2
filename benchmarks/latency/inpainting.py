"""The peer that one would run instead: Stable Diffusion 1.5's inpainting as diffusers runs it, with random weights.

It moves nothing: what a drag uncovers and where it goes are one mask that it fills. Its time does not depend on the
weights. Networks of the published size need 4.3 GB for their weights, and minutes for a picture on two cores.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch
from diffusers import AutoencoderKL, DDIMScheduler, StableDiffusionInpaintPipeline, UNet2DConditionModel
from PIL import Image

from edgedrag.runtime.photo.picture import as_rgb8, load_picture

SIDE = 512  # pixels: the longer side of what the networks see; they were trained at this size
MULTIPLE = 8  # pixels: one of the latent
TOKENS = 77  # of a prompt
CHANNELS = (320, 640, 1280, 1280)  # of the published U-Net's levels
DECODER_CHANNELS = (128, 256, 512, 512)
CONTEXT = 768  # channels of a prompt's embedding


def pipeline(channels: tuple[int, ...] = CHANNELS, decoder: tuple[int, ...] = DECODER_CHANNELS) -> Any:
    """The pipeline with random weights; fewer `channels` are for tests. A prompt's embedding is given, not computed."""
    cross, plain = ("CrossAttnDownBlock2D",) * 3 + ("DownBlock2D",), ("UpBlock2D",) + ("CrossAttnUpBlock2D",) * 3
    with torch.device("meta"):
        unet = UNet2DConditionModel(
            sample_size=SIDE // MULTIPLE, in_channels=9, down_block_types=cross, up_block_types=plain,
            block_out_channels=channels, cross_attention_dim=CONTEXT, attention_head_dim=8,
        )  # fmt: skip
        vae = AutoencoderKL(
            down_block_types=("DownEncoderBlock2D",) * 4, up_block_types=("UpDecoderBlock2D",) * 4,
            block_out_channels=decoder, layers_per_block=2, latent_channels=4,
        )  # fmt: skip
    torch.manual_seed(0)
    for network in (unet, vae):
        network.to_empty(device="cpu").eval().requires_grad_(False)
        for values in network.parameters():
            values.normal_(0, 0.02)
    scheduler = DDIMScheduler(clip_sample=False, steps_offset=1)
    made = StableDiffusionInpaintPipeline(
        vae, None, None, unet, scheduler, safety_checker=None, feature_extractor=None, requires_safety_checker=False
    )
    made.set_progress_bar_config(disable=True)
    return made


class Inpainting:
    """A replacement for a runtime; see `peer_engines.open_peer`."""

    def __init__(self, sizes: Mapping[str, tuple[int, ...]] | None = None):
        """`sizes`: arguments of `pipeline`."""
        self._pipeline = pipeline(**(sizes or {}))

    def load(self, image: str | Path | np.ndarray) -> InpaintingPhoto:
        return InpaintingPhoto(as_rgb8(load_picture(image).pixels), self._pipeline)


@dataclass
class InpaintingPhoto:
    image: np.ndarray
    pipeline: Any

    def drag(self, drags: list[Any], mask: np.ndarray, steps: int | None = None) -> np.ndarray:
        """The photo with its mask filled, in `steps` steps without guidance."""
        height, width = self.image.shape[:2]
        scale = min(1.0, SIDE / max(height, width))
        size = [max(MULTIPLE, round(n * scale / MULTIPLE) * MULTIPLE) for n in (width, height)]
        small = Image.fromarray(cv2.resize(self.image, size, interpolation=cv2.INTER_AREA))
        where = Image.fromarray(cv2.resize((mask != 0).astype(np.uint8) * 255, size, interpolation=cv2.INTER_NEAREST))
        with torch.no_grad():
            filled = self.pipeline(
                prompt_embeds=torch.zeros(1, TOKENS, CONTEXT), image=small, mask_image=where, width=size[0],
                height=size[1], num_inference_steps=steps or 1, guidance_scale=1.0, strength=1.0, output_type="np",
                generator=torch.Generator().manual_seed(0),
            ).images[0]  # fmt: skip
        result = cv2.resize(np.rint(filled * 255).astype(np.uint8), (width, height), interpolation=cv2.INTER_LINEAR)
        return np.where((mask != 0)[..., None], result, self.image)

    def undo(self) -> None:
        """Does nothing: drags do not change the photo."""
