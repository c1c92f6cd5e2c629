"""A feed-forward network, linear layers of one width with GELU between them, in closed form.

Conventions are those of `gpt`: model FLOPs, fewest bytes, nothing for activations. The symbols:

    D layers   w width   B batch   e bytes of an element
"""

from dataclasses import dataclass

from hwbench.accounts import updates
from hwbench.accounts.elements import item_bytes


@dataclass(frozen=True)
class MLPConfig:
    """`depth` linear layers from `width` to `width`, with biases."""

    size: str
    depth: int
    width: int

    @property
    def parameters(self) -> int:
        """D(w² + w)."""
        return self.depth * self._layer_parameters

    @property
    def _layer_parameters(self) -> int:
        return self.width**2 + self.width

    def forward_flops(self, batch: int) -> int:
        """Count the model FLOPs of a forward pass over `batch` vectors: 2BDw²."""
        return 2 * batch * self.depth * self.width**2

    def train_flops(self, batch: int) -> int:
        """Count the model FLOPs of forward and backward: 2B(3D - 1)w².

        The gradient of the first layer's input is not needed.
        """
        return 2 * batch * (3 * self.depth - 1) * self.width**2

    def forward_bytes(self, dtype: str) -> int:
        """Count the fewest bytes of a forward pass: every weight once."""
        return self.parameters * item_bytes(dtype)

    def train_bytes(self, optimizer: str, accumulate: int | None = None) -> int:
        """Count the fewest bytes of a training step; see `updates.train_bytes`.

        Backward does not read the first layer.
        """
        read = 2 * self.parameters - self._layer_parameters
        return updates.train_bytes(read, self.parameters, optimizer, accumulate)


SIZES = {
    config.size: config
    for config in (
        MLPConfig("nano", depth=3, width=64),  # for smoke tests
        MLPConfig("default", depth=4, width=4096),
    )
}
