"""A recurrent language model, embedding → LSTM layers → head, and its work in closed form.

The conventions are those of `config`: model FLOPs, fewest bytes, nothing for activations. The
symbols:

    L layers   h hidden width   E embedding width   V vocabulary   B batch   T tokens of a sequence   e bytes an element
"""

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from workloads import optimizers
from workloads.tensors import torch_dtype


@dataclass(frozen=True)
class LSTMConfig:
    """`layers` LSTM layers of width `hidden` over an embedding, the head not tied to it."""

    size: str
    layers: int
    hidden: int
    embedding: int
    vocab: int

    @property
    def parameters(self) -> int:
        """VE + Σ(4h(i + h) + 8h) + hV + V, where a layer's input i is E for the first and h after
        it.

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
        """Model FLOPs with logits at every position: BT(Σ 2·4h(i + h) + 2hV), two FLOPs a weight
        and token.

        The first token multiplies its past too, which is zero: torch and cuDNN do. Gates count
        nothing.
        """
        return 2 * batch * seq * (self._gate_weights + self.hidden * self.vocab)

    def train_flops(self, batch: int, seq: int) -> int:
        """Model FLOPs of forward and backward: three times forward, as a matmul's backward is two
        of its size."""
        return 3 * self.forward_flops(batch, seq)

    def forward_bytes(self, batch: int, seq: int, dtype: str) -> int:
        """Fewest bytes of a forward pass: every weight once, of the embedding only the rows looked
        up, BT or V of them.

        Once for all tokens: an ideal cache keeps the recurrent weights from one token to the next.
        """
        return self._parameters_read(batch, seq) * torch_dtype(dtype).itemsize

    def train_bytes(
        self, batch: int, seq: int, optimizer: str, accumulate: int | None = None
    ) -> int:
        """Fewest bytes of a training step, as `optimizers.train_bytes`, of passes of `batch`
        sequences each.

        Backward does not read the embedding.
        """
        read = self._parameters_read(batch, seq) + self.parameters - self.vocab * self.embedding
        return optimizers.train_bytes(read, self.parameters, optimizer, accumulate)

    def _parameters_read(self, batch: int, seq: int) -> int:
        return self.parameters - (self.vocab - min(self.vocab, batch * seq)) * self.embedding


SIZES = {
    config.size: config
    for config in (
        LSTMConfig("nano", layers=2, hidden=64, embedding=32, vocab=1000),  # for smoke tests
        LSTMConfig("gpt3-simplified", layers=12, hidden=1024, embedding=512, vocab=10_000),
    )
}
"""Both are ours. `gpt3-simplified` is no GPT: it is as deep as the smallest GPT-3 and has about as
many parameters."""


class LSTM(nn.Module):
    """The model, with the weights that torch draws by default."""

    def __init__(
        self, config: LSTMConfig, device: torch.device, dtype: torch.dtype = torch.float32
    ) -> None:
        super().__init__()
        self.config = config
        with device:  # drawn there and nowhere else
            self.tokens = nn.Embedding(config.vocab, config.embedding, dtype=dtype)
            self.layers = nn.LSTM(
                config.embedding, config.hidden, config.layers, batch_first=True, dtype=dtype
            )
            self.head = nn.Linear(config.hidden, config.vocab, dtype=dtype)

    def forward(self, tokens: Tensor) -> Tensor:
        """Token ids (B, T) → logits (B, T, V) at every position, from a past of zeros."""
        hidden, _ = self.layers(self.tokens(tokens))
        return self.head(hidden)  # type: ignore[no-any-return] # Module.__call__ is untyped

    def loss(self, tokens: Tensor, targets: Tensor) -> Tensor:
        """Mean cross-entropy of (B, T) targets in fp32, a scalar."""
        return F.cross_entropy(self(tokens).flatten(0, 1).float(), targets.flatten())
