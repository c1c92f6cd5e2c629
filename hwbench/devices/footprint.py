"""What tensors come to in a device's own count of its memory, and whether that can fit. Plain
numbers, no torch."""

from collections.abc import Mapping

from hwbench.records import Unsupported

PREDICTION_ERROR = 0.10
"""How far a predicted peak may be off (tests/bench/memory.py). What may fit after all is tried: a
refusal of it would be the worse mistake."""

HEAP_BLOCK_BYTES = 32 << 20
"""glibc never keeps a block of this size or more in its heap (M_MMAP_THRESHOLD's maximum,
mallopt(3)): it maps it, and gives it back to the system when it is freed. What is smaller stays
resident."""

HOLES = 0.85
"""How much of what could stand in another's holes does not. Measured as LIBRARY_BYTES was: 0.5 to
1.1."""

LIBRARY_BYTES = 85 << 20
"""What the first steps add to a process on a CPU besides tensors: pages of code, oneDNN's kernels
and scratch, torch's and Python's own. Measured with torch 2.13 on training steps of 6 to 340 MiB of
tensors (tests/bench/memory.py)."""

Tensors = Mapping[int, int]
"""How many tensors there are of each size in bytes."""


def resident_bytes(tensor_bytes: int, kept: Tensors, gradients: Tensors) -> int:
    """What the peak of `tensor_bytes` comes to in a process's resident memory, with glibc's heap.

    What forward keeps and what backward makes take turns in the heap, and as blocks of the one are
    freed in another order than the other needs them, holes of either hardly serve the other: most
    of the smaller one comes on top.
    """
    return tensor_bytes + LIBRARY_BYTES + round(HOLES * min(_in_heap(kept), _in_heap(gradients)))


def require_predicted(predicted_bytes: int, memory_bytes: int | None, where: str) -> None:
    """Unsupported if a predicted peak is more than the device has, and more than the prediction may
    be off."""
    if memory_bytes is not None and predicted_bytes * (1 - PREDICTION_ERROR) > memory_bytes:
        raise Unsupported(
            f"needs about {predicted_bytes / 2**30:.1f} GiB (predicted {predicted_bytes:,} bytes), "
            f"{where} has {memory_bytes / 2**30:.1f} GiB"
        )


def _in_heap(tensors: Tensors) -> int:
    return sum(size * count for size, count in tensors.items() if size < HEAP_BLOCK_BYTES)
