"""The matmul ceiling: what this machine's arithmetic gives at most to anything that multiplies matrices."""

from typing import Any

import torch

from hwbench.devices import Device
from hwbench.records import Work
from hwbench.workload import Built, Mark, axis, workload
from workloads.tensors import TORCH_DTYPES, torch_dtype


@workload("gemm", m=axis(4096), n=axis(4096), k=axis(4096), dtype=axis("fp32", "bf16", choices=tuple(TORCH_DTYPES)))
def gemm(p: Any, device: Device) -> Built:
    """Multiply two random matrices, C = A·B with A (m, k) and B (k, n): 2mnk FLOPs; A and B read once, C written.

    fp32 is true fp32: torch keeps TF32 off unless told otherwise, and this does not tell it.
    """
    dtype = torch_dtype(p.dtype)
    moved = (p.m * p.k + p.k * p.n + p.m * p.n) * dtype.itemsize
    device.require(p.dtype, moved)
    a = torch.randn(p.m, p.k, device=device.torch, dtype=dtype)
    b = torch.randn(p.k, p.n, device=device.torch, dtype=dtype)
    c = torch.empty(p.m, p.n, device=device.torch, dtype=dtype)

    def step(mark: Mark) -> None:
        torch.mm(a, b, out=c)
        mark("gemm")

    return Built(step, Work(flops=2 * p.m * p.n * p.k, bytes=moved))
