"""A recurrent language model: embedding → LSTM layers → head.

Shapes in comments: B batch, T tokens, V vocabulary.
"""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from hwbench.accounts.lstm import LSTMConfig


class LSTM(nn.Module):
    """The model, with the weights that torch draws by default."""

    def __init__(
        self, config: LSTMConfig, device: torch.device, dtype: torch.dtype = torch.float32
    ) -> None:
        super().__init__()
        self.config = config
        with device:  # allocated and drawn there only
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
