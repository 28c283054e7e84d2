"""Where a handle's content lies after an edit, by DIFT: features of Stable Diffusion 2.1 (Tang et al., NeurIPS 2023).

As RegionDrag measures it (Lu et al., ECCV 2024): photos of 768 x 768, noise of step 261, the mean of eight features of
the UNet's second block on the way up, over which `metrics.xfeat.landings` searches. The weights are the user's own: a
folder as diffusers writes it, with vae, unet, text_encoder, tokenizer and scheduler. Needs diffusers and transformers.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from edgedrag.runtime.errors import InputError

STEP, BLOCK, ENSEMBLE, SIDE = 261, 1, 8, 768
PARTS = ("vae", "unet", "text_encoder", "tokenizer", "scheduler")


class Dift:
    """The networks, float32 on the CPU or float16 on a GPU.

    Args:
        side: pixels of the square that photos are resized to.
    """

    def __init__(self, folder: Path, side: int = SIDE):
        """Load the networks.

        Raises:
            InputError: a part is missing or damaged, or a package is not installed; says which.
        """
        absent = [part for part in PARTS if not (folder / part).is_dir()]
        if absent:
            raise InputError(f"{folder}: no Stable Diffusion weights as diffusers writes them; {absent[0]}/ is missing")
        try:
            from diffusers import AutoencoderKL, DDPMScheduler, UNet2DConditionModel
            from transformers import CLIPTextModel, CLIPTokenizer
        except ImportError as error:
            raise InputError(f"DIFT needs diffusers and transformers ({error.name} is not installed)") from None
        self.side = side
        self.device = "cuda" if torch.cuda.is_available() else "cpu"
        dtype = torch.float16 if self.device == "cuda" else torch.float32

        def load(kind: Any, part: str) -> Any:
            network = kind.from_pretrained(folder / part, local_files_only=True, torch_dtype=dtype)
            return network.to(self.device).eval()

        try:
            self.vae, self.unet = load(AutoencoderKL, "vae"), load(UNet2DConditionModel, "unet")
            self.text = load(CLIPTextModel, "text_encoder")
            self.tokenizer = CLIPTokenizer.from_pretrained(folder / "tokenizer", local_files_only=True)
            self.scheduler = DDPMScheduler.from_pretrained(folder / "scheduler", local_files_only=True)
        except (OSError, ValueError, RuntimeError) as error:
            raise InputError(f"{folder}: cannot be loaded ({str(error).splitlines()[0]})") from None

    @torch.no_grad()
    def features(self, photo: np.ndarray, prompt: str) -> Tensor:
        """Unit features of a photo (uint8 RGB [H, W, 3]) at its own size, float32 [C, H, W]."""
        picture = torch.from_numpy(np.ascontiguousarray(photo)).to(self.device).permute(2, 0, 1)[None]
        picture = picture.float() / 127.5 - 1
        square = F.interpolate(picture, (self.side, self.side)).to(self.unet.dtype)
        latent = self.vae.encode(square).latent_dist.mode() * self.vae.config.scaling_factor
        latents = latent.expand(ENSEMBLE, -1, -1, -1)
        noise = torch.randn(latents.shape, generator=torch.Generator().manual_seed(0)).to(latents)
        step = torch.tensor(STEP, device=self.device)
        found: list[Tensor] = []
        handle = self.unet.up_blocks[BLOCK].register_forward_hook(lambda _, __, out: found.append(out))
        try:
            self.unet(self.scheduler.add_noise(latents, noise, step), step, self._prompt(prompt))
        finally:
            handle.remove()
        mean = found[0].float().mean(0, keepdim=True)
        return F.normalize(F.interpolate(mean, photo.shape[:2])[0], dim=0).cpu()

    def _prompt(self, prompt: str) -> Tensor:
        length = self.text.config.max_position_embeddings
        ids = self.tokenizer(prompt, padding="max_length", max_length=length, truncation=True, return_tensors="pt")
        return self.text(ids.input_ids.to(self.device))[0].expand(ENSEMBLE, -1, -1)
