"""The torch classes of the optimizers that training workloads offer; `accounts.updates` has their
cost."""

from collections.abc import Callable, Iterable
from functools import partial
from typing import Any

import torch
from torch import Tensor

from hwbench.devices.protocol import TorchDevice

LEARNING_RATE = 3e-4
"""Low enough for every size to stay finite without warm-up. It does not change a step's cost."""

CLASSES: dict[str, Callable[..., torch.optim.Optimizer]] = {
    "adamw": torch.optim.AdamW,
    "adam": torch.optim.Adam,
    "sgd": torch.optim.SGD,
    "sgd-minibatch": partial(torch.optim.SGD, momentum=0.9),
    "gd": torch.optim.SGD,
}
"""By the names of `accounts.updates.OPTIMIZERS`."""


def make_optimizer(
    name: str, parameters: Iterable[Tensor], device: TorchDevice, lr: float = LEARNING_RATE
) -> torch.optim.Optimizer:
    """Make the optimizer of that name, fused into one kernel where torch has one for the device."""
    fused: Any = True if device.fused_optimizers else None  # torch finds out only at the first step
    return CLASSES[name](parameters, lr=lr, fused=fused)
