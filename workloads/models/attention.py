"""Causal self-attention, with or without a cache, with positions turned into queries and keys or
not.

Shapes in comments: B batch, T tokens, H heads, K heads of keys and values, D width of a head, C
cache length, d model width.
"""

import math

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from workloads.models.config import GPTConfig

Layer = tuple[Tensor, Tensor]
"""The keys and values of one layer, each (B, K, C, D), allocated once and overwritten in place."""

Extend = tuple[Tensor, Tensor]
"""Where one more token goes in the cache: its index (1,), and which entries it sees (1, 1, 1, C),
the same for all layers."""

Rotation = tuple[Tensor, Tensor]
"""Cosines and sines of the angles of T positions, each (T, 1, D/2) in fp32, the same for all
layers."""


class Attention(nn.Module):
    """Queries of H heads on the keys and values of K heads, each of which serves H/K heads in a
    row."""

    def __init__(self, config: GPTConfig) -> None:
        super().__init__()
        self.config = config
        # plain products over a whole sequence, where they are faster than torch's kernels
        self.eager = False
        self.qkv = nn.Linear(config.width, config.width + 2 * config.key_width, bias=config.biases)
        self.out = nn.Linear(config.width, config.width, bias=config.biases)

    def forward(
        self,
        x: Tensor,
        rotation: Rotation | None = None,
        past: Layer | None = None,
        extend: Extend | None = None,
    ) -> Tensor:
        """(B, T, d) → (B, T, d). With `past` alone the cache is filled; with `extend` too, one
        token extends it."""
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
            # heads that share keys stand where a sequence would: every backend can do that, and
            # reads each key once
            q = q.reshape(batch, self.config.key_heads, -1, self.config.head_width)
            y = F.scaled_dot_product_attention(q, keys, values, attn_mask=seen)
        return self.out(y.reshape(batch, seq, width))  # type: ignore[no-any-return] # Module.__call__ is untyped

    def _heads(self, x: Tensor, rotation: Rotation | None) -> tuple[Tensor, Tensor, Tensor]:
        """(B, T, d) → queries (B, H, T, D), keys and values (B, K, T, D)."""
        heads, shared = self.config.heads, self.config.key_heads
        # B, T, H + 2K, D
        all_heads = self.qkv(x).view(*x.shape[:2], heads + 2 * shared, self.config.head_width)
        turning, v = all_heads.split([heads + shared, shared], dim=2)
        q, k = (turning if rotation is None else rotated(turning, rotation)).split(
            [heads, shared], dim=2
        )
        return q.transpose(1, 2), k.transpose(1, 2), v.transpose(1, 2)


def eager_attention(q: Tensor, k: Tensor, v: Tensor, is_causal: bool, enable_gqa: bool) -> Tensor:
    """softmax(QKᵀ/√D, causal) V as its formula reads, (B, H, T, D), in the format of `q`;
    Transformers' name for it.

    All pairs are computed, hidden or not, and their probabilities kept for backward: fast where a
    cache holds them.
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
    """The angles of positions (T,): position · base^(-2i/D) for the i-th pair of a head's numbers
    (Su et al. 2021)."""
    halves = torch.arange(0, config.head_width, 2, device=places.device)
    angles = places[:, None, None] * config.rope_base ** (-halves / config.head_width)
    return angles.cos(), angles.sin()


def rotated(x: Tensor, rotation: Rotation) -> Tensor:
    """Heads (B, T, heads, D), each pair (i, i + D/2) turned by its position's angle.

    In the format of `x`, as Hugging Face's Llama does; Meta's pairs neighbours instead, which is
    the same with the rows of the weights in another order.
    """
    cos, sin = (table.to(x.dtype) for table in rotation)
    a, b = x.chunk(2, dim=-1)
    return torch.cat((a * cos - b * sin, b * cos + a * sin), dim=-1)
