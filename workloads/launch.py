"""The launch ceiling: what it costs to have the device do anything at all."""

from typing import Any

import torch

from hwbench.devices.protocol import TorchDevice
from hwbench.records import Declared
from hwbench.workload import Built, Mark, axis, workload

LAUNCHES = 1000
"""Launches of one step: so many that the one or two microseconds of the harness do not count."""


@workload("launch", wait=axis(False), dtype=axis("fp32", choices=("fp32",)))
def launch(p: Any, device: TorchDevice) -> Built:
    """Change the sign of one number, 1000 times: a step's milliseconds are a launch's microseconds.

    Without `wait` launches go back to back, at the rate of the host or the device, whichever is
    slower. With it the host waits for each before the next: the round trip. On a CPU both measure
    torch's cost of a call. No work is declared, as there is next to none.
    """
    number = torch.randn(1, device=device.torch)
    flip, synchronize = number.neg_, device.synchronize

    def back_to_back(mark: Mark) -> None:
        for _ in range(LAUNCHES):
            flip()
        mark("launch")

    def round_trips(mark: Mark) -> None:
        for _ in range(LAUNCHES):
            flip()
            synchronize()
        mark("launch")

    declared = Declared(choices={"launches_a_step": str(LAUNCHES)})
    return Built(round_trips if p.wait else back_to_back, declared=declared)
