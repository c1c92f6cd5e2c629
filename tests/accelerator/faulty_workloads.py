"""Workloads whose steps fail on the device."""

import torch

from hwbench.records import Work
from hwbench.workload import Built, axis, workload

KIND = axis("fp32", choices=("fp32",))


def steps_of_sleep(device, then):
    """A step of 20 ms that first calls `then` with its own number."""
    numbers = iter(range(10**9))

    def step(mark):
        then(next(numbers))
        torch.ops.toy_tpu.sleep(0.02)
        mark("sleep")

    return Built(step, Work())


@workload("toy/sleeps", dtype=KIND)
def sleeps(p, device):
    """Sleep 20 ms on the device."""
    return steps_of_sleep(device, lambda step: None)


@workload("toy/dies", at=axis(8), dtype=KIND)
def dies(p, device):
    """Lose the device for good at a step."""
    return steps_of_sleep(device, lambda step: torch.ops.toy_tpu.die() if step == p.at else None)


@workload("toy/jumps", dtype=KIND)
def jumps(p, device):
    """Let the clock of events jump by a second at every fifth step."""
    return steps_of_sleep(
        device, lambda step: torch.ops.toy_tpu.jump(1.0) if step % 5 == 4 else None
    )


@workload("toy/back", dtype=KIND)
def back(p, device):
    """Let the clock of events go back by half a second at every fifth step."""
    return steps_of_sleep(
        device, lambda step: torch.ops.toy_tpu.jump(-0.5) if step % 5 == 4 else None
    )


@workload("toy/lacks", dtype=KIND)
def lacks(p, device):
    """Call an operator that the device lacks."""
    x = torch.zeros(4, device=device.torch)
    return Built(lambda mark: torch.erfinv(x), Work())


@workload("toy/unwritten", dtype=KIND)
def unwritten(p, device):
    """Raise Python's error for a method that is not implemented."""

    def step(mark):
        raise NotImplementedError("write me")

    return Built(step, Work())


@workload("toy/greedy", gib=axis(64), dtype=KIND)
def greedy(p, device):
    """Allocate more memory than there is, within a step."""
    return Built(lambda mark: torch.empty(p.gib << 28, device=device.torch), Work())


@workload("toy/tunes", dtype=KIND)
def tunes(p, device):
    """Use 64 MiB in the first step, as an autotuner does, and 1 MiB in all others."""
    sizes = iter([64])

    def step(mark):
        x = torch.zeros(next(sizes, 1) << 18, device=device.torch)
        x += 1

    return Built(step, Work())
