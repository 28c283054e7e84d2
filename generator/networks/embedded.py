"""The embedded generator: a motion network, and a denoiser for revealed areas.

Five modules. Each but the motion network is a graph of the bundle, with the flow and the revealed map that the
runtime makes (runtime/drag/motion.py). The *latent* is the picture at half its size, folded 2 x 2 pixels to 12
channels at 1/4; the decoder takes finer detail from the warped photo. There are no normalisation layers:
convolutions, LeakyReLU and residual blocks whose last convolution is initialised to zero, so that backends can fuse
all operations.

Shapes: image [B, 3, H, W] in -1..1; mask [B, 1, H, W] in {0, 1}; points [B, N, 4] as handle x, y,
target x, y in pixels (repeating a row changes nothing); flows [B, 2, H, W] in pixels, x then y,
backward; H and W multiples of 32.
"""

from __future__ import annotations

import copy
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from edgedrag.generator.data.batches import Batch
from edgedrag.generator.diffusion.contract import DragGenerator
from edgedrag.generator.networks.blend import blend, generated_change, reveal_weight, warp_photo
from edgedrag.generator.networks.checkpoint_file import save_checkpoint
from edgedrag.generator.networks.embedded_losses import gate_losses, motion_losses
from edgedrag.generator.networks.fields import (
    FOLD,
    closeness,
    drag_widths,
    enlarge,
    fold_flow,
    grip,
    heat,
    land,
    warp,
)

PIXEL_CHANNELS = 3 * FOLD * FOLD
LATENT_CHANNELS = 12
FLOW_SCALE = 16.0  # pixels per unit of the network's output
SEEN_WEIGHT = 0.15  # loss weight of a pixel that the warp can show, relative to one that it cannot show


@dataclass(frozen=True)
class EmbeddedConfig:
    """Channels at 1/4, 1/8 and 1/16 of the picture's size, and numbers of residual blocks at these sizes.

    The motion network's last number is for 1/32; the denoiser's numbers are used on both its ways, down and up.
    """

    widths: tuple[int, int, int] = (48, 96, 160)
    encoder_blocks: tuple[int, int, int] = (1, 2, 2)
    motion_blocks: tuple[int, int, int, int] = (1, 2, 3, 4)
    denoiser_blocks: tuple[int, int, int] = (2, 2, 3)


