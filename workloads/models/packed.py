"""Linear layers whose weights lie as oneDNN reads them best, once and for all: what a CPU wants for
generation.

A product with one row is bound by reading the weights. torch lays them out anew or reads them as they are at each call;
packed when the model is built, some processors read them at twice the rate (docs/log.md), and some cannot pack every
format: a trial tells. Inductor packs so too where weights are constants, through the same operations.
"""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from hwbench.devices.protocol import TorchDevice

MOST_WEIGHTS = 1 << 26
"""The most weights that a trial takes: more than a cache holds, and packed in a moment."""


def choose_layout(weight: Tensor, rows: int, device: TorchDevice) -> dict[str, str]:
    """How products of `rows` rows with weights like `weight` (out, in) are the fastest, for
    `Declared.choices`: `weights` is plain or packed, `weights_failed` why packing does not work
    here. Empty where there is no other layout.
    """
    if not device.has_onednn:
        return {}
    part = weight.detach()[: max(1, MOST_WEIGHTS // weight.shape[1])]
    x = torch.full((rows, part.shape[1]), 0.5, dtype=part.dtype, device=part.device)
    held: list[Tensor] = []

    def multiply_packed() -> Tensor:
        if not held:
            held.append(packed(part, rows))
        return packed_linear(x, held[0], None)

    question = (
        f"{rows} rows by weights {tuple(part.shape)}, {str(part.dtype).removeprefix('torch.')}"
    )
    choice = device.findings.choose(
        question, {"plain": lambda: F.linear(x, part), "packed": multiply_packed}
    )
    return choice.as_choices("weights", choice.name)


def pack_linears(model: nn.Module, rows: int) -> None:
    """Pack each linear layer of `model` for products with so many rows, and let its own weights go.
    For inference."""
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
