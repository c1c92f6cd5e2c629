"""How much memory tensors take in a device's own count, and whether that fits. Plain numbers, no
torch."""

from collections.abc import Mapping

from hwbench.records import Unsupported

PREDICTION_ERROR = 0.10
"""The largest error of a predicted peak (tests/bench/memory.py). A case that may fit is run: to
refuse it would be the worse mistake."""

HEAP_BLOCK_BYTES = 32 << 20
"""Blocks of this size or more are never in glibc's heap (M_MMAP_THRESHOLD's maximum, mallopt(3)):
they are mapped, and returned to the system when freed. Smaller blocks stay resident."""

HOLES = 0.85
"""The share of tensors that could reuse freed blocks of others and does not. Measured like
LIBRARY_BYTES: 0.5 to 1.1."""

LIBRARY_BYTES = 85 << 20
"""What the first steps add to a CPU process besides tensors: pages of code, oneDNN's kernels and
scratch memory, objects of torch and Python. Measured with torch 2.13 on training steps of 6 to 340
MiB of tensors (tests/bench/memory.py)."""

Tensors = Mapping[int, int]
"""How many tensors there are of each size in bytes."""


def resident_bytes(tensor_bytes: int, kept: Tensors, gradients: Tensors) -> int:
    """The resident memory of a process whose tensors peak at `tensor_bytes`, with glibc's heap.

    Tensors kept for backward and gradients replace each other in the heap. Blocks are freed in
    another order than they are needed again, so most of the smaller group does not fit into freed
    blocks and adds to the peak.
    """
    return tensor_bytes + LIBRARY_BYTES + round(HOLES * min(_in_heap(kept), _in_heap(gradients)))


def require_predicted(predicted_bytes: int, memory_bytes: int | None, where: str) -> None:
    """Raise Unsupported if a predicted peak exceeds the device's memory by more than
    PREDICTION_ERROR."""
    if memory_bytes is not None and predicted_bytes * (1 - PREDICTION_ERROR) > memory_bytes:
        raise Unsupported(
            f"needs about {predicted_bytes / 2**30:.1f} GiB (predicted {predicted_bytes:,} bytes), "
            f"{where} has {memory_bytes / 2**30:.1f} GiB"
        )


def _in_heap(tensors: Tensors) -> int:
    return sum(size * count for size, count in tensors.items() if size < HEAP_BLOCK_BYTES)