def conv(inputs: int, outputs: int, kernel: int = 3, stride: int = 1) -> nn.Conv2d:
    return nn.Conv2d(inputs, outputs, kernel, stride, kernel // 2)


def zero_init(last: nn.Conv2d) -> None:
    """Set weights and bias to zero, so that a residual branch adds nothing at the start of training."""
    nn.init.zeros_(last.weight)
    if last.bias is not None:
        nn.init.zeros_(last.bias)


def activation(x: Tensor) -> Tensor:
    return F.leaky_relu(x, 0.1)


class Block(nn.Module):
    """x + conv(act(conv(x))), the identity at the start of training (Fixup, Zhang et al. 2019)."""

    def __init__(self, channels: int):
        super().__init__()
        self.first, self.second = conv(channels, channels), conv(channels, channels)
        zero_init(self.second)

    def forward(self, x: Tensor) -> Tensor:
        return activation(x + self.second(activation(self.first(x))))


def blocks(channels: int, count: int) -> nn.Sequential:
    return nn.Sequential(*[Block(channels) for _ in range(count)])


def to_latent(picture: Tensor) -> Tensor:
    """A picture [B, 3, H, W] at half its size, folded 2 x 2: [B, 12, H/4, W/4]."""
    return F.pixel_unshuffle(F.avg_pool2d(picture, 2), 2)


class Encoder(nn.Module):
    """Stage `reference`: the photo as features at 1/4, 1/8 and 1/16."""

    def __init__(self, config: EmbeddedConfig):
        super().__init__()
        a, b, c = config.widths
        self.enter, self.level4 = conv(PIXEL_CHANNELS, a), blocks(a, config.encoder_blocks[0])
        self.down8, self.level8 = conv(a, b, stride=2), blocks(b, config.encoder_blocks[1])
        self.down16, self.level16 = conv(b, c, stride=2), blocks(c, config.encoder_blocks[2])

    def forward(self, image: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        f4 = self.level4(activation(self.enter(F.pixel_unshuffle(image, FOLD))))
        f8 = self.level8(activation(self.down8(f4)))
        return f4, f8, self.level16(activation(self.down16(f8)))


class Motion(nn.Module):
    """The prior flow, scaled and corrected, and the revealed map. In no bundle: training alone runs it."""

    def __init__(self, config: EmbeddedConfig):
        super().__init__()
        (a, b, c), (i, j, k, n) = config.widths, config.motion_blocks
        self.enter, self.level4 = conv(2 * a + 7, a), blocks(a, i)
        self.down8, self.join8, self.level8 = conv(a, b, stride=2), conv(2 * b, b, 1), blocks(b, j)
        self.down16, self.join16, self.level16 = conv(b, c, stride=2), conv(2 * c, c, 1), blocks(c, k)
        self.down32, self.level32 = conv(c, c, stride=2), blocks(c, n)
        self.up16, self.out16 = conv(c, c, 1), blocks(c, 1)
        self.up8, self.out8 = conv(c, b, 1), blocks(b, 1)
        self.up4, self.out4 = conv(b, a, 1), blocks(a, 1)
        self.flow_head, self.gate_head = conv(a, 3), conv(a, 1)
        zero_init(self.flow_head)
        zero_init(self.gate_head)

    def forward(
        self, f4: Tensor, f8: Tensor, f16: Tensor, mask: Tensor, points: Tensor, prior_flow: Tensor
    ) -> tuple[Tensor, Tensor]:
        h, w = f4.shape[-2:]
        small_flow = fold_flow(prior_flow)
        drawn = torch.cat([heat(points[..., :2], h, w), heat(points[..., 2:], h, w)], 1)
        x = torch.cat([f4, warp(f4, small_flow), F.avg_pool2d(mask, FOLD), small_flow * (FOLD / FLOW_SCALE), drawn], 1)
        x4 = self.level4(activation(self.enter(x)))
        x8 = self.level8(activation(self.join8(torch.cat([activation(self.down8(x4)), f8], 1))))
        x16 = self.level16(activation(self.join16(torch.cat([activation(self.down16(x8)), f16], 1))))
        x32 = self.level32(activation(self.down32(x16)))
        x16 = self.out16(activation(x16 + enlarge(self.up16(x32), 2)))
        x8 = self.out8(activation(x8 + enlarge(self.up8(x16), 2)))
        x4 = self.out4(activation(x4 + enlarge(self.up4(x8), 2)))
        change = enlarge(self.flow_head(x4), FOLD)
        flow = grip(prior_flow * (1 + change[:, 2:]) + FLOW_SCALE * change[:, :2], prior_flow, points)
        flow = land(flow, points) * mask
        # Dragged content must be the photo's, not generated: nothing is revealed around the targets.
        free = mask * (1 - closeness(points[..., 2:], drag_widths(points), *mask.shape[-2:]))
        return flow, torch.sigmoid(enlarge(self.gate_head(x4), FOLD) - 2.0) * free


class Condition(nn.Module):
    """Stage `drag`: the denoiser's conditioning and starting latent.

    The latent is the warped photo at the noise level of the first step (the method's noised source
    prior): a * warped + c * noise, with the coefficients a, b, c of the table's row 0.
    """

    def __init__(self, config: EmbeddedConfig):
        super().__init__()
        a, b, c = config.widths
        self.enter = conv(PIXEL_CHANNELS + a + 2, a)
        self.down8, self.down16 = conv(a, b, stride=2), conv(b, c, stride=2)

    def forward(
        self,
        image: Tensor,
        f4: Tensor,
        mask: Tensor,
        flow: Tensor,
        revealed: Tensor,
        noise: Tensor,
        coefficients: Tensor,
    ) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor]:
        warped = warp(image, flow)
        pixels, features = F.pixel_unshuffle(warped, FOLD), warp(f4, fold_flow(flow))
        joined = torch.cat([pixels, features, F.avg_pool2d(mask, FOLD), F.avg_pool2d(revealed, FOLD)], 1)
        c4 = activation(self.enter(joined))
        c8 = activation(self.down8(c4))
        latent = coefficients[0] * to_latent(warped) + coefficients[2] * noise
        return warped, c4, c8, activation(self.down16(c8)), latent


class Denoiser(nn.Module):
    """Stage `denoise`: predicts the clean latent and takes the sampler's step, x <- a x + b prediction + c noise."""

    def __init__(self, config: EmbeddedConfig):
        super().__init__()
        (a, b, c), (i, j, k) = config.widths, config.denoiser_blocks
        self.time1, self.time2 = nn.Linear(32, 64), nn.Linear(64, a)
        self.enter, self.level4 = conv(LATENT_CHANNELS, a), blocks(a, i)
        self.down8, self.level8 = conv(a, b, stride=2), blocks(b, j)
        self.down16, self.level16 = conv(b, c, stride=2), blocks(c, k)
        self.up8, self.out8 = conv(c, b, 1), blocks(b, j)
        self.up4, self.out4 = conv(b, a, 1), blocks(a, i)
        self.head = conv(a, LATENT_CHANNELS)
        zero_init(self.head)

    def predict(self, latent: Tensor, warped: Tensor, c4: Tensor, c8: Tensor, c16: Tensor, timestep: Tensor) -> Tensor:
        """The clean latent, as the warped photo and a correction; timestep [B] in 0..999."""
        rates = torch.exp(torch.arange(16, dtype=timestep.dtype, device=timestep.device) * -0.575646)  # 10000^(-i/16)
        angle = timestep[:, None] * rates
        time = self.time2(F.silu(self.time1(torch.cat([torch.sin(angle), torch.cos(angle)], 1))))
        x4 = self.level4(activation(self.enter(latent) + c4 + time[:, :, None, None]))
        x8 = self.level8(activation(self.down8(x4) + c8))
        x16 = self.level16(activation(self.down16(x8) + c16))
        x8 = self.out8(activation(x8 + enlarge(self.up8(x16), 2)))
        x4 = self.out4(activation(x4 + enlarge(self.up4(x8), 2)))
        return to_latent(warped) + self.head(x4)

    def forward(
        self,
        latent: Tensor,
        warped: Tensor,
        c4: Tensor,
        c8: Tensor,
        c16: Tensor,
        timestep: Tensor,
        coefficients: Tensor,
        noise: Tensor,
    ) -> Tensor:
        prediction = self.predict(latent, warped, c4, c8, c16, timestep)
        return coefficients[0] * latent + coefficients[1] * prediction + coefficients[2] * noise


class Decoder(nn.Module):
    """Stage `decode`: the warped photo, with its low frequencies replaced by the latent's picture."""

    def forward(self, latent: Tensor, warped: Tensor) -> Tensor:
        change = F.pixel_shuffle(latent - to_latent(warped), 2)
        return (warped + enlarge(change, 2)).clamp(-1.0, 1.0)


class Conditioning(NamedTuple):
    """The denoiser's conditioning, and the motion from which it was computed."""

    warped: Tensor
    c4: Tensor
    c8: Tensor
    c16: Tensor
    flow: Tensor
    revealed: Tensor


class EmbeddedGenerator(DragGenerator):
    """All five modules; the state dict is the checkpoint."""

    def __init__(self, config: EmbeddedConfig = EmbeddedConfig()):
        super().__init__()
        self.config = config
        self.encoder = Encoder(config)
        self.motion = Motion(config)
        self.condition = Condition(config)
        self.denoiser = Denoiser(config)
        self.decoder = Decoder()

    def clone(self) -> EmbeddedGenerator:
        return copy.deepcopy(self)

    def student(self) -> DragGenerator:
        """A student whose initial prediction is the warped photo, rather than the teacher's blurry prediction."""
        student = super().student()
        assert isinstance(student, EmbeddedGenerator)
        zero_init(student.denoiser.head)
        return student

    def write(self, path: Path, metadata: dict[str, str]) -> None:
        save_checkpoint(self, path, metadata, torch.float16)

    def loss_weight(self, batch: Batch) -> Tensor:
        """Largest where the warp cannot show the truth."""
        return batch.mask * (SEEN_WEIGHT + 1 - batch.valid)

    def encode(self, picture: Tensor) -> Tensor:
        return to_latent(picture)

    def decode(self, latent: Tensor, conditioning: Conditioning) -> Tensor:
        return self.decoder(latent, conditioning.warped.detach())

    def conditioning(self, batch: Batch) -> Conditioning:
        features = self.encoder(batch.source)
        flow, revealed = self.motion(*features, batch.mask, batch.points, batch.prior_flow)
        # Noise and coefficients do not enter the conditioning; the denoiser passes no gradient to the motion.
        zeros = torch.zeros_like(self.encode(batch.source))
        _, c4, c8, c16, _ = self.condition(
            batch.source, features[0], batch.mask, flow.detach(), revealed.detach(), zeros, zeros.new_zeros(3)
        )
        return Conditioning(warp(batch.source, flow), c4, c8, c16, flow, revealed)

    def predict(self, latent: Tensor, conditioning: Conditioning, timestep: Tensor) -> Tensor:
        return self.denoiser.predict(
            latent, conditioning.warped.detach(), conditioning.c4, conditioning.c8, conditioning.c16, timestep
        )

    def prior(self, batch: Batch, conditioning: Conditioning) -> Tensor:
        return to_latent(conditioning.warped.detach())

    def as_shown(self, batch: Batch, conditioning: Conditioning, picture: Tensor) -> Tensor:
        # The runtime warps the photo itself (bicubic, sharper than the networks' input) and adds the change.
        return warp_photo(batch.source, conditioning.flow.detach()) + picture - conditioning.warped.detach()

    def finish(self, batch: Batch, conditioning: Conditioning, picture: Tensor) -> Tensor:
        flow, warped, weight = conditioning.flow, conditioning.warped.detach(), reveal_weight(conditioning.revealed)
        change = generated_change(picture, warped, flow.detach(), weight, batch.points)
        edit = blend(warp_photo(batch.source, flow), picture, weight, change)
        return batch.source + batch.mask * (edit - batch.source)

    def generated_share(self, batch: Batch, conditioning: Conditioning) -> Tensor:
        return conditioning.revealed

    def denoiser_parts(self) -> tuple[nn.Module, ...]:
        return self.condition, self.denoiser

    def motion_parts(self) -> tuple[nn.Module, ...]:
        return (self.motion,)

    def gate_losses(self, batch: Batch, conditioning: Conditioning, picture: Tensor) -> dict[str, Tensor]:
        return gate_losses(batch, conditioning.warped, conditioning.revealed, picture)

    def motion_losses(self, batch: Batch, conditioning: Conditioning, picture: Tensor) -> dict[str, Tensor]:
        return motion_losses(batch, conditioning.warped, conditioning.flow, conditioning.revealed, picture)
