"""The work of any standard decoder-only transformer, in closed form, from its shape alone.

The conventions and symbols are those of `config`, which has the same for this suite's own GPT.
Beyond that one, a decoder here may have fewer heads for keys and values than for queries, layers
that look back over a window only, and a head that is not tied to the token embedding.
"""

from dataclasses import dataclass

from workloads import optimizers
from workloads.tensors import torch_dtype


@dataclass(frozen=True)
class Decoder:
    """What decides the work: sizes of weights in elements, widths of one layer in numbers a token.

    `windows` has an entry a layer: how many tokens one looks at, itself included, or None for all
    before it. `block_weights` are those of all matmuls but the head's, each used once a token.
    """

    parameters: int
    block_weights: int
    width: int
    vocab: int
    positions: int  # rows of a learned position table, 0 without one
    tied: bool
    query_width: int  # heads · width of a head
    kv_width: int  # of the keys alone, or the values
    windows: tuple[int | None, ...]

    # FLOPs

    def forward_flops(self, batch: int, seq: int, full_attention: bool = False) -> int:
        """Model FLOPs of one forward pass with logits at every position: B(T(2W + 2dV) +
        4·query_width·pairs)."""
        return batch * (
            seq * (2 * self.block_weights + self._head_flops)
            + self._attention_flops(seq, full_attention)
        )

    def train_flops(self, batch: int, seq: int, full_attention: bool = False) -> int:
        """Model FLOPs of a training step: three times forward, as a matmul's backward is two
        matmuls of its size."""
        return 3 * self.forward_flops(batch, seq, full_attention)

    def prefill_flops(self, batch: int, prompt: int, full_attention: bool = False) -> int:
        """Model FLOPs to read a prompt and give one next token: as forward, the head on the last
        position only."""
        attention = self._attention_flops(prompt, full_attention)
        return batch * (prompt * 2 * self.block_weights + attention + self._head_flops)

    def decode_flops(self, batch: int, position: int) -> int:
        """Model FLOPs of one token at index `position`, its past in the cache."""
        seen = sum(_seen(position, window) for window in self.windows)
        return batch * (2 * self.block_weights + 4 * self.query_width * seen + self._head_flops)

    @property
    def _head_flops(self) -> int:
        return 2 * self.width * self.vocab

    def _attention_flops(self, seq: int, full: bool) -> int:
        """Two matmuls of 2·query_width FLOPs a pair of tokens."""
        pairs = (
            seq * seq * len(self.windows)
            if full
            else sum(_pairs(seq, window) for window in self.windows)
        )
        return 4 * self.query_width * pairs

    # Least bytes

    def forward_bytes(self, batch: int, seq: int) -> int:
        """Fewest bytes of a forward pass of training: every weight once, in fp32."""
        return self._parameters_read(batch, seq) * optimizers.MASTER_BYTES

    def train_bytes(
        self, batch: int, seq: int, optimizer: str, accumulate: int | None = None
    ) -> int:
        """Fewest bytes of a training step whose passes have `batch` sequences each, as
        `optimizers.train_bytes`.

        Weights are read in forward and again in backward, which does not read a table that is only
        looked up.
        """
        forward = self._parameters_read(batch, seq)
        backward = forward if self.tied else forward - self._rows(batch, seq) * self.width
        return optimizers.train_bytes(forward + backward, self.parameters, optimizer, accumulate)

    def prefill_bytes(self, batch: int, prompt: int, dtype: str) -> int:
        """Fewest bytes to read a prompt: every weight once, and the keys and values of the prompt
        written."""
        weights = self._parameters_read(batch, prompt) * torch_dtype(dtype).itemsize
        return weights + self.kv_cache_bytes(batch, prompt, dtype)

    def decode_bytes(self, batch: int, position: int, dtype: str) -> int:
        """Fewest bytes of one token at index `position`: every weight once, the cache read, one
        entry written."""
        weights = self._parameters_read(batch, 1) * torch_dtype(dtype).itemsize
        return weights + self.kv_cache_bytes(batch, position + 1, dtype)

    def kv_cache_bytes(self, batch: int, length: int, dtype: str) -> int:
        """Keys and values of `length` positions, of each layer as many as its window holds."""
        entries = sum(_seen(length - 1, window) for window in self.windows)
        return 2 * batch * self.kv_width * entries * torch_dtype(dtype).itemsize

    def _parameters_read(self, batch: int, tokens: int) -> int:
        """A tied token table is read whole, by the head; of other tables only the rows in use."""
        unread = max(0, self.positions - tokens)
        if not self.tied:
            unread += self.vocab - self._rows(batch, tokens)
        return self.parameters - unread * self.width

    def _rows(self, batch: int, tokens: int) -> int:
        """Rows of the token table that a batch looks up, all of its tokens being different."""
        return min(self.vocab, batch * tokens)


def _seen(position: int, window: int | None) -> int:
    """How many tokens the one at index `position` looks at, itself among them."""
    return position + 1 if window is None else min(position + 1, window)


def _pairs(seq: int, window: int | None) -> int:
    """The sum of `_seen` over a sequence: T(T+1)/2, or W(W+1)/2 + (T-W)W beyond a window."""
    within = min(seq, window or seq)
    return within * (within + 1) // 2 + (seq - within) * within
