"""A GPT's shape, and what follows from it: parameters, FLOPs, least bytes, memory.

The symbols of the formulas:

    L layers   d width   V published vocabulary   P positions
    B batch    T tokens of a sequence             e bytes of an element
    H heads    K heads of keys and values         k = dK/H, the width of all keys
    f inner width of the MLP
    W weights of a block's matrices: 2d² + 2dk in attention, and 2df in an MLP, 3df in a gated one

One config covers two published shapes and the shapes between them. GPT-2 (the defaults) has
LayerNorm, learned positions, GELU, a head of keys for each head (k = d), f = 4d, biases, and a head
tied to the token table; so W = 12d². Llama has RMSNorm, rotary positions, a gated MLP, heads that
share keys, no biases, and mostly a head of its own.

FLOPs are model FLOPs. A multiply and an add are two. Attention is causal: token i looks at i+1
keys, T(T+1)/2 pairs a sequence. The head multiplies by the published vocabulary, without its
padding. An embedding is looked up, not multiplied. Norms, activations, rotations, softmax and the
optimizer count nothing. This is PaLM's convention (Chowdhery et al. 2022, appendix B; nanoGPT's
estimate_mfu), except that PaLM counts all T² pairs, as `full_attention` does here.

Bytes are the fewest that a step must move between memory and processor if caches were ideal: each
weight once for each use that must read it again, and what has to persist. Activations count
nothing.
"""

from dataclasses import dataclass
from typing import Literal

from hwbench.accounts import updates
from hwbench.accounts.elements import item_bytes
from hwbench.records import Unsupported, UserError

PAD_TO = 128
"""The stored vocabulary is a multiple of this: tensor cores need such a shape to be fast."""


