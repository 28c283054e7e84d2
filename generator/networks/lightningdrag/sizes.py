"""The two sizes of the networks: Stable Diffusion 1.5's, and one for tests that is narrower and shallower."""

from __future__ import annotations

from dataclasses import dataclass

LATENT_CHANNELS = 4
TEXT_TOKENS = 77
IMAGE_TOKENS = 4
CLIP_SIDE = 224  # pixels
CLIP_MEAN, CLIP_STD = (0.48145466, 0.4578275, 0.40821073), (0.26862954, 0.26130258, 0.27577711)


@dataclass(frozen=True)
class Size:
    """Widths and depths of every network.

    Attributes:
        widths: of the UNets at 1/8, 1/16, 1/32 and 1/64 of the picture.
        depth: residual blocks in each block on the way down, of the UNets and the VAE; on the way up one more.
        attention: of the UNets' levels, from the finest on, how many have attention; the middle always has.
        token_width: of the text and image tokens.
        groups: of every group norm.
        vae_widths: at 1, 1/2, 1/4 and 1/8 of the picture.
        vision: the image encoder's width, layers, heads, hidden width, patch (pixels) and output width.
        point_width: of the point embedding; its four outputs have 8, 16, 32 and 64 times as many channels.
    """

    name: str
    widths: tuple[int, int, int, int]
    depth: int
    attention: int
    token_width: int
    groups: int
    vae_widths: tuple[int, int, int, int]
    vision: tuple[int, int, int, int, int, int]
    point_width: int

    @property
    def layer_levels(self) -> tuple[int, ...]:
        """Halvings below the latent, by attention layer of a UNet: down, up, middle."""
        levels = range(self.attention)
        down = [level for level in levels for _ in range(self.depth)]
        up = [level for level in reversed(levels) for _ in range(self.depth + 1)]
        return (*down, *up, len(self.widths) - 1)

    def layer_width(self, layer: int) -> int:
        return self.widths[self.layer_levels[layer]]

    def point_channels(self, layer: int) -> int:
        """Of a layer's handle or target embedding."""
        return self.point_width * 8 * 2 ** self.layer_levels[layer]


FULL = Size("full", (320, 640, 1280, 1280), 2, 3, 768, 32, (128, 256, 512, 512), (1280, 32, 16, 5120, 14, 1024), 16)
TINY = Size("tiny", (32, 64, 128, 128), 1, 1, 64, 8, (16, 32, 32, 32), (64, 2, 4, 128, 28, 64), 2)
SIZES = {size.name: size for size in (TINY, FULL)}
