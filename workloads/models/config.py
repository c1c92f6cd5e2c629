"""The shape of a GPT and everything that follows from it: parameters, FLOPs, least bytes, memory.

Closed forms only, so that a 175B model can be accounted for on a laptop. The symbols of the formulas:

    L layers   d width   V published vocabulary   P positions   B batch   T tokens of a sequence   e bytes an element

FLOPs are model FLOPs: a multiply and an add are two, attention is causal (token i looks at i+1 keys: T(T+1)/2 pairs
a sequence), the head multiplies by the published vocabulary and not by its padding, looking up an embedding is no
matmul, and norms, GELU, softmax and the optimizer count nothing. This is PaLM's convention (Chowdhery et al. 2022,
appendix B; nanoGPT's estimate_mfu), except that PaLM counts all T² pairs, as `full_attention` does here.

Bytes are the fewest a step must move between memory and processor if caches were ideal: each weight once for each
use that must see it anew, and what has to persist. Activations count nothing.
"""

from dataclasses import dataclass

from hwbench.records import Unsupported
from workloads import optimizers
from workloads.tensors import torch_dtype

PAD_TO = 128
"""The stored vocabulary is a multiple of this, so that the head's matmul has a shape tensor cores like."""


@dataclass(frozen=True)
class GPTConfig:
    """A decoder-only transformer: `layers` blocks of `width`, `heads` a block, an MLP four times as wide."""

    size: str
    layers: int
    heads: int
    width: int
    positions: int
    vocab: int

    @property
    def padded_vocab(self) -> int:
        """Rows of the stored token embedding: `vocab` rounded up to a multiple of 128."""
        return -(-self.vocab // PAD_TO) * PAD_TO

    @property
    def parameters(self) -> int:
        """Published parameter count, positions included, the tied head counted once: L(12d² + 13d) + 2d + Vd + Pd.

        A block has 4d² + 4d in attention, 8d² + 5d in its MLP and 4d in two LayerNorms; 2d is the last LayerNorm.
        """
        d = self.width
        return self.layers * (12 * d * d + 13 * d) + 2 * d + (self.vocab + self.positions) * d

    @property
    def stored_parameters(self) -> int:
        """Parameters in memory: the published count and the padding rows of the vocabulary."""
        return self.parameters + (self.padded_vocab - self.vocab) * self.width

    def require_positions(self, tokens: int) -> None:
        """Unsupported if a sequence of `tokens` is longer than the model's learned positions."""
        if tokens > self.positions:
            raise Unsupported(
                f"gpt {self.size} has {self.positions} positions, a sequence of {tokens} asked for; shorten it"
            )

    # FLOPs

    def forward_flops(self, batch: int, seq: int, full_attention: bool = False) -> int:
        """Model FLOPs of one forward pass with logits at every position: B(T(24Ld² + 2dV) + 2LdT(T+1)).

        24d² a token and layer: the 12d² weights, two FLOPs each. Attention: two matmuls (QKᵀ and its product with V)
        of 2d FLOPs a pair. Times three, with T² pairs, it is Megatron's 72BTLd²(1 + T/6d + V/12Ld) (Narayanan et al.
        2021, equation 2, without recomputation).
        """
        return batch * (seq * (self._block_flops + self._head_flops) + self._attention_flops(seq, full_attention))

    def train_flops(self, batch: int, seq: int, full_attention: bool = False) -> int:
        """Model FLOPs of a training step: three times forward, as a matmul's backward is two matmuls of its size."""
        return 3 * self.forward_flops(batch, seq, full_attention)

    def prefill_flops(self, batch: int, prompt: int, full_attention: bool = False) -> int:
        """Model FLOPs to read a prompt and give one next token: as forward, the head on the last position only."""
        attention = self._attention_flops(prompt, full_attention)
        return batch * (prompt * self._block_flops + attention + self._head_flops)

    def decode_flops(self, batch: int, position: int) -> int:
        """Model FLOPs of one token at index `position`, its past in the cache: B(L(24d² + 4d(position+1)) + 2dV)."""
        pairs = position + 1
        return batch * (self._block_flops + 4 * self.layers * self.width * pairs + self._head_flops)

    @property
    def _block_flops(self) -> int:
        return 24 * self.layers * self.width**2

    @property
    def _head_flops(self) -> int:
        return 2 * self.width * self.vocab

    def _attention_flops(self, seq: int, full: bool) -> int:
        pairs = seq * seq if full else seq * (seq + 1) // 2
        return 4 * self.layers * self.width * pairs

    # Least bytes

    def train_bytes(self, seq: int, optimizer: str) -> int:
        """Fewest bytes of a training step, as `optimizers.train_bytes`: AdamW 40 a parameter, SGD 24.

        Weights are read in forward and again in backward, but of the position table only the T rows in use. The batch
        does not appear: activations count nothing, and autocast's bf16 copies cost what they save (4 bytes read once,
        or 2 written and 2 read).
        """
        return optimizers.train_bytes(2 * self._parameters_read(seq), self.parameters, optimizer)

    def prefill_bytes(self, batch: int, prompt: int, dtype: str) -> int:
        """Fewest bytes to read a prompt: every weight once, and the keys and values of the prompt written."""
        weights = self._parameters_read(prompt) * torch_dtype(dtype).itemsize
        return weights + self.kv_cache_bytes(batch, prompt, dtype)

    def decode_bytes(self, batch: int, position: int, dtype: str) -> int:
        """Fewest bytes of one token at index `position`: every weight once, the cache read, one entry written.

        e · (weights but for P-1 rows of positions) + 2LBd · e · (position + 1): `position` entries are read, and the
        token's own is written.
        """
        weights = self._parameters_read(1) * torch_dtype(dtype).itemsize
        return weights + self.kv_cache_bytes(batch, position + 1, dtype)

    def _parameters_read(self, tokens: int) -> int:
        """The token table is read whole, by the tied head; of the position table only the rows in use."""
        return self.parameters - (self.positions - tokens) * self.width

    # Memory

    def kv_cache_bytes(self, batch: int, length: int, dtype: str) -> int:
        """Keys and values of `length` positions in every layer: 2LBd · length · e."""
        return 2 * self.layers * batch * self.width * length * torch_dtype(dtype).itemsize

    def train_state_bytes(self, optimizer: str) -> int:
        """What training holds between steps, and its gradients, of the stored parameters."""
        return optimizers.train_state_bytes(self.stored_parameters, optimizer)

    def inference_state_bytes(self, batch: int, length: int, dtype: str) -> int:
        """What inference holds: the stored weights in `dtype` and a cache of `length` positions."""
        return self.stored_parameters * torch_dtype(dtype).itemsize + self.kv_cache_bytes(batch, length, dtype)
