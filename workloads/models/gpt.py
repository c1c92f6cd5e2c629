"""A GPT, short enough to be read in one sitting: in the style of GPT-2, of Llama, or between, as
its config says.

Blocks with a norm first, positions learned or rotary, an MLP with GELU (its tanh form) or gated,
scaled-dot-product attention, and a head tied to the token embedding or of its own. No dropout: it
is off in today's pre-training, and a benchmark wants the same step each time. Shapes in comments: B
batch, T tokens, C cache length, d model width, V padded vocabulary.
"""

import math

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.utils.checkpoint import checkpoint

from workloads.losses import cross_entropy
from workloads.models.attention import Attention, Extend, Layer, Rotation, rotation_of
from workloads.models.config import GPTConfig
from workloads.models.packed import pack_linears, packed, packed_linear


class Block(nn.Module):
    """x + attention(norm(x)), then x + mlp(norm(x)).

    The MLP is down(gelu(up(x))), or gated down(silu(gate) · up), gate and up from one matrix.
    """

    def __init__(self, config: GPTConfig) -> None:
        super().__init__()
        self.gated = config.mlp == "swiglu"
        self.norm_1 = norm_of(config)
        self.attention = Attention(config)
        self.norm_2 = norm_of(config)
        self.up = nn.Linear(config.width, config.up_width, bias=config.biases)
        self.down = nn.Linear(config.inner_width, config.width, bias=config.biases)

    def forward(
        self,
        x: Tensor,
        rotation: Rotation | None = None,
        past: Layer | None = None,
        extend: Extend | None = None,
    ) -> Tensor:
        """(B, T, d) → (B, T, d)."""
        x = x + self.attention(self.norm_1(x), rotation, past, extend)
        inner = self.up(self.norm_2(x))
        if self.gated:
            gate, inner = inner.chunk(2, dim=-1)
            inner = F.silu(gate) * inner
        else:
            inner = F.gelu(inner, approximate="tanh")
        mlp: Tensor = self.down(inner)
        return x + mlp


def norm_of(config: GPTConfig) -> nn.Module:
    """LayerNorm or RMSNorm over the width, ε = 10⁻⁵ in both as GPT-2 and Llama have it."""
    if config.norm == "rmsnorm":
        return nn.RMSNorm(config.width, eps=1e-5)
    return nn.LayerNorm(config.width, bias=config.biases)


