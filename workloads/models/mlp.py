"""A feed-forward network, linear layers of one width with GELU between them, and its work in closed
form.

The conventions are those of `config`: model FLOPs, fewest bytes, nothing for activations. The
symbols:

    D layers   w width   B batch   e bytes an element
"""

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from workloads import optimizers
from workloads.tensors import torch_dtype


@dataclass(frozen=True)
class MLPConfig:
    """`depth` linear layers from `width` to `width`, with biases."""

    size: str
    depth: int
    width: int

    @property
    def parameters(self) -> int:
        """D(w² + w)."""
        return self.depth * (self.width**2 + self.width)

    def forward_flops(self, batch: int) -> int:
        """Model FLOPs of a forward pass: 2BDw²."""
        return 2 * batch * self.depth * self.width**2

    def train_flops(self, batch: int) -> int:
        """Model FLOPs of forward and backward: 2B(3D - 1)w². Nobody needs the gradient of the first
        layer's input."""
        return 2 * batch * (3 * self.depth - 1) * self.width**2

    def forward_bytes(self, dtype: str) -> int:
        """Fewest bytes of a forward pass: every weight once."""
        return self.parameters * torch_dtype(dtype).itemsize

    def train_bytes(self, optimizer: str, accumulate: int | None = None) -> int:
        """Fewest bytes of a training step, as `optimizers.train_bytes`; backward does not read the
        first layer."""
        first_layer = self.width**2 + self.width
        return optimizers.train_bytes(
            2 * self.parameters - first_layer, self.parameters, optimizer, accumulate
        )


SIZES = {
    config.size: config
    for config in (
        MLPConfig("nano", depth=3, width=64),  # for smoke tests
        MLPConfig("default", depth=4, width=4096),
    )
}


class MLP(nn.Module):
    """The model, with the weights that torch draws by default."""

    def __init__(
        self, config: MLPConfig, device: torch.device, dtype: torch.dtype = torch.float32
    ) -> None:
        super().__init__()
        with device:  # drawn there and nowhere else
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
