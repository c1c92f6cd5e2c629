"""The shape of a GPT and everything that follows from it: parameters, FLOPs, least bytes, memory.

Closed forms only, so that a 175B model can be accounted for on a laptop. The symbols of the
formulas:

    L layers   d width   V published vocabulary   P positions   B batch   T tokens of a sequence   e bytes an element
    H heads    K heads of keys and values         k = dK/H, the width of all keys       f inner width of the MLP
    W weights of a block's matrices: 2d² + 2dk in attention, and 2df in an MLP, 3df in a gated one

One config has two published shapes and what lies between them. GPT-2 (the defaults): LayerNorm,
learned positions, GELU, each head its own keys (k = d), f = 4d, biases, the head tied to the token
table; so W = 12d². Llama: RMSNorm, rotary positions, a gated MLP, heads that share keys, no biases,
the head mostly not tied.

FLOPs are model FLOPs: a multiply and an add are two, attention is causal (token i looks at i+1
keys: T(T+1)/2 pairs a sequence), the head multiplies by the published vocabulary and not by its
padding, looking up an embedding is no matmul, and norms, activations, rotations, softmax and the
optimizer count nothing. This is PaLM's convention (Chowdhery et al. 2022, appendix B; nanoGPT's
estimate_mfu), except that PaLM counts all T² pairs, as `full_attention` does here.

Bytes are the fewest a step must move between memory and processor if caches were ideal: each weight
once for each use that must see it anew, and what has to persist. Activations count nothing.
"""

from dataclasses import dataclass
from typing import Literal

from hwbench.records import Unsupported, UserError
from workloads import optimizers
from workloads.tensors import torch_dtype

PAD_TO = 128
"""The stored vocabulary is a multiple of this, so that the head's matmul has a shape tensor cores
like."""