class GPT(nn.Module):
    """The model. Its work is accounted for in closed form by `config`, a GPTConfig.

    Two settings trade time for memory in training. `checkpointed`: of a block only the input is
    kept, and what lies within is computed again for backward. `loss_chunks`: the loss takes the
    positions in so many parts, so that the logits of all are never held at once.
    """

    checkpointed = False
    loss_chunks: int | None = None

    def __init__(self, config: GPTConfig) -> None:
        super().__init__()
        self.config = config
        self.tokens = nn.Embedding(config.padded_vocab, config.width)
        self.positions = (
            nn.Embedding(config.positions, config.width) if config.encoding == "learned" else None
        )
        self.blocks = nn.ModuleList(Block(config) for _ in range(config.layers))
        self.norm = norm_of(config)
        self.head = (
            None if config.tied else nn.Linear(config.width, config.padded_vocab, bias=False)
        )
        self.packed_head: Tensor | None = None  # a tied head that has been packed

    def use_eager_attention(self) -> None:
        """Compute attention in plain products from now on, over whole sequences; one that extends a
        cache never is."""
        for module in self.modules():
            if isinstance(module, Attention):
                module.eager = True

    def pack(self, rows: int) -> None:
        """Lay all weights that multiply out for generation of so many sequences at once; see
        `packed`."""
        pack_linears(self, rows)
        if self.head is None:
            self.packed_head = packed(self.tokens.weight, rows)

    @classmethod
    def build(
        cls, config: GPTConfig, device: torch.device, dtype: torch.dtype = torch.float32
    ) -> "GPT":
        """A model with random weights, allocated and drawn on `device` itself and nowhere else."""
        with torch.device("meta"):
            model = cls(config).to(dtype)
        model.to_empty(device=device)
        model.draw_weights()
        return model

    @torch.no_grad()
    def draw_weights(self) -> None:
        """GPT-2's initialisation: N(0, 0.02²), positions N(0, 0.01²), projections into the residual
        / √(2L).

        For Llama too, whose own is not published.
        """
        residual_std = 0.02 / math.sqrt(2 * self.config.layers)
        for name, parameter in self.named_parameters():
            if name.endswith("bias"):
                parameter.zero_()
            elif "norm" in name:
                parameter.fill_(1.0)
            elif name == "positions.weight":
                parameter.normal_(std=0.01)
            else:
                parameter.normal_(
                    std=residual_std if name.endswith(("out.weight", "down.weight")) else 0.02
                )

    def logits(self, tokens: Tensor) -> Tensor:
        """Token ids (B, T) → logits (B, T, V) at every position, the padding of the vocabulary
        among them."""
        return self._head(self._hidden(tokens, torch.arange(tokens.shape[1], device=tokens.device)))

    def loss(self, tokens: Tensor, targets: Tensor) -> Tensor:
        """Mean cross-entropy of (B, T) targets in fp32, a scalar. Padding rows take part and learn
        to be unlikely."""
        hidden = self._hidden(tokens, torch.arange(tokens.shape[1], device=tokens.device))
        if self.loss_chunks:
            return cross_entropy(
                hidden.flatten(0, 1), self._head_weight, targets.flatten(), self.loss_chunks
            )
        return F.cross_entropy(self._head(hidden).flatten(0, 1).float(), targets.flatten())

    def new_cache(self, batch: int, length: int) -> list[Layer]:
        """An empty cache for `length` positions, one pair of (B, K, C, D) tensors a layer, in the
        weights' dtype."""
        shape = (batch, self.config.key_heads, length, self.config.head_width)
        return [
            (self.tokens.weight.new_zeros(shape), self.tokens.weight.new_zeros(shape))
            for _ in self.blocks
        ]

    def prefill(self, tokens: Tensor, cache: list[Layer]) -> Tensor:
        """Read a prompt (B, T) into the cache → the next token of each sequence (B, 1),
        greedily."""
        hidden = self._hidden(tokens, torch.arange(tokens.shape[1], device=tokens.device), cache)
        return self._greedy(hidden[:, -1])

    def decode(self, token: Tensor, position: Tensor, cache: list[Layer]) -> Tensor:
        """One token (B, 1) at the index in `position` (1,) → the next token (B, 1), greedily; the
        cache grows by it.

        The position is a tensor and the cache is masked, not cut: no shape changes from one token
        to the next, so that a compiled decode never compiles again.
        """
        seen = torch.arange(cache[0][0].shape[2], device=position.device) <= position
        return self._greedy(
            self._hidden(token, position, cache, (position, seen[None, None, None]))[:, 0]
        )

    def _hidden(
        self,
        tokens: Tensor,
        places: Tensor,
        cache: list[Layer] | None = None,
        extend: Extend | None = None,
    ) -> Tensor:
        x, rotation = self.tokens(tokens), None
        if self.positions is None:
            rotation = rotation_of(self.config, places)
        else:
            x = x + self.positions(places)
        for layer, block in enumerate(self.blocks):
            if self.checkpointed:
                # nothing is random
                x = checkpoint(block, x, rotation, use_reentrant=False, preserve_rng_state=False)
            else:
                x = block(x, rotation, cache[layer] if cache else None, extend)
        return self.norm(x)  # type: ignore[no-any-return] # Module.__call__ is untyped

    @property
    def _head_weight(self) -> Tensor:
        return self.tokens.weight if self.head is None else self.head.weight

    def _head(self, hidden: Tensor) -> Tensor:
        if self.packed_head is not None:
            return packed_linear(hidden, self.packed_head, None)
        return F.linear(hidden, self.tokens.weight) if self.head is None else self.head(hidden)

    def _greedy(self, hidden: Tensor) -> Tensor:
        """(B, d) → (B, 1). Two dimensions: a strided third one would make torch copy the whole head
        on a CPU."""
        # never a token of the padding
        return self._head(hidden)[:, : self.config.vocab].argmax(-1, keepdim=True)
