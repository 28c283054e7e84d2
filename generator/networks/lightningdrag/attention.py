"""LightningDrag's attention processors for the denoiser.

Self-attention also reads the photo's features and the points; cross-attention also reads the image prompt's tokens.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import torch
import torch.nn.functional as F
from diffusers.models.attention_processor import Attention
from torch import Tensor, nn

Conditioning = Sequence["LayerConditioning"]  # by layer


class LayerConditioning(NamedTuple):
    """The conditioning of one layer's self-attention, each [B, tokens, width].

    `key` and `value` are of the photo (K_ref, V_ref); `target` and `handle` of the points (E_t, E_h).
    """

    key: Tensor
    value: Tensor
    target: Tensor
    handle: Tensor


def attend(query: Tensor, key: Tensor, value: Tensor, heads: int) -> Tensor:
    """Attention over [B, tokens, width], in the widest type of its arguments."""
    wide = max((t.dtype for t in (query, key, value)), key=lambda dtype: dtype.itemsize)
    query, key, value = (t if t.dtype == wide else t.to(wide) for t in (query, key, value))  # a copy costs tracing
    q, k, v = (t.unflatten(-1, (heads, -1)).transpose(1, 2) for t in (query, key, value))
    return F.scaled_dot_product_attention(q, k, v).transpose(1, 2).flatten(2)


class ReferenceAttention:
    """Self-attention over the latent and the photo, with the points' embeddings added to queries and keys."""

    def __init__(self, layer: int):
        self.layer = layer

    def __call__(
        self,
        attn: Attention,
        hidden_states: Tensor,
        encoder_hidden_states: Tensor | None = None,
        attention_mask: Tensor | None = None,
        conditioning: Conditioning = (),
    ) -> Tensor:
        key, value, target, handle = conditioning[self.layer]
        query = attn.to_q(hidden_states) + target
        keys = torch.cat([attn.to_k(hidden_states) + target, key + handle], 1)
        values = torch.cat([attn.to_v(hidden_states), value], 1)
        return attn.to_out[0](attend(query, keys, values, attn.heads))


class ImagePromptAttention(nn.Module):
    """Cross-attention to the empty text prompt plus cross-attention to the image's tokens (IP-Adapter, Ye et al. 2023).

    The text prompt is constant, so its keys and values are too; `set_prompt` computes them.
    """

    def __init__(self, width: int, token_width: int):
        super().__init__()
        self.to_k_ip = nn.Linear(token_width, width, bias=False)
        self.to_v_ip = nn.Linear(token_width, width, bias=False)
        self.register_buffer("prompt_key", None, persistent=False)
        self.register_buffer("prompt_value", None, persistent=False)

    def set_prompt(self, attn: Attention, prompt: Tensor) -> None:
        """Compute keys and values of a prompt's embedding [1, tokens, width]."""
        with torch.no_grad():
            self.prompt_key, self.prompt_value = attn.to_k(prompt), attn.to_v(prompt)

    def __call__(
        self,
        attn: Attention,
        hidden_states: Tensor,
        encoder_hidden_states: Tensor,
        attention_mask: Tensor | None = None,
        conditioning: Conditioning = (),
    ) -> Tensor:
        query, count = attn.to_q(hidden_states), len(hidden_states)
        of_text = attend(
            query, self.prompt_key.expand(count, -1, -1), self.prompt_value.expand(count, -1, -1), attn.heads
        )
        of_image = attend(query, self.to_k_ip(encoder_hidden_states), self.to_v_ip(encoder_hidden_states), attn.heads)
        return attn.to_out[0](of_text + of_image)
