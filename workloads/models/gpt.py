"""A GPT, short enough to be read in one sitting: GPT-2, Llama, or a shape between, by its config.

Blocks have a norm first, scaled-dot-product attention, and an MLP with GELU (its tanh form) or a
gate. Positions are learned or rotary. The head is tied to the token embedding or has weights of its
own. There is no dropout: it is off in today's pre-training, and each step should be the same.
Shapes in comments: B batch, T tokens, C cache length, d model width, V padded vocabulary.
"""

import math

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.utils.checkpoint import checkpoint

from hwbench.accounts.gpt import GPTConfig
from workloads.losses import cross_entropy
from workloads.models.attention import Attention, Extend, Layer, Rotation, rotation_of
from workloads.models.packed import pack, pack_linears, packed_linear


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
    """Make a LayerNorm or RMSNorm over the width; ε = 10⁻⁵ in both, as in GPT-2 and Llama."""
    if config.norm == "rmsnorm":
        return nn.RMSNorm(config.width, eps=1e-5)
    return nn.LayerNorm(config.width, bias=config.biases)


class GPT(nn.Module):
    """The model. `config`, a GPTConfig, counts its work.

    Two settings trade time for memory in training. `checkpointed`: forward keeps only a block's
    input, and backward computes the rest again. `loss_chunks`: the loss takes the positions in that
    many parts, and the logits of all are never held at once.
    """

    checkpointed = False
    loss_chunks: int | None = None

    def __init__(self, config: GPTConfig) -> None:
        super().__init__()
        self.config = config
        self.tokens = nn.Embedding(config.padded_vocab, config.width)
        self.positions: nn.Embedding | None = None
        if config.encoding == "learned":
            self.positions = nn.Embedding(config.positions, config.width)
        self.blocks = nn.ModuleList(Block(config) for _ in range(config.layers))
        self.norm = norm_of(config)
        self.head: nn.Linear | None = None  # None: tied to the token embedding
        if not config.tied:
            self.head = nn.Linear(config.width, config.padded_vocab, bias=False)
        self.packed_head: Tensor | None = None  # a tied head, once packed

    def use_eager_attention(self) -> None:
        """Compute attention over whole sequences in plain products; not that on a cache."""
        for module in self.modules():
            if isinstance(module, Attention):
                module.eager = True

    def pack(self, rows: int) -> None:
        """Pack all weights that multiply, for generation of `rows` sequences at once; see
        `packed`."""
        pack_linears(self, rows)
        if self.head is None:
            self.packed_head = pack(self.tokens.weight, rows)

    @classmethod
    def build(
        cls, config: GPTConfig, device: torch.device, dtype: torch.dtype = torch.float32
    ) -> "GPT":
        """Build a model with random weights, allocated and drawn on `device` only."""
        with torch.device("meta"):
            model = cls(config).to(dtype)
        model.to_empty(device=device)
        model.draw_weights()
        return model

    @torch.no_grad()
    def draw_weights(self) -> None:
        """Draw GPT-2's initial weights, for Llama too, whose own are not published.

        N(0, 0.02²), positions N(0, 0.01²), and projections into the residual divided by √(2L).
        """
        residual_std = 0.02 / math.sqrt(2 * self.config.layers)
        for name, parameter in self.named_parameters():
            if name.endswith("bias"):
                parameter.zero_()
            elif "norm" in name:
                parameter.fill_(1.0)
            elif name == "positions.weight":
                parameter.normal_(std=0.01)
            elif name.endswith(("out.weight", "down.weight")):
                parameter.normal_(std=residual_std)
            else:
                parameter.normal_(std=0.02)

    def logits(self, tokens: Tensor) -> Tensor:
        """Compute logits (B, T, V) at every position of token ids (B, T), with the padding rows of
        the vocabulary."""
        return self._head(self._hidden(tokens, _places_of(tokens)))

    def loss(self, tokens: Tensor, targets: Tensor) -> Tensor:
        """Compute the mean cross-entropy of (B, T) targets in fp32, a scalar.

        Padding rows of the vocabulary take part and learn to be unlikely.
        """
        hidden = self._hidden(tokens, _places_of(tokens))
        if self.loss_chunks:
            return cross_entropy(
                hidden.flatten(0, 1), self._head_weight, targets.flatten(), self.loss_chunks
            )
        return F.cross_entropy(self._head(hidden).flatten(0, 1).float(), targets.flatten())

    def new_cache(self, batch: int, length: int) -> list[Layer]:
        """Allocate an empty cache for `length` positions, in the weights' dtype.

        One pair of (B, K, C, D) tensors a layer.
        """
        shape = (batch, self.config.key_heads, length, self.config.head_width)
        zeros = self.tokens.weight.new_zeros
        return [(zeros(shape), zeros(shape)) for _ in self.blocks]

    def prefill(self, tokens: Tensor, cache: list[Layer]) -> Tensor:
        """Read a prompt (B, T) into the cache, and choose each sequence's next token (B, 1)."""
        hidden = self._hidden(tokens, _places_of(tokens), cache)
        return self._next_tokens(hidden[:, -1])

    def decode(self, token: Tensor, position: Tensor, cache: list[Layer]) -> Tensor:
        """Add one token (B, 1) at the index in `position` (1,) to the cache, and choose the next
        (B, 1).

        The position is a tensor, and the cache is masked instead of cut: no shape changes from one
        token to the next, and a compiled decode never compiles again.
        """
        seen = torch.arange(cache[0][0].shape[2], device=position.device) <= position
        hidden = self._hidden(token, position, cache, (position, seen[None, None, None]))
        return self._next_tokens(hidden[:, 0])

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

    def _next_tokens(self, hidden: Tensor) -> Tensor:
        """Choose the most likely token, never one of the padding: (B, d) → (B, 1).

        `hidden` has two dimensions: a strided third one would make torch copy the whole head on a
        CPU.
        """
        return self._head(hidden)[:, : self.config.vocab].argmax(-1, keepdim=True)


def _places_of(tokens: Tensor) -> Tensor:
    """The positions (T,) of token ids (B, T) that start a sequence."""
    return torch.arange(tokens.shape[1], device=tokens.device)
