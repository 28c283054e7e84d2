"""Reading the published weights, from a folder of this layout:

    CHECKPOINT/
        lightning-drag-sd15/{appearance_encoder/, point_embedding/point_embedding.pt, lightning-drag-sd15-attn.bin}
        IP-Adapter/models/{image_encoder/, ip-adapter_sd15.bin}
        BASE/{unet/, text_encoder/, vae/, scheduler/}    Stable Diffusion 1.5 for inpainting, or a model tuned from it
        sd-vae-ft-mse/ or sd-vae-ft-ema/     optional, in place of BASE/vae

A LoRA of the denoiser may be given as well; it is fused into the denoiser.
"""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from transformers import CLIPTextConfig, CLIPTextModel

from edgedrag.generator.networks.lightningdrag.lora import find_lora, fuse, read_lora
from edgedrag.generator.networks.lightningdrag.networks import (
    AppearanceEncoder,
    Denoiser,
    ImagePrompt,
    Vae,
    build_unet,
    transformer_blocks,
)
from edgedrag.generator.networks.lightningdrag.points import PointNetwork
from edgedrag.generator.networks.lightningdrag.sizes import LATENT_CHANNELS, SIZES, TEXT_TOKENS, Size
from edgedrag.generator.networks.lightningdrag.tensor_files import check_fit, fill, find_weights, read_tensors
from edgedrag.generator.networks.lightningdrag.weights import Weights
from edgedrag.runtime.errors import InputError
from edgedrag.runtime.files import sha256_of

DRAG = "lightning-drag-sd15"
ADAPTER_FOLDER = "IP-Adapter"
POINTS_FILE, ATTENTION_FILE = "point_embedding/point_embedding.pt", "lightning-drag-sd15-attn.bin"
START, END = 49406, 49407  # CLIP's tokens; the empty prompt is one START followed by ENDs
OLD_VAE_NAMES = {".query.": ".to_q.", ".key.": ".to_k.", ".value.": ".to_v.", ".proj_attn.": ".to_out.0."}


class PublishedWeights(Weights):
    """A checkpoint folder. The constructor checks all files; networks are loaded on demand.

    With `untrained`, LightningDrag's own weights may be missing: the appearance encoder then starts as a copy of the
    denoiser and the points add nothing.

    Raises:
        InputError: a part is missing, damaged, of another model, or has other shapes.
    """

    def __init__(self, folder: Path, lora: Path | None = None, untrained: bool = False):
        self._trained = (folder / DRAG).is_dir()
        if not self._trained and not untrained:
            raise InputError(
                f"{folder}: not a LightningDrag checkpoint, it has no folder {DRAG}; give the folder that holds "
                f"{DRAG}, IP-Adapter and a Stable Diffusion 1.5 model for inpainting"
            )
        drag, adapter, base = folder / DRAG, folder / ADAPTER_FOLDER / "models", _find_base(folder)
        separate = [p for p in sorted(folder.glob("sd-vae-ft-*")) if (p / "config.json").is_file()]
        self.base_parts = [folder / ADAPTER_FOLDER, base, *separate]  # the parts that LightningDrag does not train
        self.size = _size_of(base)
        self._scheduler = _read_json(base / "scheduler" / "scheduler_config.json")
        self._text_config = CLIPTextConfig(**_read_json(base / "text_encoder" / "config.json"))
        self._files = {
            "unet": find_weights(base / "unet", "diffusion_pytorch_model"),
            "text": find_weights(base / "text_encoder", "model", "pytorch_model"),
            "vae": find_weights(separate[0] if separate else base / "vae", "diffusion_pytorch_model"),
            "vision": find_weights(adapter / "image_encoder", "model", "pytorch_model"),
            "adapter": adapter / "ip-adapter_sd15.bin",
        }
        if self._trained:
            self._files |= {
                "appearance": find_weights(drag / "appearance_encoder", "diffusion_pytorch_model"),
                "points": drag / POINTS_FILE,
                "attention": drag / ATTENTION_FILE,
            }
        if lora is not None:
            self._files["lora"] = find_lora(lora)
        self._lora = read_lora(lora) if lora is not None else {}
        self._check()

    def _read(self, part: str, *within: str) -> dict[str, Tensor]:
        """The tensors of a part, renamed to the current names of its network."""
        tensors = read_tensors(self._files[part], *within)
        if part in ("text", "vision"):  # older files store the position indices
            tensors = {k: v for k, v in tensors.items() if not k.endswith(".position_ids")}
        if part == "text":
            tensors = {k.removeprefix("text_model."): v for k, v in tensors.items()}
        if part == "vae":
            for old, new in OLD_VAE_NAMES.items():
                tensors = {k.replace(old, new): v for k, v in tensors.items()}
        return tensors

    def _check(self) -> None:
        """Check that every file fits its network; reads names, shapes and types only."""
        size = self.size
        with torch.device("meta"):
            unet, denoiser, encoder = build_unet(size, 2 * LATENT_CHANNELS + 1), Denoiser(size), AppearanceEncoder(size)
            points, prompt, vae, text = (
                PointNetwork(size),
                ImagePrompt(size),
                Vae(size),
                CLIPTextModel(self._text_config),
            )
        for module, part, *within in (
            (unet, "unet"),
            (text, "text"),
            (vae.vae, "vae"),
            (prompt.encoder, "vision"),
            (prompt.projection, "adapter", "image_proj"),
            (image_attention(denoiser), "adapter", "ip_adapter"),
            (encoder.unet, "appearance"),
            (points.embedding, "points"),
            (point_attention(points), "attention"),
        ):
            if part not in self._files:
                continue
            check_fit(module, self._read(part, *within), self._files[part])
        if self._lora:
            fuse(unet, self._lora, self._files["lora"], dry=True)

    def prompt(self) -> Tensor:
        with torch.device("meta"):
            encoder = CLIPTextModel(self._text_config)
        fill(encoder, self._read("text"))
        encoder.embeddings.position_ids = torch.arange(TEXT_TOKENS)[None]
        with torch.no_grad():
            return encoder.eval()(torch.tensor([[START] + [END] * (TEXT_TOKENS - 1)])).last_hidden_state

    def denoiser(self) -> Denoiser:
        with torch.device("meta"):
            denoiser = Denoiser(self.size)
        fill(denoiser.unet, self._read("unet"))
        fill(image_attention(denoiser), self._read("adapter", "ip_adapter"))
        if self._lora:
            fuse(denoiser.unet, self._lora, self._files["lora"])
        denoiser.set_prompt(self.prompt())
        return denoiser.eval()

    def appearance_encoder(self) -> AppearanceEncoder:
        with torch.device("meta"):
            encoder = AppearanceEncoder(self.size)
        if self._trained:
            fill(encoder.unet, self._read("appearance"))
        else:
            expected = encoder.unet.state_dict().keys()
            copied = {k: v for k, v in self._read("unet").items() if k in expected}
            copied["conv_in.weight"] = copied["conv_in.weight"][:, :LATENT_CHANNELS]
            fill(encoder.unet, copied)
        return encoder.eval()

    def point_network(self) -> PointNetwork:
        if not self._trained:
            untrained = PointNetwork(self.size)
            untrained.zero_init()
            return untrained.eval()
        with torch.device("meta"):
            points = PointNetwork(self.size)
        fill(points.embedding, self._read("points"))
        fill(point_attention(points), self._read("attention"))
        return points.eval()

    def image_prompt(self) -> ImagePrompt:
        with torch.device("meta"):
            prompt = ImagePrompt(self.size)
        fill(prompt.encoder, self._read("vision"))
        fill(prompt.projection, self._read("adapter", "image_proj"))
        embeddings = prompt.encoder.vision_model.embeddings
        embeddings.position_ids = torch.arange(embeddings.num_positions)[None]
        return prompt.eval()

    def vae(self) -> Vae:
        with torch.device("meta"):
            vae = Vae(self.size)
        fill(vae.vae, self._read("vae"))
        return vae.eval()

    def scheduler(self) -> dict[str, Any]:
        return self._scheduler

    def digest(self) -> str:
        digest = hashlib.sha256()
        for path in self._files.values():
            digest.update(bytes.fromhex(sha256_of(path)))
        return digest.hexdigest()


