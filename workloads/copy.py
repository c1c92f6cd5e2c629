"""The memory ceiling: how fast this machine moves arrays, in memory or in a cache."""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from hwbench.devices.protocol import TorchDevice
from hwbench.records import Declared, Unsupported, Work
from hwbench.workload import Built, Mark, axis, workload
from workloads.tensors import TORCH_DTYPES, torch_dtype

SCALAR = 3.0
"""The scalar that STREAM uses."""

ARRAYS = {"copy": 2, "triad": 3, "read": 1, "write": 1}
"""How many arrays each operation reads or writes once."""

BEYOND = 4
"""How many times the last cache an array in memory has: STREAM's rule (McCalpin 1995)."""

STEP_BYTES = 10**9
"""The fewest bytes that a step moves in a `level`: one pass over a small array is too short."""

SMALLEST_BYTES = 1 << 23
"""The fewest bytes in a cache that is measured. With fewer (8 MiB at 170 GB/s take 49 µs), the few
microseconds in which torch starts an operation on all cores are more than 5 % of the time."""


@workload(
    "copy",
    op=axis("copy", "triad", "read", "write", choices=tuple(ARRAYS)),
    mb=axis(256),
    level=axis(None, choices=("l2", "l3", "memory")),
    dtype=axis("fp32", choices=tuple(TORCH_DTYPES)),
)
def copy(p: Any, device: TorchDevice) -> Built:
    """Move arrays of mb MB: copy a = b, triad a = b + 3c, read Σb, write a = 3.

    A megabyte is 10⁶ bytes. Bytes are counted as in STREAM (McCalpin 1995): what is read and what
    is written, 1 to 3 arrays. A CPU that fetches a line before it overwrites it moves one array
    more, which is not counted. Choose mb several times the last cache.

    With `level` the sizes follow from this machine's caches, and mb is ignored. In a cache all
    arrays together fill half of that level, over all cores in use; in memory each array is four
    times the last cache. A step repeats the operation until 10⁹ bytes have been moved. On an
    accelerator that includes the gaps between kernels.

    Unsupported if the size of a cache is not known, if half of it is no more than the caches below
    it hold, and if it is so small that torch's cost of an operation dominates, as in L1. In bf16
    and fp16 read and triad may measure a CPU's conversions: use fp32.
    """
    dtype, arrays = torch_dtype(p.dtype), ARRAYS[p.op]
    array_bytes = p.mb * 10**6 if p.level is None else level_bytes(p.level, arrays, device)
    length = array_bytes // dtype.itemsize
    moved = arrays * length * dtype.itemsize
    device.require(p.dtype, moved)
    operands = [torch.randn(length, device=device.torch, dtype=dtype) for _ in range(arrays)]
    run_once = make_operation(p.op, operands)
    passes, choices = 1, {}
    if p.level is not None:
        passes = -(-STEP_BYTES // moved)
        choices = {"working_set_mb": f"{moved / 1e6:.1f}", "passes": str(passes)}

    def step(mark: Mark) -> None:
        for _ in range(passes):
            run_once()
        mark(p.op)

    return Built(step, Work(bytes=passes * moved), declared=Declared(choices=choices))


def make_operation(op: str, arrays: list[Tensor]) -> Callable[[], object]:
    """Make the function that runs `op` on its arrays, the first of which is written.

    `read` sums its array. On two Zen 4 cores a sum, a maximum and a dot product read fp32 from
    memory equally fast (43 to 48 GB/s); from the L3 cache the sum is the fastest (175 GB/s; dot
    106), as fast as a copy. fill_ is as fast as zero_.
    """
    a, *others = arrays
    if op == "read":
        total = torch.empty((), device=a.device, dtype=a.dtype)
        return lambda: torch.sum(a, 0, out=total)
    if op == "write":
        return lambda: a.fill_(SCALAR)
    if op == "copy":
        return lambda: a.copy_(others[0])
    return lambda: torch.add(others[0], others[1], alpha=SCALAR, out=a)


def level_bytes(level: str, arrays: int, device: TorchDevice) -> int:
    """Choose the bytes of each of `arrays` arrays for all to lie in `level`.

    Unsupported, with the reason, if they cannot.
    """
    caches = dict(device.caches())
    if level == "memory" and caches:
        return BEYOND * max(caches.values())
    if level not in caches:
        cache = "any cache" if level == "memory" else f"an {level} cache"
        raise Unsupported(f"the size of {cache} is not known here; give mb instead of level")
    half = caches[level] // 2
    below = max((size for name, size in caches.items() if name < level), default=0)
    if half <= below:
        raise Unsupported(
            f"half of {level}, {half >> 10} KiB, is no more than the caches below it hold"
        )
    if half < SMALLEST_BYTES:
        raise Unsupported(
            f"half of {level}, {half >> 10} KiB, is so small that torch's cost of a call dominates"
        )
    return half // arrays
