"""Causal self-attention, with or without a cache, with or without rotary positions.

Shapes in comments: B batch, T tokens, H heads, K heads of keys and values, D width of a head, C
cache length, d model width.
"""

import math

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from hwbench.accounts.gpt import GPTConfig

Layer = tuple[Tensor, Tensor]
"""The cached keys and values of one layer, each (B, K, C, D), overwritten in place."""

Extend = tuple[Tensor, Tensor]
"""Where one more token goes in the cache of every layer: its index (1,), and which entries it sees
(1, 1, 1, C)."""

Rotation = tuple[Tensor, Tensor]
"""Cosines and sines of the angles of T positions, each (T, 1, D/2) in fp32, for every layer."""


class Attention(nn.Module):
    """Queries of H heads on keys and values of K heads, each shared by H/K heads."""

    def __init__(self, config: GPTConfig) -> None:
        super().__init__()
        self.config = config
        self.eager = False  # plain products over a whole sequence instead of torch's kernels
        self.qkv = nn.Linear(config.width, config.width + 2 * config.key_width, bias=config.biases)
        self.out = nn.Linear(config.width, config.width, bias=config.biases)

    def forward(
        self,
        x: Tensor,
        rotation: Rotation | None = None,
        past: Layer | None = None,
        extend: Extend | None = None,
    ) -> Tensor:
        """(B, T, d) → (B, T, d). With `past` alone, fill the cache; with `extend`, add a token."""
        batch, seq, width = x.shape
        q, k, v = self._heads(x, rotation)
        if past is None or extend is None:
            shared = self.config.key_heads < self.config.heads
            attend = eager_attention if self.eager else F.scaled_dot_product_attention
            y = attend(q, k, v, is_causal=True, enable_gqa=shared).transpose(1, 2)
            if past is not None:
                past[0][:, :, :seq], past[1][:, :, :seq] = k, v
        else:
            position, seen = extend
            keys, values = past[0].index_copy_(2, position, k), past[1].index_copy_(2, position, v)
            # heads that share keys take the dimension of a sequence: every backend supports that,
            # and reads each key once
            q = q.reshape(batch, self.config.key_heads, -1, self.config.head_width)
            y = F.scaled_dot_product_attention(q, keys, values, attn_mask=seen)
        return self.out(y.reshape(batch, seq, width))  # type: ignore[no-any-return] # Module.__call__ is untyped

    def _heads(self, x: Tensor, rotation: Rotation | None) -> tuple[Tensor, Tensor, Tensor]:
        """(B, T, d) → queries (B, H, T, D), keys and values (B, K, T, D)."""
        heads, shared = self.config.heads, self.config.key_heads
        # B, T, H + 2K, D
        all_heads = self.qkv(x).view(*x.shape[:2], heads + 2 * shared, self.config.head_width)
        qk, v = all_heads.split([heads + shared, shared], dim=2)
        if rotation is not None:
            qk = rotate(qk, rotation)
        q, k = qk.split([heads, shared], dim=2)
        return q.transpose(1, 2), k.transpose(1, 2), v.transpose(1, 2)


def eager_attention(q: Tensor, k: Tensor, v: Tensor, is_causal: bool, enable_gqa: bool) -> Tensor:
    """Compute softmax(QKᵀ/√D, causal) V in plain products, (B, H, T, D), in the dtype of `q`.

    All pairs are computed, masked or not, and their probabilities are kept for backward: fast if
    they fit a cache. Transformers uses the same name.
    """
    assert is_causal
    batch, heads, seq, width = q.shape
    if enable_gqa:
        k, v = (x.repeat_interleave(heads // x.shape[1], dim=1) for x in (k, v))
    hidden = torch.full((seq, seq), -math.inf, dtype=q.dtype, device=q.device).triu(1)
    scores = torch.baddbmm(
        hidden, q.flatten(0, 1), k.flatten(0, 1).transpose(1, 2), alpha=width**-0.5
    )
    return torch.bmm(scores.softmax(-1), v.flatten(0, 1)).view(batch, heads, seq, width)


def rotation_of(config: GPTConfig, places: Tensor) -> Rotation:
    """Compute the angles of positions (T,): position · base^(-2i/D) for the i-th pair of numbers.

    Su et al. 2021.
    """
    halves = torch.arange(0, config.head_width, 2, device=places.device)
    angles = places[:, None, None] * config.rope_base ** (-halves / config.head_width)
    return angles.cos(), angles.sin()


def rotate(x: Tensor, rotation: Rotation) -> Tensor:
    """Rotate each pair (i, i + D/2) of heads (B, T, heads, D) by its position's angle.

    Computed in the dtype of `x`, as Hugging Face's Llama does. Meta's pairs neighbours instead,
    which is the same with the rows of the weights in another order.
    """
    cos, sin = (table.to(x.dtype) for table in rotation)
    a, b = x.chunk(2, dim=-1)
    return torch.cat((a * cos - b * sin, b * cos + a * sin), dim=-1)
