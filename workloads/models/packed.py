"""Linear layers whose weights lie as oneDNN reads them best, once and for all: what a CPU wants for generation.

A product with one row is bound by reading the weights. torch lays them out anew or reads them as they are at each call;
packed when the model is built, two Zen 4 cores read them at twice the rate (docs/log.md). Inductor packs so too where
weights are constants, through the same operations.
"""

import torch
from torch import Tensor, nn


def pack_linears(model: nn.Module, rows: int) -> None:
    """Pack each linear layer of `model` for products with so many rows, and let its own weights go. For inference."""
    for module in model.modules():
        if type(module) is nn.Linear:
            module.packed = packed(module.weight, rows)
            del module.weight
            module.__class__ = PackedLinear


def packed(weight: Tensor, rows: int) -> Tensor:
    """`weight` (out, in) in a layout that only `packed_linear` reads."""
    layout: Tensor = torch.ops.mkldnn._reorder_linear_weight(weight.detach(), rows)
    return layout


def packed_linear(x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
    """F.linear of a packed weight."""
    y: Tensor = torch.ops.mkldnn._linear_pointwise(x, weight, bias, "none", [], "")
    return y


class PackedLinear(nn.Linear):
    """A linear layer that has been packed."""

    packed: Tensor

    def forward(self, x: Tensor) -> Tensor:
        return packed_linear(x, self.packed, self.bias)
