"""A checkpoint folder in LightningDrag's published layout, tiny and with random weights."""

from __future__ import annotations

import json
from pathlib import Path

import torch
from safetensors.torch import save_file
from torch import Tensor
from transformers import CLIPTextConfig, CLIPTextModel

from edgedrag.generator.networks.lightningdrag.networks import build_unet
from edgedrag.generator.networks.lightningdrag.published import image_attention, point_attention
from edgedrag.generator.networks.lightningdrag.scheduler import STABLE_DIFFUSION_15
from edgedrag.generator.networks.lightningdrag.sizes import TINY
from edgedrag.generator.networks.lightningdrag.small_decoder import empty_small_decoder
from edgedrag.generator.networks.lightningdrag.weights import RandomWeights

BASE = "dreamshaper-8-inpainting"


def write_checkpoint(
    folder: Path, seed: int = 0, dtype: torch.dtype = torch.float32, lightningdrag: bool = True
) -> Path:
    """Write the folder and return it; without `lightningdrag`, only what its training starts from."""
    weights = RandomWeights(TINY, seed)
    denoiser, points, prompt = weights.denoiser(), weights.point_network(), weights.image_prompt()
    torch.manual_seed(seed)
    config = {
        "hidden_size": TINY.token_width, "intermediate_size": 64, "num_hidden_layers": 1, "num_attention_heads": 4,
        "vocab_size": 49408, "projection_dim": TINY.token_width, "eos_token_id": 49407, "bos_token_id": 49406,
    }  # fmt: skip
    text = CLIPTextModel(CLIPTextConfig(**config)).state_dict()
    own = {k: v for k, v in denoiser.unet.state_dict().items() if "_ip." not in k}
    old_names = {"to_q": "query", "to_k": "key", "to_v": "value", "to_out.0": "proj_attn"}
    vae = weights.vae().vae.state_dict()
    for new, old in old_names.items():
        vae = {k.replace(f".{new}.", f".{old}."): v for k, v in vae.items()}

    def save(name: str, tensors: dict[str, Tensor]) -> None:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        save_file({k: v.detach().to(dtype).contiguous() for k, v in tensors.items()}, path)

    def pickle(name: str, held: dict) -> None:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        torch.save(held, folder / name)

    save(f"{BASE}/unet/diffusion_pytorch_model.safetensors", own)
    unet_config = {"in_channels": 9, "block_out_channels": list(TINY.widths), "cross_attention_dim": TINY.token_width}
    (folder / BASE / "unet" / "config.json").write_text(json.dumps(unet_config))
    (folder / BASE / "scheduler").mkdir(parents=True)
    (folder / BASE / "scheduler" / "scheduler_config.json").write_text(json.dumps(STABLE_DIFFUSION_15))
    save(f"{BASE}/text_encoder/model.safetensors", {f"text_model.{k}": v for k, v in text.items()})
    (folder / BASE / "text_encoder" / "config.json").write_text(json.dumps(config))
    save("sd-vae-ft-mse/diffusion_pytorch_model.safetensors", vae)
    (folder / "sd-vae-ft-mse" / "config.json").write_text("{}")
    positions = {"vision_model.embeddings.position_ids": torch.arange(65)[None]}
    save("IP-Adapter/models/image_encoder/model.safetensors", prompt.encoder.state_dict() | positions)
    adapter = {"image_proj": prompt.projection.state_dict(), "ip_adapter": image_attention(denoiser).state_dict()}
    pickle("IP-Adapter/models/ip-adapter_sd15.bin", adapter)
    if not lightningdrag:
        return folder
    encoder = weights.appearance_encoder().unet.state_dict()
    save("lightning-drag-sd15/appearance_encoder/diffusion_pytorch_model.safetensors", encoder)
    pickle("lightning-drag-sd15/point_embedding/point_embedding.pt", points.embedding.state_dict())
    pickle("lightning-drag-sd15/lightning-drag-sd15-attn.bin", point_attention(points).state_dict())
    return folder


def write_lora(path: Path, layers: tuple[str, ...], rank: int = 4) -> Path:
    """A LoRA of layers of the tiny UNet, in LCM-LoRA's form."""
    unet = build_unet(TINY, 9)
    torch.manual_seed(5)
    tensors: dict[str, Tensor] = {}
    for name in layers:
        weight = unet.get_submodule(name).weight
        key = f"lora_unet_{name.replace('.', '_')}"
        tensors[f"{key}.lora_down.weight"] = torch.randn(rank, *weight.shape[1:])
        tensors[f"{key}.lora_up.weight"] = torch.randn(weight.shape[0], rank, *[1] * (weight.dim() - 2))
        tensors[f"{key}.alpha"] = torch.tensor(2.0)
    save_file(tensors, path)
    return path


def write_small_decoder(path: Path) -> Path:
    """A small decoder's weights, as AutoencoderTiny saves them."""
    torch.manual_seed(6)
    decoder = empty_small_decoder().state_dict()
    save_file({f"decoder.{k}": v for k, v in decoder.items()} | {"encoder.x": torch.zeros(1)}, path)
    return path
