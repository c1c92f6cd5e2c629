"""The transfer ceiling: how fast data moves between the host's memory and the device's."""

from typing import Any

import torch

from hwbench.devices.protocol import TorchDevice
from hwbench.records import Unsupported, Work
from hwbench.workload import Built, Mark, axis, workload
from workloads.tensors import TORCH_DTYPES, torch_dtype


@workload(
    "transfer",
    direction=axis("to_device", "to_host", choices=("to_device", "to_host")),
    memory=axis("pinned", "pageable", choices=("pinned", "pageable")),
    mb=axis(256),
    dtype=axis("fp32", choices=tuple(TORCH_DTYPES)),
)
def transfer(p: Any, device: TorchDevice) -> Built:
    """Copy mb megabytes (10⁶ bytes) between the host and the device; each byte counts once.

    The host does not wait for copies from and to pinned memory. Pageable memory goes through a
    pinned buffer of the driver, and the host waits.
    """
    if not device.has_transfers:
        raise Unsupported(
            f"{device.name} computes in the host's memory: there is nothing to transfer"
        )
    dtype = torch_dtype(p.dtype)
    length = p.mb * 10**6 // dtype.itemsize
    device.require(p.dtype, length * dtype.itemsize)
    is_pinned = p.memory == "pinned"
    host = torch.randn(length, dtype=dtype)
    if is_pinned:
        try:
            host = host.pin_memory()  # pinned for the open accelerator
        except (RuntimeError, NotImplementedError) as error:
            if device.is_out_of_memory(error):
                raise
            raise Unsupported(
                f"{device.name}: torch cannot pin memory for it; use memory=pageable"
            ) from error
    there = torch.randn(length, device=device.torch, dtype=dtype)
    target, source = (there, host) if p.direction == "to_device" else (host, there)

    def step(mark: Mark) -> None:
        target.copy_(source, non_blocking=is_pinned)
        mark(p.direction)

    return Built(step, Work(bytes=length * dtype.itemsize))
