"""Any standard decoder-only transformer, in closed form, from its shape alone.

Conventions and symbols are those of `gpt`, which has the same for this suite's own GPT. A decoder
here may also have layers that look back over a window only, and queries of another width than the
model.
"""

from dataclasses import dataclass

from hwbench.accounts import updates
from hwbench.accounts.elements import item_bytes


@dataclass(frozen=True)
class Decoder:
    """The numbers that decide the work: elements of weights, and widths of one layer.

    `block_weights` counts the elements of all matmuls but the head's, each used once a token.
    `windows` has one entry a layer: how many tokens a token looks at, itself included, or None for
    all before it.
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
        """Count the model FLOPs of a forward pass with logits at every position.

        B(T(2W + 2dV) + 4·query_width·pairs), where W is `block_weights`.
        """
        weights = seq * (2 * self.block_weights + self._head_flops)
        return batch * (weights + self._attention_flops(seq, full_attention))

    def train_flops(self, batch: int, seq: int, full_attention: bool = False) -> int:
        """Count the model FLOPs of a training step: three times forward.

        The backward of a matmul is two matmuls of its size.
        """
        return 3 * self.forward_flops(batch, seq, full_attention)

    def prefill_flops(self, batch: int, prompt: int, full_attention: bool = False) -> int:
        """Count the model FLOPs to read a prompt and give one next token.

        As `forward_flops`, but the head multiplies the last position only.
        """
        attention = self._attention_flops(prompt, full_attention)
        return batch * (prompt * 2 * self.block_weights + attention + self._head_flops)

    def decode_flops(self, batch: int, position: int) -> int:
        """Count the model FLOPs of one token at index `position`, with its past in the cache."""
        seen = sum(_tokens_seen(position, window) for window in self.windows)
        return batch * (2 * self.block_weights + 4 * self.query_width * seen + self._head_flops)

    @property
    def _head_flops(self) -> int:
        return 2 * self.width * self.vocab

    def _attention_flops(self, seq: int, full: bool) -> int:
        """Two matmuls of 2·query_width FLOPs a pair of tokens."""
        if full:
            return 4 * self.query_width * seq * seq * len(self.windows)
        return 4 * self.query_width * sum(_pairs_seen(seq, window) for window in self.windows)

    # Least bytes

    def forward_bytes(self, batch: int, seq: int, dtype: str) -> int:
        """Count the fewest bytes of a forward pass: every weight once."""
        return self._parameters_read(batch, seq) * item_bytes(dtype)

    def train_bytes(
        self, batch: int, seq: int, optimizer: str, accumulate: int | None = None
    ) -> int:
        """Count the fewest bytes of a training step whose passes have `batch` sequences each.

        See `updates.train_bytes`. Weights are read in forward and again in backward, which does not
        read a table that is only looked up.
        """
        forward = self._parameters_read(batch, seq)
        backward = forward if self.tied else forward - self._rows(batch, seq) * self.width
        return updates.train_bytes(forward + backward, self.parameters, optimizer, accumulate)

    def prefill_bytes(self, batch: int, prompt: int, dtype: str) -> int:
        """Count the fewest bytes to read a prompt: every weight once, and the cache written."""
        return self.forward_bytes(batch, prompt, dtype) + self.kv_cache_bytes(batch, prompt, dtype)

    def decode_bytes(self, batch: int, position: int, dtype: str) -> int:
        """Count the fewest bytes of one token at index `position`.

        Every weight once, the cache read, and one entry written.
        """
        return self.forward_bytes(batch, 1, dtype) + self.kv_cache_bytes(batch, position + 1, dtype)

    def kv_cache_bytes(self, batch: int, length: int, dtype: str) -> int:
        """Count the bytes of keys and values of `length` positions.

        A layer with a window caches no more positions than its window holds.
        """
        entries = sum(_tokens_seen(length - 1, window) for window in self.windows)
        return 2 * batch * self.kv_width * entries * item_bytes(dtype)

    def _parameters_read(self, batch: int, tokens: int) -> int:
        """Count the elements that a pass reads.

        A tied token table is read whole, by the head; of other tables only the rows in use.
        """
        unread = max(0, self.positions - tokens)
        if not self.tied:
            unread += self.vocab - self._rows(batch, tokens)
        return self.parameters - unread * self.width

    def _rows(self, batch: int, tokens: int) -> int:
        """Rows of the token table that a batch looks up if all of its tokens are different."""
        return min(self.vocab, batch * tokens)


def _tokens_seen(position: int, window: int | None) -> int:
    """How many tokens the one at index `position` looks at, itself included."""
    return position + 1 if window is None else min(position + 1, window)


def _pairs_seen(seq: int, window: int | None) -> int:
    """The sum of `_tokens_seen` over a sequence: T(T+1)/2, or W(W+1)/2 + (T-W)W beyond a window."""
    within = min(seq, window or seq)
    return within * (within + 1) // 2 + (seq - within) * within
