"""The memory ceiling: how fast this machine moves arrays, from its memory or from a cache that
holds them."""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from hwbench.devices.protocol import TorchDevice
from hwbench.records import Declared, Unsupported, Work
from hwbench.workload import Built, Mark, axis, workload
from workloads.tensors import TORCH_DTYPES, torch_dtype

SCALAR = 3.0
"""STREAM's own."""

ARRAYS = {"copy": 2, "triad": 3, "read": 1, "write": 1}
"""Arrays that each operation reads or writes once."""

BEYOND = 4
"""An array that is to be in memory is so many times the last cache: STREAM's rule (McCalpin
1995)."""

STEP_BYTES = 10**9
"""What a step moves at least where a level is asked for: passes over small arrays are too short to
time."""

SMALLEST_BYTES = 1 << 23
"""What must be in a cache at least to measure it: with fewer bytes (8 MiB at 170 GB/s: 49 µs) the
few microseconds that torch takes to start an operation on all cores are more than a twentieth of
the time."""


@workload(
    "copy",
    op=axis("copy", "triad", "read", "write", choices=tuple(ARRAYS)),
    mb=axis(256),
    level=axis(None, choices=("l2", "l3", "memory")),
    dtype=axis("fp32", choices=tuple(TORCH_DTYPES)),
)
def copy(p: Any, device: TorchDevice) -> Built:
    """Copy an array of mb megabytes (10⁶ bytes), a = b; add two, a = b + 3c (triad); read one, Σb;
    or write one, a = 3.

    Bytes as STREAM counts them (McCalpin 1995): what is read and what is written, 1 to 3 arrays. A
    CPU that fetches a line before it overwrites it moves one array more, which is not counted. Take
    mb several times the last cache.

    With `level` the sizes follow from this machine's caches, mb or not: all arrays together fill
    half of that level, taken over all cores in use, or each is four times the last cache (memory);
    and a step repeats the operation until 10⁹ bytes have been moved. On an accelerator the gaps
    between kernels are in it. Unsupported where a cache's size is not known, where it is no larger
    than twice those below it, and where it is too small to be seen through torch's cost of an
    operation, as L1 always is. In bf16 and fp16 a CPU's conversions may be what read and triad
    measure: take fp32.
    """
    dtype, arrays = torch_dtype(p.dtype), ARRAYS[p.op]
    array_bytes = p.mb * 10**6 if p.level is None else level_bytes(p.level, arrays, device)
    length = array_bytes // dtype.itemsize
    moved = arrays * length * dtype.itemsize
    passes = 1 if p.level is None else -(-STEP_BYTES // moved)
    device.require(p.dtype, moved)
    once = operation(
        p.op, [torch.randn(length, device=device.torch, dtype=dtype) for _ in range(arrays)]
    )

    def step(mark: Mark) -> None:
        for _ in range(passes):
            once()
        mark(p.op)

    choices = (
        {} if p.level is None else {"working_set_mb": f"{moved / 1e6:.1f}", "passes": str(passes)}
    )
    return Built(step, Work(bytes=passes * moved), declared=Declared(choices=choices))


def operation(op: str, arrays: list[Tensor]) -> Callable[[], object]:
    """`op` on its arrays, the first of which is the one that is written. What reads gives the sum
    of its array.

    On two Zen 4 cores a sum, a maximum and a dot product read fp32 from memory equally fast (43 to
    48 GB/s), and from the L3 cache the sum is the fastest (175 GB/s; dot 106), as fast as a copy;
    fill_ is as fast as zero_.
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
    """The bytes of each of so many arrays for them to lie in `level`. Unsupported, with the reason,
    if they cannot."""
    caches = dict(device.caches())
    if level == "memory" and caches:
        return BEYOND * max(caches.values())
    if level not in caches:
        of = "any cache" if level == "memory" else f"an {level} cache"
        raise Unsupported(f"nothing here tells the size of {of}; give mb instead of level")
    held = caches[level] // 2
    below = max((size for name, size in caches.items() if name < level), default=0)
    if held <= below:
        raise Unsupported(
            f"half of {level}, {held >> 10} KiB, is no more than the caches below it hold"
        )
    if held < SMALLEST_BYTES:
        raise Unsupported(
            f"half of {level}, {held >> 10} KiB, is too little to be seen through torch's cost of a call"
        )
    return held // arrays
