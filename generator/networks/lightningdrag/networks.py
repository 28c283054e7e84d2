"""LightningDrag's networks at a given size, randomly initialised."""

from __future__ import annotations

from functools import partial
from typing import Any

import torch
from diffusers import AutoencoderKL, UNet2DConditionModel
from diffusers.models.attention import BasicTransformerBlock
from torch import Tensor, nn
from transformers import CLIPVisionConfig, CLIPVisionModelWithProjection

from edgedrag.generator.networks.lightningdrag.attention import Conditioning, ImagePromptAttention, ReferenceAttention
from edgedrag.generator.networks.lightningdrag.sizes import CLIP_SIDE, IMAGE_TOKENS, LATENT_CHANNELS, Size


def build_unet(size: Size, in_channels: int) -> UNet2DConditionModel:
    """Stable Diffusion 1.5's UNet at a size's widths and depth."""
    plain = len(size.widths) - size.attention
    return UNet2DConditionModel(
        down_block_types=("CrossAttnDownBlock2D",) * size.attention + ("DownBlock2D",) * plain,
        up_block_types=("UpBlock2D",) * plain + ("CrossAttnUpBlock2D",) * size.attention,
        in_channels=in_channels,
        out_channels=LATENT_CHANNELS,
        block_out_channels=size.widths,
        layers_per_block=size.depth,
        cross_attention_dim=size.token_width,
        norm_num_groups=size.groups,
    )


def transformer_blocks(unet: nn.Module) -> list[BasicTransformerBlock]:
    """The attention blocks, in the order of their layer numbers."""
    parts = ("down_blocks", "up_blocks", "mid_block")
    return [
        m
        for part in parts
        for m in unet.get_submodule(part).modules()
        if isinstance(m, (BasicTransformerBlock, LastBlock))
    ]


class Denoiser(nn.Module):
    """The 9-channel UNet whose attention reads the photo, the points and the image's tokens."""

    def __init__(self, size: Size):
        super().__init__()
        self.unet = build_unet(size, 2 * LATENT_CHANNELS + 1)
        for layer, block in enumerate(transformer_blocks(self.unet)):
            block.attn1.set_processor(ReferenceAttention(layer))
            block.attn2.set_processor(ImagePromptAttention(size.layer_width(layer), size.token_width))

    def blocks(self) -> list[BasicTransformerBlock]:
        """The attention blocks, in the order of their layer numbers."""
        return transformer_blocks(self.unet)

    def set_prompt(self, prompt: Tensor) -> None:
        """Precompute the prompt's keys and values; call it again after every change of the weights."""
        for block in self.blocks():
            block.attn2.processor.set_prompt(block.attn2, prompt)

    def project(self, bank: list[Tensor]) -> tuple[list[Tensor], list[Tensor]]:
        """Keys and values of the photo's features, by layer, each [B, tokens, width]."""
        to_k, to_v = self.projections()
        return [k(x) for k, x in zip(to_k, bank)], [v(x) for v, x in zip(to_v, bank)]

    def projections(self) -> tuple[nn.ModuleList, nn.ModuleList]:
        """The key and value projections of self-attention, by layer."""
        return (
            nn.ModuleList(block.attn1.to_k for block in self.blocks()),
            nn.ModuleList(block.attn1.to_v for block in self.blocks()),
        )

    def forward(
        self,
        latent: Tensor,
        mask: Tensor,
        masked_latent: Tensor,
        image_tokens: Tensor,
        conditioning: Conditioning,
        timestep: Tensor,
    ) -> Tensor:
        """Predict the noise in a latent [B, 4, h, w]; mask [B, 1, h, w], timestep [B] in 0..999."""
        x = torch.cat([latent, mask, masked_latent], 1)
        return self.unet(
            x, timestep, image_tokens, cross_attention_kwargs={"conditioning": conditioning}, return_dict=False
        )[0]


