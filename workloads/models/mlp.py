"""A feed-forward network: linear layers of one width with GELU between them.

Shapes in comments: B batch, w width.
"""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from hwbench.accounts.mlp import MLPConfig


class MLP(nn.Module):
    """The model, with the weights that torch draws by default."""

    def __init__(
        self, config: MLPConfig, device: torch.device, dtype: torch.dtype = torch.float32
    ) -> None:
        super().__init__()
        with device:  # allocated and drawn there only
            self.layers = nn.ModuleList(
                nn.Linear(config.width, config.width, dtype=dtype) for _ in range(config.depth)
            )

    def forward(self, x: Tensor) -> Tensor:
        """(B, w) → (B, w)."""
        first, *others = self.layers
        x = first(x)
        for layer in others:
            x = layer(F.gelu(x))
        return x

    def loss(self, inputs: Tensor, targets: Tensor) -> Tensor:
        """Mean squared error of (B, w) targets in fp32, a scalar."""
        return F.mse_loss(self(inputs).float(), targets)