@dataclass(frozen=True)
class GPTConfig:
    """A decoder-only transformer: `layers` blocks of `width`, each with `heads` heads.

    `kv_heads` counts the heads that have keys and values of their own, `inner` is the MLP's width;
    None means as in GPT-2. UserError if the heads do not divide the width.
    """

    size: str
    layers: int
    heads: int
    width: int
    positions: int
    vocab: int
    kv_heads: int | None = None
    inner: int | None = None
    norm: Literal["layernorm", "rmsnorm"] = "layernorm"
    encoding: Literal["learned", "rotary"] = "learned"
    rope_base: float = 10_000.0
    mlp: Literal["gelu", "swiglu"] = "gelu"
    tied: bool = True
    biases: bool = True

    def __post_init__(self) -> None:
        if self.width % self.heads:
            raise UserError(
                f"gpt {self.size}: {self.heads} heads do not divide a width of {self.width}; "
                "change either"
            )
        if self.heads % self.key_heads:
            raise UserError(
                f"gpt {self.size}: {self.key_heads} heads of keys do not divide {self.heads} "
                "heads; change either"
            )
        if self.encoding == "rotary" and self.head_width % 2:
            raise UserError(
                f"gpt {self.size}: rotary positions need an even head width, not {self.head_width}"
            )

    # Shape

    @property
    def head_width(self) -> int:
        """d/H, the width of one head's queries, keys and values."""
        return self.width // self.heads

    @property
    def key_heads(self) -> int:
        """K, the heads of keys and values that a layer has and its cache holds."""
        return self.kv_heads or self.heads

    @property
    def key_width(self) -> int:
        """k = dK/H, the width of all keys of a token, and of all its values."""
        return self.key_heads * self.head_width

    @property
    def inner_width(self) -> int:
        """f, the width inside the MLP."""
        return self.inner or 4 * self.width

    @property
    def up_width(self) -> int:
        """The output width of the MLP's first matrix: f, or 2f with a gate."""
        return (2 if self.mlp == "swiglu" else 1) * self.inner_width

    @property
    def padded_vocab(self) -> int:
        """Rows of the stored token table: `vocab` rounded up to a multiple of 128."""
        return -(-self.vocab // PAD_TO) * PAD_TO

    @property
    def is_like_gpt2(self) -> bool:
        """Whether all parts of its blocks are GPT-2's, and none Llama's."""
        plain = self.norm == "layernorm" and self.encoding == "learned" and self.mlp == "gelu"
        return plain and self.biases and self.tied and self.key_heads == self.heads

    def require_positions(self, tokens: int) -> None:
        """Raise Unsupported if a sequence of `tokens` is longer than the model's positions."""
        if tokens > self.positions:
            raise Unsupported(
                f"gpt {self.size} has {self.positions} positions, but the sequence has {tokens} "
                "tokens; shorten it"
            )

    # Parameters

    @property
    def parameters(self) -> int:
        """The published parameter count, with a tied head counted once.

        L(W + biases + 2 norms) + norm + Vd + Pd. Biases are d + 2k and d in attention, f (2f) and d
        in the MLP; a norm is 2d in LayerNorm with its bias, else d. GPT-2: L(12d² + 13d) + 2d + Vd
        + Pd. Llama has no Pd, and Vd twice unless its head is tied.
        """
        d = self.width
        norm = 2 * d if self.norm == "layernorm" and self.biases else d
        biases = (d + 2 * self.key_width + d + self.up_width + d) if self.biases else 0
        blocks = self.layers * (self._block_weights + biases + 2 * norm)
        positions = self._position_rows(self.positions) * d
        return blocks + norm + self._tables * self._embedding + positions

    @property
    def stored_parameters(self) -> int:
        """Parameters in memory: the published count and the padding rows of the vocabulary."""
        padding = (self.padded_vocab - self.vocab) * self.width
        return self.parameters + self._tables * padding

    @property
    def _tables(self) -> int:
        """Matrices of vocabulary by width: the token table, and the head unless it is tied."""
        return 1 if self.tied else 2

    @property
    def _block_weights(self) -> int:
        attention = 2 * self.width * (self.width + self.key_width)
        return attention + self.width * (self.up_width + self.inner_width)

    @property
    def _embedding(self) -> int:
        return self.vocab * self.width

    def _position_rows(self, tokens: int) -> int:
        return tokens if self.encoding == "learned" else 0

    # FLOPs

    def forward_flops(self, batch: int, seq: int, full_attention: bool = False) -> int:
        """Count the model FLOPs of a forward pass over `batch` sequences of `seq` tokens.

        Logits at every position: B(T(2LW + 2dV) + 2LdT(T+1)), two FLOPs a weight and token.
        Attention has two matmuls (QKᵀ and its product with V) of 2d FLOPs a pair, however many
        heads share their keys. Times three, with W = 12d² and T² pairs, it is Megatron's
        72BTLd²(1 + T/6d + V/12Ld) (Narayanan et al. 2021, equation 2, without recomputation).
        """
        weights = seq * (self._block_flops + self._head_flops)
        return batch * (weights + self._attention_flops(seq, full_attention))

    def backward_flops(self, batch: int, seq: int, full_attention: bool = False) -> int:
        """Count the model FLOPs of a backward pass: twice forward.

        The backward of a matmul is two matmuls of its size: the gradients of both its factors.
        """
        return 2 * self.forward_flops(batch, seq, full_attention)

    def train_flops(self, batch: int, seq: int, full_attention: bool = False) -> int:
        """Count the model FLOPs of a training step: forward and backward, three times forward."""
        return 3 * self.forward_flops(batch, seq, full_attention)

    def forward_flops_per_token(self, seq: int, full_attention: bool = False) -> float:
        """Average the model FLOPs of a forward pass over the tokens of a sequence of `seq`."""
        return self.forward_flops(1, seq, full_attention) / seq

    def train_flops_per_token(self, seq: int, full_attention: bool = False) -> float:
        """Average the model FLOPs of a training step over the tokens of a sequence of `seq`."""
        return self.train_flops(1, seq, full_attention) / seq

    def recomputed_flops(self, batch: int, seq: int) -> int:
        """Count the FLOPs that checkpointing adds to a step: B(2LT(W - df) + 2LdT(T+1)).

        The forward pass of the blocks is repeated, but without the last matmul of each: nothing in
        its backward needs that result, and torch stops there. The embedding and the head are in no
        block.
        """
        last = 2 * self.layers * self.width * self.inner_width
        return batch * (seq * (self._block_flops - last) + self._attention_flops(seq, full=False))

    def prefill_flops(self, batch: int, prompt: int, full_attention: bool = False) -> int:
        """Count the model FLOPs to read a prompt and give one next token.

        As `forward_flops`, but the head multiplies the last position only.
        """
        attention = self._attention_flops(prompt, full_attention)
        return batch * (prompt * self._block_flops + attention + self._head_flops)

    def decode_flops(self, batch: int, position: int) -> int:
        """Count the model FLOPs of one token at index `position`, with its past in the cache.

        B(L(2W + 4d(position+1)) + 2dV).
        """
        pairs = position + 1
        return batch * (self._block_flops + 4 * self.layers * self.width * pairs + self._head_flops)

    @property
    def _block_flops(self) -> int:
        return 2 * self.layers * self._block_weights

    @property
    def _head_flops(self) -> int:
        return 2 * self._embedding

    def _attention_flops(self, seq: int, full: bool) -> int:
        pairs = seq * seq if full else seq * (seq + 1) // 2
        return 4 * self.layers * self.width * pairs

    # Least bytes

    def train_bytes(
        self, batch: int, seq: int, optimizer: str, accumulate: int | None = None
    ) -> int:
        """Count the fewest bytes of a training step whose passes have `batch` sequences each.

        See `updates.train_bytes`. Weights are read in forward and again in backward; of the
        position table only the T rows in use, and a token table that is not the head in forward
        alone. Activations count nothing, and autocast's bf16 copies cost what they save (4 bytes
        read once, or 2 written and 2 read). GPT-2 under AdamW: 40 a parameter; SGD: 24.
        """
        read = self._parameters_read(batch, seq) + self._parameters_read(0, seq)
        return updates.train_bytes(read, self.parameters, optimizer, accumulate)

    def forward_bytes(self, batch: int, seq: int, dtype: str) -> int:
        """Count the fewest bytes of a forward pass: every weight once."""
        return self._parameters_read(batch, seq) * item_bytes(dtype)

    def prefill_bytes(self, batch: int, prompt: int, dtype: str) -> int:
        """Count the fewest bytes to read a prompt: every weight once, and the cache written."""
        return self.forward_bytes(batch, prompt, dtype) + self.kv_cache_bytes(batch, prompt, dtype)

    def decode_bytes(self, batch: int, position: int, dtype: str) -> int:
        """Count the fewest bytes of one token at index `position`.

        Every weight once, and the cache: e · (weights but for P-1 rows of positions) + 2LBk · e ·
        (position + 1). `position` entries are read, and the token's own is written.
        """
        return self.forward_bytes(batch, 1, dtype) + self.kv_cache_bytes(batch, position + 1, dtype)

    def _parameters_read(self, batch: int, seq: int) -> int:
        """Count the elements that a pass reads.

        A tied token table is read whole, by the head. Of a token table that is not the head, and of
        positions, only the rows in use are read.
        """
        unread = (self._position_rows(self.positions) - self._position_rows(seq)) * self.width
        if not self.tied:
            unread += (self.vocab - min(self.vocab, batch * seq)) * self.width
        return self.parameters - unread

    # Memory

    def kv_cache_bytes(self, batch: int, length: int, dtype: str) -> int:
        """Count the bytes of keys and values of `length` positions in every layer: 2LBk · T · e."""
        return 2 * self.layers * batch * self.key_width * length * item_bytes(dtype)

    def train_state_bytes(self, optimizer: str) -> int:
        """Count the bytes of stored weights, their gradients and the optimizer's state, in fp32."""
        return updates.train_state_bytes(self.stored_parameters, optimizer)

    def inference_state_bytes(self, batch: int, length: int, dtype: str) -> int:
        """Count the bytes of the stored weights in `dtype` and a cache of `length` positions."""
        weights = self.stored_parameters * item_bytes(dtype)
        return weights + self.kv_cache_bytes(batch, length, dtype)
