"""The peak memory of a command: exact where the kernel knows it, else a bound.

The memory of a command is what its processes hold together at a time, a page that they share
counted once. The kernel keeps the peak of the largest single process. That is all of a command with
one process; with several it is the least that they held. The sum of their shares (pss) is read now
and then, so its largest value is another least. A control group's memory.peak is not used: it holds
the files that were read, and this process, too.
"""

from dataclasses import dataclass
from typing import Literal

from hwbench.meters.child import Child
from hwbench.meters.recorder import Trace

Bound = Literal["exact", "at least", "at most"]


@dataclass(frozen=True)
class Peak:
    """The peak memory in bytes; `bound` says what the truth is to `value`."""

    value: int
    bound: Bound


def peak_of(child: Child, processes_seen: int, trace: Trace) -> Peak | None:
    """The peak of a command that has ended; None if neither the kernel nor a meter has seen it."""
    kernel_bytes = child.peak_bytes
    is_own = kernel_bytes is not None and kernel_bytes > child.floor_bytes
    if kernel_bytes is not None and child.alone and processes_seen <= 1:
        return Peak(kernel_bytes, "exact" if is_own else "at most")
    polled = [signal for signal in trace.signals if signal.quantity in ("pss", "rss_peak")]
    least = [round(float(trace.series(signal)[1].max())) for signal in polled]
    if kernel_bytes is not None and is_own:
        least.append(kernel_bytes)
    return Peak(max(least), "at least") if least else None
