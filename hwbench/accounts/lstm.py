"""A recurrent language model, embedding → LSTM layers → head, in closed form.

Conventions are those of `gpt`: model FLOPs, fewest bytes, nothing for activations. The symbols:

    L layers   h hidden width   E embedding width   V vocabulary
    B batch    T tokens of a sequence               e bytes of an element
"""

from dataclasses import dataclass

from hwbench.accounts import updates
from hwbench.accounts.elements import item_bytes


@dataclass(frozen=True)
class LSTMConfig:
    """`layers` LSTM layers of width `hidden` over an embedding; the head is not tied to it."""

    size: str
    layers: int
    hidden: int
    embedding: int
    vocab: int

    @property
    def parameters(self) -> int:
        """VE + Σ(4h(i + h) + 8h) + hV + V, where a layer's input i is E for the first and then h.

        A layer has four gates, each with a matrix for the input, one for the past, and torch's two
        biases.
        """
        biases = 8 * self.layers * self.hidden + self.vocab
        return self.vocab * self.embedding + self._gate_weights + self.hidden * self.vocab + biases

    @property
    def _gate_weights(self) -> int:
        inputs = self.embedding + (self.layers - 1) * self.hidden
        return 4 * self.hidden * (inputs + self.layers * self.hidden)

    def forward_flops(self, batch: int, seq: int) -> int:
        """Count the model FLOPs of a forward pass over `batch` sequences of `seq` tokens.

        Logits at every position: BT(Σ 2·4h(i + h) + 2hV), two FLOPs a weight and token. The first
        token multiplies its past too, which is zero: torch and cuDNN do. Gates count nothing.
        """
        return 2 * batch * seq * (self._gate_weights + self.hidden * self.vocab)

    def train_flops(self, batch: int, seq: int) -> int:
        """Count the model FLOPs of forward and backward: three times forward.

        The backward of a matmul is two matmuls of its size.
        """
        return 3 * self.forward_flops(batch, seq)

    def forward_bytes(self, batch: int, seq: int, dtype: str) -> int:
        """Count the fewest bytes of a forward pass: every weight once.

        Of the embedding only the rows looked up, BT or V of them. An ideal cache keeps the
        recurrent weights from one token to the next.
        """
        return self._parameters_read(batch, seq) * item_bytes(dtype)

    def train_bytes(
        self, batch: int, seq: int, optimizer: str, accumulate: int | None = None
    ) -> int:
        """Count the fewest bytes of a training step whose passes have `batch` sequences each.

        See `updates.train_bytes`. Backward does not read the embedding.
        """
        read = self._parameters_read(batch, seq) + self.parameters - self.vocab * self.embedding
        return updates.train_bytes(read, self.parameters, optimizer, accumulate)

    def _parameters_read(self, batch: int, seq: int) -> int:
        return self.parameters - (self.vocab - min(self.vocab, batch * seq)) * self.embedding


SIZES = {
    config.size: config
    for config in (
        LSTMConfig("nano", layers=2, hidden=64, embedding=32, vocab=1000),  # for smoke tests
        LSTMConfig("gpt3-simplified", layers=12, hidden=1024, embedding=512, vocab=10_000),
    )
}
"""Both are ours. `gpt3-simplified` is not a GPT: it is as deep as the smallest GPT-3 and has about
as many parameters."""
