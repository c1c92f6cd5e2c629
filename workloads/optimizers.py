"""The optimizers that training workloads offer: how torch makes each, what a step learns from, what
an update costs.

Every training workload has a fixed data set of DATASET_BATCHES batches. The methods differ in how much of it one step
sees: gradient descent proper all of it, textbook stochastic gradient descent one random sample, the others one random
mini-batch. FLOPs and bytes here are those of the update alone; they are no model FLOPs, and `Work.flops` has none.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
from torch import Tensor

from hwbench.devices.protocol import TorchDevice
from hwbench.records import Unsupported

DATASET_BATCHES = 4
"""Batches in the fixed data set that a training workload learns: enough that accumulating is most
of a `gd` step."""

LEARNING_RATE = 3e-4
"""Low enough for every size to stay finite without warm-up; it changes nothing in a step's cost."""

MASTER_BYTES = 4
"""Training keeps weights, gradients and optimizer state in fp32, whatever autocast computes in."""


@dataclass(frozen=True)
class Method:
    """One way to learn. `states` are the tensors of the weights' size that it remembers from step
    to step.

    `flops` an element and update, by the formulas that torch documents for the class
    (`torch.optim.AdamW`, `Adam`, `SGD`: "implements the … algorithm"), one for each multiply, add,
    divide and square root; what depends on the step alone (γλ, 1 - βᵗ) is one number for all
    elements and counts nothing:

        weight decay  θ - γλθ                                                2
        moments       m = β₁m + (1-β₁)g;  v = β₂v + (1-β₂)g²                 3 + 4
        Adam          m̂ = m/(1-β₁ᵗ);  v̂ = v/(1-β₂ᵗ);  θ - γm̂/(√v̂ + ε)        2 + 5
        SGD           θ - γg, and with momentum b = μb + g, θ - γb           2, and 2 more
    """

    make: Callable[..., torch.optim.Optimizer]
    states: int
    flops: int
    batches: int = 1  # whose gradients are added up for one update
    single: bool = False  # a batch is one sample, whatever was asked for

    def batch_size(self, batch: int) -> int:
        """Samples of a batch, of `batch` asked for."""
        return 1 if self.single else batch

    def micro_batch(self, batch: int, accumulate: int | None) -> int:
        """Samples of one forward pass: a batch, or one of the `accumulate` equal parts that it is
        cut into.

        Unsupported if it does not fall into so many.
        """
        size, parts = self.batch_size(batch), accumulate or 1
        if size % parts:
            whole = "the one sample that sgd learns from" if self.single else f"batch={batch}"
            raise Unsupported(f"accumulate={parts} does not divide {whole}; it has to")
        return size // parts

    def passes(self, accumulate: int | None) -> int:
        """Forward and backward passes of one step, whose gradients are added up for its one
        update."""
        return self.batches * (accumulate or 1)

    def samples(self, batch: int) -> int:
        """Samples that one step learns from: `batch`, one with `sgd`, the whole data set with
        `gd`."""
        return self.batches * self.batch_size(batch)


OPTIMIZERS = {
    "adamw": Method(torch.optim.AdamW, states=2, flops=16),
    "adam": Method(torch.optim.Adam, states=2, flops=14),
    "sgd": Method(torch.optim.SGD, states=0, flops=2, single=True),
    "sgd-minibatch": Method(partial(torch.optim.SGD, momentum=0.9), states=1, flops=4),
    "gd": Method(torch.optim.SGD, states=0, flops=2, batches=DATASET_BATCHES),
}


def make_optimizer(
    name: str, parameters: Iterable[Tensor], device: TorchDevice, lr: float = LEARNING_RATE
) -> torch.optim.Optimizer:
    """The optimizer of that name, fused where torch offers it."""
    fused: Any = True if device.fused_optimizers else None  # torch finds out only at the first step
    return OPTIMIZERS[name].make(parameters, lr=lr, fused=fused)


def update_flops(parameters: int, optimizer: str) -> int:
    """FLOPs of one update of that many parameters; see Method."""
    return OPTIMIZERS[optimizer].flops * parameters


def update_bytes(parameters: int, optimizer: str) -> int:
    """Fewest bytes of one update, fp32: gradients read, weights and each of s states read and
    written: 4(3 + 2s)."""
    return MASTER_BYTES * (3 + 2 * OPTIMIZERS[optimizer].states) * parameters


def train_bytes(read: int, parameters: int, optimizer: str, accumulate: int | None = None) -> int:
    """Fewest bytes of a training step of n passes, fp32: 4(n · read + (2n - 1) · parameters) and
    the update's.

    `read` are the elements of weights that forward and backward of one pass read. The first
    backward writes the gradients, each further one reads them, adds its own and writes them again.
    """
    n = OPTIMIZERS[optimizer].passes(accumulate)
    return MASTER_BYTES * (n * read + (2 * n - 1) * parameters) + update_bytes(
        parameters, optimizer
    )


def train_state_bytes(parameters: int, optimizer: str) -> int:
    """What training holds between steps, and its gradients: (2 + s) fp32 tensors of the weights'
    size."""
    return MASTER_BYTES * (2 + OPTIMIZERS[optimizer].states) * parameters