def image_attention(denoiser: Denoiser) -> nn.Module:
    """The IP-Adapter's layers of the denoiser, under their published names (odd numbers)."""
    processors = [block.attn2.processor for block in transformer_blocks(denoiser.unet)]
    return nn.ModuleDict({str(2 * layer + 1): processor for layer, processor in enumerate(processors)})


def point_attention(points: PointNetwork) -> nn.Module:
    """The points' adapters, under their published names (even numbers)."""
    return nn.ModuleDict({str(2 * layer): adapter for layer, adapter in enumerate(points.adapters)})


def _find_base(folder: Path) -> Path:
    """The base model's folder: the only one with a UNet in it."""
    bases = sorted(p.parent.parent for p in folder.glob("*/unet/config.json"))
    if len(bases) != 1:
        what = "no folder holds" if not bases else f"{', '.join(p.name for p in bases)} all hold"
        raise InputError(
            f"{folder}: {what} unet/config.json; exactly one Stable Diffusion 1.5 inpainting model belongs here"
        )
    return bases[0]


def _size_of(base: Path) -> Size:
    """The size whose widths the UNet has. Raises InputError for other kinds of models."""
    file = base / "unet" / "config.json"
    config = _read_json(file)
    widths, token_width, channels = (
        config.get(k) for k in ("block_out_channels", "cross_attention_dim", "in_channels")
    )
    if (base / "text_encoder_2").exists() or token_width == 2048 or len(widths or ()) == 3:
        raise InputError(f"{file}: an SDXL model; LightningDrag's weights are for Stable Diffusion 1.5")
    for size in SIZES.values():
        if list(size.widths) == widths and size.token_width == token_width:
            break
    else:
        raise InputError(f"{file}: widths {widths} with text of {token_width} are not Stable Diffusion 1.5's")
    if channels != 2 * LATENT_CHANNELS + 1:
        raise InputError(
            f"{file}: the UNet has {channels} input channels, 9 are needed: this is no inpainting model. Use an "
            "inpainting model, such as dreamshaper-8-inpainting"
        )
    return size


def _read_json(file: Path) -> dict[str, Any]:
    try:
        values = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise InputError(f"{file}: not a model's config ({error})") from None
    if not isinstance(values, dict):
        raise InputError(f"{file}: not a model's config")
    return values
