"""One training step, the same for every model: forward, backward and the optimizer's update."""

from collections.abc import Callable, Iterable
from typing import Any

import torch
from torch import Tensor

from hwbench.accounts.updates import OPTIMIZERS
from hwbench.devices.protocol import TorchDevice
from hwbench.workload import Mark, Step, axis
from workloads.optimizers import LEARNING_RATE, make_optimizer

OPTIMIZER = axis("adamw", choices=tuple(OPTIMIZERS))
TRAIN_DTYPE = axis("auto", choices=("fp32", "bf16", "fp8"))  # fp16 would need its loss scaled
# parts of a batch whose gradients are summed; None: the batch is one part
ACCUMULATE = axis(None, kind=int)

Loss = Callable[[Tensor, Tensor], Tensor]
"""Inputs and targets of a batch → its mean loss, a scalar in fp32."""

Passes = list[tuple[Tensor, Tensor]]
"""Inputs and targets of each forward pass of one step."""


def training_step(
    p: Any,
    device: TorchDevice,
    loss_of: Loss,
    parameters: Iterable[Tensor],
    data: tuple[Tensor, Tensor],
    lr: float = LEARNING_RATE,
) -> Step:
    """Make a step of `p.optimizer` in `p.dtype`, which returns the loss of its last pass.

    `data` are inputs and targets, their first dimension DATASET_BATCHES · p.batch samples. Each
    batch of `p.batch` is cut into `p.accumulate` equal parts; Unsupported if it cannot be. Weights,
    gradients and optimizer state are fp32; bf16 computes under autocast, as most pre-training does.
    """
    method = OPTIMIZERS[p.optimizer]
    size, count = method.micro_batch(p.batch, p.accumulate), method.passes(p.accumulate)
    parameters = list(parameters)
    optimizer = make_optimizer(p.optimizer, parameters, device, lr)
    parts = list(zip(torch.split(data[0], size), torch.split(data[1], size), strict=True))
    steps = [parts[i : i + count] for i in range(0, len(parts), count)]
    needs_own_buffers = count > 1 and replays_graphs(p, device)
    if needs_own_buffers:
        for parameter in parameters:
            parameter.grad = torch.zeros_like(parameter)
    # scales each pass, so that the gradients sum to those of the mean loss
    share = torch.tensor(1 / count, device=device.torch)

    def step(mark: Mark) -> Tensor:
        for inputs, targets in draw(steps):
            with device.autocast(p.dtype):
                loss = loss_of(inputs, targets)
            mark("forward")
            loss.backward(share)  # type: ignore[no-untyped-call] # torch leaves it untyped
            mark("backward")
        optimizer.step()
        optimizer.zero_grad(set_to_none=not needs_own_buffers)
        mark("optimizer")
        return loss.detach()

    return step


def replays_graphs(p: Any, device: TorchDevice) -> bool:
    """Whether `p.compile` makes torch replay CUDA graphs, as both its modes do.

    A graph writes its gradients to the same place each time, so the gradients of several passes sum
    only in buffers that belong to no graph (pytorch issue 169545).
    """
    # not all models can be compiled
    return device.cuda_graphs and isinstance(getattr(p, "compile", False), str)


def draw(steps: list[Passes]) -> Passes:
    """Choose one at random. The number comes from the host's generator: no wait for the device."""
    return steps[int(torch.randint(len(steps), ()))]
