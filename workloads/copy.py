"""The memory ceiling: how fast this machine moves arrays that no cache holds."""

from typing import Any

import torch

from hwbench.devices import Device
from hwbench.records import Work
from hwbench.workload import Built, Mark, axis, workload
from workloads.tensors import TORCH_DTYPES, torch_dtype

SCALAR = 3.0
"""STREAM's own."""


@workload(
    "copy",
    op=axis("copy", "triad", choices=("copy", "triad")),
    mb=axis(256),
    dtype=axis("fp32", choices=tuple(TORCH_DTYPES)),
)
def copy(p: Any, device: Device) -> Built:
    """Copy an array of mb megabytes (10⁶ bytes), a = b, or add two, a = b + 3c (triad).

    Bytes as STREAM counts them (McCalpin 1995): what is read and what is written, 2 or 3 arrays. A CPU that fetches
    a line before it overwrites it moves one array more, which is not counted. Take mb several times the last cache.
    """
    dtype = torch_dtype(p.dtype)
    length = p.mb * 10**6 // dtype.itemsize
    arrays = 2 if p.op == "copy" else 3
    moved = arrays * length * dtype.itemsize
    device.require(p.dtype, moved)
    b, *more = (torch.randn(length, device=device.torch, dtype=dtype) for _ in range(arrays - 1))
    a = torch.empty_like(b)

    def copy_step(mark: Mark) -> None:
        a.copy_(b)
        mark("copy")

    def triad_step(mark: Mark) -> None:
        torch.add(b, more[0], alpha=SCALAR, out=a)
        mark("triad")

    if p.op == "copy":
        return Built(copy_step, Work(bytes=moved))
    return Built(triad_step, Work(bytes=moved))
