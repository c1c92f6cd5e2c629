"""The ceiling of small work: what it costs to have the device do anything at all."""

from typing import Any

import torch

from hwbench.devices.protocol import TorchDevice
from hwbench.records import Declared
from hwbench.workload import Built, Mark, axis, workload

LAUNCHES = 1000
"""Of one step: what the harness adds, a microsecond or two, is then nothing."""


@workload("launch", wait=axis(False), dtype=axis("fp32", choices=("fp32",)))
def launch(p: Any, device: TorchDevice) -> Built:
    """Change the sign of one number, 1000 times: a step's milliseconds are a launch's microseconds.

    Without `wait` the launches go back to back, and their rate is the host's or the device's,
    whichever is the slower; with it each is waited for before the next, there and back. A CPU only
    calls: either way it is torch's cost of a call. No work is declared, since there is next to
    none.
    """
    number = torch.randn(1, device=device.torch)
    flip, synchronize = number.neg_, device.synchronize

    def back_to_back(mark: Mark) -> None:
        for _ in range(LAUNCHES):
            flip()
        mark("launch")

    def there_and_back(mark: Mark) -> None:
        for _ in range(LAUNCHES):
            flip()
            synchronize()
        mark("launch")

    declared = Declared(choices={"launches_a_step": str(LAUNCHES)})
    return Built(there_and_back if p.wait else back_to_back, declared=declared)
