"""One training step, the same for every model: forward and backward of what the optimizer asks for, then its update."""

from collections.abc import Callable, Iterable
from typing import Any

import torch
from torch import Tensor

from hwbench.devices import Device
from hwbench.workload import Mark, Step, axis
from workloads.optimizers import LEARNING_RATE, OPTIMIZERS, make_optimizer

OPTIMIZER = axis("adamw", choices=tuple(OPTIMIZERS))
TRAIN_DTYPE = axis("bf16", choices=("fp32", "bf16"))  # fp16 would need its loss scaled

Loss = Callable[[Tensor, Tensor], Tensor]
"""Inputs and targets of a batch → its mean loss, a scalar in fp32."""


def training_step(
    p: Any,
    device: Device,
    loss_of: Loss,
    parameters: Iterable[Tensor],
    data: tuple[Tensor, Tensor],
    lr: float = LEARNING_RATE,
) -> Step:
    """A step of `p.optimizer` in `p.dtype` on batches of `p.batch` from `data`; it returns the last batch's loss.

    `data` are inputs and targets, their first dimension DATASET_BATCHES · p.batch samples. Weights, gradients and
    optimizer state are fp32; bf16 computes under autocast, as most pre-training does.
    """
    method = OPTIMIZERS[p.optimizer]
    optimizer = make_optimizer(p.optimizer, parameters, device, lr)
    size = method.batch_size(p.batch)
    batches = list(zip(torch.split(data[0], size), torch.split(data[1], size), strict=True))
    share = torch.tensor(1 / method.batches, device=device.torch)  # so that gradients add up to those of the mean loss

    def step(mark: Mark) -> Tensor:
        for inputs, targets in batches if method.batches > 1 else drawn(batches):
            with device.autocast(p.dtype):
                loss = loss_of(inputs, targets)
            mark("forward")
            loss.backward(share)  # type: ignore[no-untyped-call] # torch leaves it untyped
            mark("backward")
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)
        mark("optimizer")
        return loss.detach()

    return step


def drawn(batches: list[tuple[Tensor, Tensor]]) -> list[tuple[Tensor, Tensor]]:
    """One of them, at random. The number comes from the host's generator, so nothing waits for the device."""
    return [batches[int(torch.randint(len(batches), ()))]]
