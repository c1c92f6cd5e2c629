"""Linear layers whose weights are packed once, in the layout that oneDNN reads fastest: for
generation on a CPU.

A product with one row is bound by reading the weights. torch changes their layout at each call, or
reads them as they are. Packed when the model is built, some processors read them at twice the rate
(docs/log.md), and some cannot pack every format: a trial decides. Inductor packs constant weights
through the same operations.
"""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from hwbench.devices.protocol import TorchDevice

MOST_WEIGHTS = 1 << 26
"""The most weights of a trial: more than a cache holds, but quick to pack."""


def choose_layout(weight: Tensor, rows: int, device: TorchDevice) -> dict[str, str]:
    """Try in which layout products of `rows` rows with `weight` (out, in) are the fastest.

    For `Declared.choices`: `weights` is plain or packed, `weights_failed` says why packing does not
    work here. Empty if the device has no other layout.
    """
    if not device.has_onednn:
        return {}
    part = weight.detach()[: max(1, MOST_WEIGHTS // weight.shape[1])]
    x = torch.full((rows, part.shape[1]), 0.5, dtype=part.dtype, device=part.device)
    packed_once: list[Tensor] = []

    def multiply_packed() -> Tensor:
        if not packed_once:
            packed_once.append(pack(part, rows))
        return packed_linear(x, packed_once[0], None)

    dtype = str(part.dtype).removeprefix("torch.")
    question = f"{rows} rows by weights {tuple(part.shape)}, {dtype}"
    ways = {"plain": lambda: F.linear(x, part), "packed": multiply_packed}
    choice = device.findings.choose(question, ways)
    return choice.as_choices("weights", choice.name)


def pack_linears(model: nn.Module, rows: int) -> None:
    """Pack each linear layer of `model` for products with `rows` rows, and free its own weights.

    For inference only.
    """
    for module in model.modules():
        if type(module) is nn.Linear:
            module.packed = pack(module.weight, rows)
            del module.weight
            module.__class__ = PackedLinear


def pack(weight: Tensor, rows: int) -> Tensor:
    """Copy `weight` (out, in) into a layout that only `packed_linear` reads."""
    layout: Tensor = torch.ops.mkldnn._reorder_linear_weight(weight.detach(), rows)
    return layout


def packed_linear(x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
    """Compute F.linear with a packed weight."""
    y: Tensor = torch.ops.mkldnn._linear_pointwise(x, weight, bias, "none", [], "")
    return y


class PackedLinear(nn.Linear):
    """A linear layer that has been packed."""

    packed: Tensor

    def forward(self, x: Tensor) -> Tensor:
        return packed_linear(x, self.packed, self.bias)
