"""A GPT in the style of GPT-2, short enough to be read in one sitting.

Blocks with LayerNorm first, learned positions, the tanh GELU, scaled-dot-product attention, and a head tied to the
token embedding. No dropout: it is off in today's pre-training, and a benchmark wants the same step each time.
Shapes in comments: B batch, T tokens, H heads, D width of a head, C cache length, d model width, V padded vocabulary.
"""

import math

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from workloads.models.config import GPTConfig

Layer = tuple[Tensor, Tensor]
"""The keys and values of one layer, each (B, H, C, D), allocated once and overwritten in place."""

Extend = tuple[Tensor, Tensor]
"""Where one more token goes in the cache: its index (1,), and which entries it sees (1, 1, 1, C), the same for all
layers."""


class Attention(nn.Module):
    """Causal self-attention, with or without a cache of what came before."""

    def __init__(self, config: GPTConfig) -> None:
        super().__init__()
        self.heads = config.heads
        self.qkv = nn.Linear(config.width, 3 * config.width)
        self.out = nn.Linear(config.width, config.width)

    def forward(self, x: Tensor, past: Layer | None = None, extend: Extend | None = None) -> Tensor:
        """(B, T, d) → (B, T, d). With `past` alone the cache is filled; with `extend` too, one token extends it."""
        batch, seq, width = x.shape
        q, k, v = self.qkv(x).view(batch, seq, 3, self.heads, width // self.heads).permute(2, 0, 3, 1, 4)  # B, H, T, D
        if past is None or extend is None:
            y = F.scaled_dot_product_attention(q, k, v, is_causal=True)
            if past is not None:
                past[0][:, :, :seq], past[1][:, :, :seq] = k, v
        else:
            position, seen = extend
            keys, values = past[0].index_copy_(2, position, k), past[1].index_copy_(2, position, v)
            y = F.scaled_dot_product_attention(q, keys, values, attn_mask=seen)
        return self.out(y.transpose(1, 2).reshape(batch, seq, width))  # type: ignore[no-any-return] # Module.__call__ is untyped


class Block(nn.Module):
    """x + attention(norm(x)), then x + mlp(norm(x))."""

    def __init__(self, config: GPTConfig) -> None:
        super().__init__()
        self.norm_1 = nn.LayerNorm(config.width)
        self.attention = Attention(config)
        self.norm_2 = nn.LayerNorm(config.width)
        self.up = nn.Linear(config.width, 4 * config.width)
        self.down = nn.Linear(4 * config.width, config.width)

    def forward(self, x: Tensor, past: Layer | None = None, extend: Extend | None = None) -> Tensor:
        """(B, T, d) → (B, T, d)."""
        x = x + self.attention(self.norm_1(x), past, extend)
        mlp: Tensor = self.down(F.gelu(self.up(self.norm_2(x)), approximate="tanh"))
        return x + mlp


class GPT(nn.Module):
    """The model. Its work is accounted for in closed form by `config`, a GPTConfig."""

    def __init__(self, config: GPTConfig) -> None:
        super().__init__()
        self.config = config
        self.tokens = nn.Embedding(config.padded_vocab, config.width)  # and, tied, the head
        self.positions = nn.Embedding(config.positions, config.width)
        self.blocks = nn.ModuleList(Block(config) for _ in range(config.layers))
        self.norm = nn.LayerNorm(config.width)

    @classmethod
    def build(cls, config: GPTConfig, device: torch.device, dtype: torch.dtype = torch.float32) -> "GPT":
        """A model with random weights, allocated and drawn on `device` itself and nowhere else."""
        with torch.device("meta"):
            model = cls(config).to(dtype)
        model.to_empty(device=device)
        model.draw_weights()
        return model

    @torch.no_grad()
    def draw_weights(self) -> None:
        """GPT-2's initialisation: N(0, 0.02²), positions N(0, 0.01²), projections into the residual / √(2L)."""
        residual_std = 0.02 / math.sqrt(2 * self.config.layers)
        for name, parameter in self.named_parameters():
            if name.endswith("bias"):
                parameter.zero_()
            elif "norm" in name:
                parameter.fill_(1.0)
            elif name == "positions.weight":
                parameter.normal_(std=0.01)
            else:
                parameter.normal_(std=residual_std if name.endswith(("out.weight", "down.weight")) else 0.02)

    def logits(self, tokens: Tensor) -> Tensor:
        """Token ids (B, T) → logits (B, T, V) at every position, the padding of the vocabulary among them."""
        return self._head(self._hidden(tokens, torch.arange(tokens.shape[1], device=tokens.device)))

    def loss(self, tokens: Tensor, targets: Tensor) -> Tensor:
        """Mean cross-entropy of (B, T) targets in fp32, a scalar. Padding rows take part and learn to be unlikely."""
        return F.cross_entropy(self.logits(tokens).flatten(0, 1).float(), targets.flatten())

    def new_cache(self, batch: int, length: int) -> list[Layer]:
        """An empty cache for `length` positions, one pair of (B, H, C, D) tensors a layer, in the weights' dtype."""
        shape = (batch, self.config.heads, length, self.config.width // self.config.heads)
        return [(self.norm.weight.new_zeros(shape), self.norm.weight.new_zeros(shape)) for _ in self.blocks]

    def prefill(self, tokens: Tensor, cache: list[Layer]) -> Tensor:
        """Read a prompt (B, T) into the cache → the next token of each sequence (B, 1), greedily."""
        hidden = self._hidden(tokens, torch.arange(tokens.shape[1], device=tokens.device), cache)
        return self._greedy(hidden[:, -1])

    def decode(self, token: Tensor, position: Tensor, cache: list[Layer]) -> Tensor:
        """One token (B, 1) at the index in `position` (1,) → the next token (B, 1), greedily; the cache grows by it.

        The position is a tensor and the cache is masked, not cut: no shape changes from one token to the next, so
        that a compiled decode never compiles again.
        """
        seen = torch.arange(cache[0][0].shape[2], device=position.device) <= position
        return self._greedy(self._hidden(token, position, cache, (position, seen[None, None, None]))[:, 0])

    def _hidden(
        self, tokens: Tensor, places: Tensor, cache: list[Layer] | None = None, extend: Extend | None = None
    ) -> Tensor:
        x = self.tokens(tokens) + self.positions(places)
        for layer, block in enumerate(self.blocks):
            x = block(x, cache[layer] if cache else None, extend)
        return self.norm(x)  # type: ignore[no-any-return] # Module.__call__ is untyped

    def _head(self, hidden: Tensor) -> Tensor:
        return F.linear(hidden, self.tokens.weight)

    def _greedy(self, hidden: Tensor) -> Tensor:
        """(B, d) → (B, 1). Two dimensions: a strided third one would make torch copy the whole head on a CPU."""
        return self._head(hidden)[:, : self.config.vocab].argmax(-1, keepdim=True)  # never a token of the padding
