"""One training step, the same for every model: forward and backward of what the optimizer asks for,
then its update."""

from collections.abc import Callable, Iterable
from typing import Any

import torch
from torch import Tensor

from hwbench.devices.protocol import TorchDevice
from hwbench.records import Work
from hwbench.workload import Mark, Step, axis
from workloads.optimizers import (
    LEARNING_RATE,
    OPTIMIZERS,
    make_optimizer,
    update_bytes,
    update_flops,
)

OPTIMIZER = axis("adamw", choices=tuple(OPTIMIZERS))
TRAIN_DTYPE = axis("auto", choices=("fp32", "bf16", "fp8"))  # fp16 would need its loss scaled
# parts of a batch, whose gradients are added up; None: the batch is one part
ACCUMULATE = axis(None, kind=int)

Loss = Callable[[Tensor, Tensor], Tensor]
"""Inputs and targets of a batch → its mean loss, a scalar in fp32."""

Batch = list[tuple[Tensor, Tensor]]
"""Inputs and targets of each part of a batch that goes through the model at once."""


def training_step(
    p: Any,
    device: TorchDevice,
    loss_of: Loss,
    parameters: Iterable[Tensor],
    data: tuple[Tensor, Tensor],
    lr: float = LEARNING_RATE,
) -> Step:
    """A step of `p.optimizer` in `p.dtype` on batches of `p.batch` from `data`, each in
    `p.accumulate` equal parts.

    It returns the loss of the last part. `data` are inputs and targets, their first dimension
    DATASET_BATCHES · p.batch samples. Weights, gradients and optimizer state are fp32; bf16
    computes under autocast, as most pre-training does. Unsupported if a batch does not fall into so
    many parts.
    """
    method = OPTIMIZERS[p.optimizer]
    size = method.micro_batch(p.batch, p.accumulate)
    parameters = list(parameters)
    optimizer = make_optimizer(p.optimizer, parameters, device, lr)
    parts = list(zip(torch.split(data[0], size), torch.split(data[1], size), strict=True))
    in_a_step = method.passes(p.accumulate)
    batches = [parts[i : i + in_a_step] for i in range(0, len(parts), in_a_step)]
    stable = in_a_step > 1 and replays_graphs(p, device)
    if stable:
        for parameter in parameters:
            parameter.grad = torch.zeros_like(parameter)
    # so that gradients add up to those of the mean loss
    share = torch.tensor(1 / in_a_step, device=device.torch)

    def step(mark: Mark) -> Tensor:
        for inputs, targets in drawn(batches):
            with device.autocast(p.dtype):
                loss = loss_of(inputs, targets)
            mark("forward")
            loss.backward(share)  # type: ignore[no-untyped-call] # torch leaves it untyped
            mark("backward")
        optimizer.step()
        optimizer.zero_grad(set_to_none=not stable)
        mark("optimizer")
        return loss.detach()

    return step


def replays_graphs(p: Any, device: TorchDevice) -> bool:
    """Whether `p.compile` makes torch replay CUDA graphs, as both its modes do.

    A graph writes its gradients to the same place each time, so that those of several passes add up
    only in buffers that are no graph's own (pytorch issue 169545).
    """
    # not all models can be compiled
    return device.cuda_graphs and isinstance(getattr(p, "compile", False), str)


def drawn(batches: list[Batch]) -> Batch:
    """One of them, at random. The number comes from the host's generator, so nothing waits for the
    device."""
    return batches[int(torch.randint(len(batches), ()))]


def training_spans(work: Work, forward: Work, parameters: int, optimizer: str) -> dict[str, Work]:
    """The work of a training step by its marks: `forward` as given, the update's, and the rest of
    `work` backward.

    Bytes of the three add up to those of `work`; FLOPs of forward and backward do, as the update's
    are no model FLOPs.
    """
    update = Work(
        flops=update_flops(parameters, optimizer), bytes=update_bytes(parameters, optimizer)
    )

    def rest(what: str, *others: Work) -> int | None:
        whole, parts = getattr(work, what), [getattr(other, what) for other in others]
        return None if whole is None or None in parts else whole - sum(parts)

    backward = Work(
        tokens=work.tokens,
        flops=rest("flops", forward),
        bytes=rest("bytes", forward, update),
        flops_full_attention=rest("flops_full_attention", forward),
        hardware_flops=rest("hardware_flops", forward),
    )
    return {"forward": forward, "backward": backward, "optimizer": update}