class LastBlock(nn.Module):
    """The last attention block reduced to its first norm, the only part that is needed."""

    def __init__(self, width: int):
        super().__init__()
        self.norm1 = nn.LayerNorm(width)

    def forward(self, hidden_states: Tensor, *_: Any, **__: Any) -> Tensor:
        self.norm1(hidden_states)
        return hidden_states


class AppearanceEncoder(nn.Module):
    """A UNet over the clean photo; its outputs are the normalised inputs of its self-attention layers."""

    def __init__(self, size: Size):
        super().__init__()
        self.layer_levels = size.layer_levels
        self.unet = build_unet(size, LATENT_CHANNELS)
        self.unet.conv_norm_out = None
        self.unet.conv_out = nn.Identity()
        last = self.unet.up_blocks[-1].attentions[-1]
        last.transformer_blocks[0] = LastBlock(size.widths[0])
        last.proj_out = nn.Identity()

    def forward(self, latent: Tensor, prompt: Tensor) -> list[Tensor]:
        """Features by layer, each [B, tokens, width], of a clean latent [B, 4, h, w]."""
        bank: list[Tensor] = [latent] * len(self.layer_levels)

        def keep(layer: int, module: nn.Module, inputs: Any, output: Tensor) -> None:
            bank[layer] = output

        norms = [block.norm1 for block in transformer_blocks(self.unet)]
        hooks = [norm.register_forward_hook(partial(keep, layer)) for layer, norm in enumerate(norms)]
        try:
            self.unet(latent, latent.new_zeros(1), prompt.expand(len(latent), -1, -1), return_dict=False)
        finally:
            for hook in hooks:
                hook.remove()
        return bank


class ImageProjection(nn.Module):
    """Projects an image embedding to tokens for cross-attention."""

    def __init__(self, size: Size):
        super().__init__()
        self.proj = nn.Linear(size.vision[-1], IMAGE_TOKENS * size.token_width)
        self.norm = nn.LayerNorm(size.token_width)

    def forward(self, embedding: Tensor) -> Tensor:
        return self.norm(self.proj(embedding).unflatten(-1, (IMAGE_TOKENS, -1)))


class ImagePrompt(nn.Module):
    """The image encoder and its projection."""

    def __init__(self, size: Size):
        super().__init__()
        width, layers, heads, hidden, patch, output = size.vision
        self.encoder = CLIPVisionModelWithProjection(
            CLIPVisionConfig(
                hidden_size=width,
                num_hidden_layers=layers,
                num_attention_heads=heads,
                intermediate_size=hidden,
                patch_size=patch,
                projection_dim=output,
                image_size=CLIP_SIDE,
                hidden_act="gelu",
            )
        )
        self.projection = ImageProjection(size)

    def forward(self, clip_image: Tensor) -> Tensor:
        """[B, 3, S, S] -> [B, 4, width]."""
        return self.projection(self.encoder(clip_image).image_embeds)


class Vae(nn.Module):
    """Stable Diffusion's autoencoder; its latent is the scaled mean of the posterior, not a sample."""

    def __init__(self, size: Size):
        super().__init__()
        self.vae = AutoencoderKL(
            block_out_channels=size.vae_widths,
            down_block_types=("DownEncoderBlock2D",) * 4,
            up_block_types=("UpDecoderBlock2D",) * 4,
            layers_per_block=size.depth,
            latent_channels=LATENT_CHANNELS,
            norm_num_groups=size.groups,
            scaling_factor=0.18215,
        )

    def encode(self, image: Tensor) -> Tensor:
        """[B, 3, H, W] in -1..1 -> [B, 4, H/8, W/8]."""
        moments = self.vae.quant_conv(self.vae.encoder(image))
        return moments[:, :LATENT_CHANNELS] * self.vae.config.scaling_factor

    def decode(self, latent: Tensor) -> Tensor:
        """[B, 4, h, w] -> [B, 3, 8h, 8w], near -1..1."""
        return self.vae.decoder(self.vae.post_quant_conv(latent / self.vae.config.scaling_factor))