@dataclass(frozen=True)
class GPTConfig:
    """A decoder-only transformer: `layers` blocks of `width`, `heads` a block. UserError if the
    heads do not divide it.

    `kv_heads` are those that have keys and values of their own, `inner` is the MLP's width; None is
    as in GPT-2.
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
                f"gpt {self.size}: {self.heads} heads do not divide a width of {self.width}; change either"
            )
        if self.heads % self.key_heads:
            raise UserError(
                f"gpt {self.size}: {self.key_heads} heads of keys do not divide {self.heads} heads; change either"
            )
        if self.encoding == "rotary" and self.head_width % 2:
            raise UserError(
                f"gpt {self.size}: a head of {self.head_width} cannot be rotated by halves; make it even"
            )

    # Shape

    @property
    def head_width(self) -> int:
        """d/H, the width of a head's queries, keys and values."""
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
        """f, the width within the MLP."""
        return self.inner or 4 * self.width

    @property
    def up_width(self) -> int:
        """What an MLP's first matrix gives: f, or 2f where a gate comes with it."""
        return (2 if self.mlp == "swiglu" else 1) * self.inner_width

    @property
    def padded_vocab(self) -> int:
        """Rows of the stored token embedding: `vocab` rounded up to a multiple of 128."""
        return -(-self.vocab // PAD_TO) * PAD_TO

    # Parameters

    @property
    def parameters(self) -> int:
        """Published parameter count, a tied head counted once: L(W + biases + 2 norms) + norm + Vd
        + Pd.

        Biases are d + 2k and d in attention, f (2f) and d in the MLP; a norm is 2d in LayerNorm
        with its bias, else d. GPT-2: L(12d² + 13d) + 2d + Vd + Pd. Llama has no Pd, and Vd twice
        unless its head is tied.
        """
        d = self.width
        norm = 2 * d if self.norm == "layernorm" and self.biases else d
        biases = (d + 2 * self.key_width + d + self.up_width + d) if self.biases else 0
        outside = (
            norm
            + self._embedding * (1 if self.tied else 2)
            + self._position_rows(self.positions) * d
        )
        return self.layers * (self._block_weights + biases + 2 * norm) + outside

    @property
    def stored_parameters(self) -> int:
        """Parameters in memory: the published count and the padding rows of the vocabulary."""
        return self.parameters + (self.padded_vocab - self.vocab) * self.width * (
            1 if self.tied else 2
        )

    @property
    def _block_weights(self) -> int:
        attention = 2 * self.width * (self.width + self.key_width)
        return attention + self.width * (self.up_width + self.inner_width)

    @property
    def _embedding(self) -> int:
        return self.vocab * self.width

    def _position_rows(self, tokens: int) -> int:
        return tokens if self.encoding == "learned" else 0

    @property
    def is_like_gpt2(self) -> bool:
        """Whether its blocks are GPT-2's, and not in part Llama's."""
        plain = self.norm == "layernorm" and self.encoding == "learned" and self.mlp == "gelu"
        return plain and self.biases and self.tied and self.key_heads == self.heads

    def require_positions(self, tokens: int) -> None:
        """Unsupported if a sequence of `tokens` is longer than what the model was made for."""
        if tokens > self.positions:
            raise Unsupported(
                f"gpt {self.size} has {self.positions} positions, a sequence of {tokens} asked for; shorten it"
            )

    # FLOPs

    def forward_flops(self, batch: int, seq: int, full_attention: bool = False) -> int:
        """Model FLOPs of one forward pass with logits at every position: B(T(2LW + 2dV) +
        2LdT(T+1)).

        Two FLOPs a weight and token. Attention: two matmuls (QKᵀ and its product with V) of 2d
        FLOPs a pair, however many heads share their keys. Times three, with W = 12d² and T² pairs,
        it is Megatron's 72BTLd²(1 + T/6d + V/12Ld) (Narayanan et al. 2021, equation 2, without
        recomputation).
        """
        return batch * (
            seq * (self._block_flops + self._head_flops)
            + self._attention_flops(seq, full_attention)
        )

    def train_flops(self, batch: int, seq: int, full_attention: bool = False) -> int:
        """Model FLOPs of a training step: three times forward, as a matmul's backward is two
        matmuls of its size."""
        return 3 * self.forward_flops(batch, seq, full_attention)

    def recomputed_flops(self, batch: int, seq: int) -> int:
        """FLOPs that checkpointing adds to a training step: B(2LT(W - df) + 2LdT(T+1)).

        The forward pass of the blocks once more, but without the last matmul of each: nothing in
        its backward asks for what that gave, and torch stops there. The embedding and the head are
        in no block.
        """
        last = 2 * self.layers * self.width * self.inner_width
        return batch * (seq * (self._block_flops - last) + self._attention_flops(seq, full=False))

    def prefill_flops(self, batch: int, prompt: int, full_attention: bool = False) -> int:
        """Model FLOPs to read a prompt and give one next token: as forward, the head on the last
        position only."""
        attention = self._attention_flops(prompt, full_attention)
        return batch * (prompt * self._block_flops + attention + self._head_flops)

    def decode_flops(self, batch: int, position: int) -> int:
        """Model FLOPs of one token at index `position`, its past in the cache: B(L(2W +
        4d(position+1)) + 2dV)."""
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
        """Fewest bytes of a training step of passes of `batch` sequences each, as
        `optimizers.train_bytes`.

        Weights are read in forward and again in backward, but of the position table only the T rows
        in use, and a token table that is no head is read in forward alone. Activations count
        nothing, and autocast's bf16 copies cost what they save (4 bytes read once, or 2 written and
        2 read). GPT-2 under AdamW: 40 a parameter; SGD: 24.
        """
        read = self._parameters_read(batch, seq) + self._parameters_read(0, seq)
        return optimizers.train_bytes(read, self.parameters, optimizer, accumulate)

    def forward_bytes(self, batch: int, seq: int, dtype: str) -> int:
        """Fewest bytes of a forward pass: every weight once."""
        return self._parameters_read(batch, seq) * torch_dtype(dtype).itemsize

    def prefill_bytes(self, batch: int, prompt: int, dtype: str) -> int:
        """Fewest bytes to read a prompt: every weight once, and the keys and values of the prompt
        written."""
        return self.forward_bytes(batch, prompt, dtype) + self.kv_cache_bytes(batch, prompt, dtype)

    def decode_bytes(self, batch: int, position: int, dtype: str) -> int:
        """Fewest bytes of one token at index `position`: every weight once, the cache read, one
        entry written.

        e · (weights but for P-1 rows of positions) + 2LBk · e · (position + 1): `position` entries
        are read, and the token's own is written.
        """
        return self.forward_bytes(batch, 1, dtype) + self.kv_cache_bytes(batch, position + 1, dtype)

    def _parameters_read(self, batch: int, seq: int) -> int:
        """A tied token table is read whole, by the head; of one that is no head, and of positions,
        the rows in use."""
        unread = (self._position_rows(self.positions) - self._position_rows(seq)) * self.width
        if not self.tied:
            unread += (self.vocab - min(self.vocab, batch * seq)) * self.width
        return self.parameters - unread

    # Memory

    def kv_cache_bytes(self, batch: int, length: int, dtype: str) -> int:
        """Keys and values of `length` positions in every layer: 2LBk · length · e."""
        return 2 * self.layers * batch * self.key_width * length * torch_dtype(dtype).itemsize

    def train_state_bytes(self, optimizer: str) -> int:
        """What training holds between steps, and its gradients, of the stored parameters."""
        return optimizers.train_state_bytes(self.stored_parameters, optimizer)

    def inference_state_bytes(self, batch: int, length: int, dtype: str) -> int:
        """What inference holds: the stored weights in `dtype` and a cache of `length` positions."""
        return self.stored_parameters * torch_dtype(dtype).itemsize + self.kv_cache_bytes(
            batch, length, dtype
        )
