"""LightningDrag split into one module for each graph of the bundle; arguments have the names of the bundle's tensors.

A layer's conditioning is passed between graphs as [1, h, w, width], which attention flattens without a copy.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from edgedrag.generator.networks.lightningdrag.attention import LayerConditioning
from edgedrag.generator.networks.lightningdrag.networks import AppearanceEncoder, Denoiser, ImagePrompt, Vae
from edgedrag.generator.networks.lightningdrag.points import PointNetwork
from edgedrag.generator.networks.lightningdrag.steady_norm import steady


class VaeEncode(nn.Module):
    """Stage `reference`: the photo's latent. Stage `drag`: the masked photo's latent."""

    def __init__(self, vae: Vae):
        super().__init__()
        self.vae = vae
        self.vae.vae.decoder = nn.Identity()
        self.vae.vae.post_quant_conv = nn.Identity()
        steady(self.vae)

    def forward(self, image: Tensor) -> Tensor:
        return self.vae.encode(image).float()


class Clip(nn.Module):
    """Stage `reference`: the photo's image tokens."""

    def __init__(self, prompt: ImagePrompt):
        super().__init__()
        self.prompt = prompt

    def forward(self, clip_image: Tensor) -> Tensor:
        return self.prompt(clip_image)


class Appearance(nn.Module):
    """Stage `reference`: the photo's keys and values for every layer; projected once instead of at every step."""

    def __init__(self, projections: tuple[nn.ModuleList, nn.ModuleList], encoder: AppearanceEncoder, prompt: Tensor):
        super().__init__()
        self.to_k, self.to_v = projections
        self.encoder = encoder
        self.register_buffer("text", prompt)

    def forward(self, source_latent: Tensor) -> tuple[Tensor, ...]:
        """k_ref.0, k_ref.1 ..., then v_ref.0, v_ref.1 ...: one each for every layer."""
        bank = self.encoder(source_latent, self.text)
        h, w = source_latent.shape[-2:]
        sizes = [(h >> level, w >> level) for level in self.encoder.layer_levels]
        keys = [to_k(x).unflatten(1, size) for to_k, x, size in zip(self.to_k, bank, sizes)]
        values = [to_v(x).unflatten(1, size) for to_v, x, size in zip(self.to_v, bank, sizes)]
        return (*keys, *values)


class Points(nn.Module):
    """Stage `drag`: the additions to queries and keys for every layer."""

    def __init__(self, network: PointNetwork):
        super().__init__()
        self.network = network

    def forward(self, handle_map: Tensor, target_map: Tensor) -> tuple[Tensor, ...]:
        """e_t.0, e_t.1 ..., then e_h.0, e_h.1 ...: one each for every layer."""
        targets, handles = self.network(handle_map, target_map)
        return (*targets, *handles)


class Start(nn.Module):
    """Stage `drag`: the starting latent, the photo's latent at the first noise level."""

    def forward(self, source_latent: Tensor, noise: Tensor, coefficients: Tensor) -> Tensor:
        return coefficients[0] * source_latent + coefficients[2] * noise


class Denoise(nn.Module):
    """Stage `denoise`: predicts the noise in the latent and takes the sampler's step.

    With `pair`, the predictions with and without the points run as one batch and are combined by the guidance scale;
    without the points, their projections are zero.
    """

    def __init__(self, denoiser: Denoiser, pair: bool):
        super().__init__()
        self.denoiser = denoiser
        self.pair = pair
        for block in denoiser.blocks():  # the prompt's keys and values are already constants
            block.attn2.to_k = block.attn2.to_v = None

    def forward(
        self,
        latent: Tensor,
        mask: Tensor,
        masked_latent: Tensor,
        ip: Tensor,
        timestep: Tensor,
        guidance: Tensor,
        coefficients: Tensor,
        noise: Tensor,
        *conditioning: Tensor,
    ) -> Tensor:
        """`conditioning` is k_ref, v_ref, e_t and e_h, each of all layers."""
        count = len(conditioning) // len(LayerConditioning._fields)
        layers = [LayerConditioning(*(x.flatten(1, 2) for x in conditioning[layer::count])) for layer in range(count)]
        small_mask = mask[..., ::8, ::8]
        given = [latent, small_mask, masked_latent, ip]
        if self.pair:
            given = [x.expand(2, *x.shape[1:]) for x in given]
            layers = [
                LayerConditioning(
                    *(x.expand(2, -1, -1) for x in (layer.key, layer.value)),
                    *(torch.cat([torch.zeros_like(x), x]) for x in (layer.target, layer.handle)),
                )
                for layer in layers
            ]
        prediction = self.denoiser(*given, layers, timestep).float()
        if self.pair:
            without, with_points = prediction.chunk(2)
            prediction = without + guidance * (with_points - without)
        return coefficients[0] * latent + coefficients[1] * prediction + coefficients[2] * noise


class VaeDecode(nn.Module):
    """Stage `decode`: the picture of the latent."""

    def __init__(self, vae: Vae):
        super().__init__()
        self.vae = vae
        self.vae.vae.encoder = nn.Identity()
        self.vae.vae.quant_conv = nn.Identity()

    def forward(self, latent: Tensor) -> Tensor:
        return self.vae.decode(latent).float().clamp(-1.0, 1.0)


class SmallDecode(nn.Module):
    """Stage `decode` with a small decoder of TAESD's architecture."""

    def __init__(self, decoder: nn.Module):
        super().__init__()
        self.decoder = decoder

    def forward(self, latent: Tensor) -> Tensor:
        return self.decoder(latent).float().clamp(-1.0, 1.0)
