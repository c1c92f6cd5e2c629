"""Who else used the processors while a window ran. Linux tells (proc(5), /proc/stat); elsewhere
nothing is said."""

import os
import re
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil

FOREIGN_SHARE = 0.05
"""Use by other processes above this share of the processors is told: about what a quiet machine's
own services need at most."""

STOLEN_SHARE = 0.01
"""The same of time that the host gave to other virtual machines while this one wanted to run."""

STAT = Path("/proc/stat")

SHORTEST_S = 0.5
"""In less time the kernel's ticks of 10 ms are too coarse to tell shares from."""


@dataclass(frozen=True)
class CpuUse:
    """Seconds since some beginning, summed over the processors that this process may use: all,
    those in which anything ran, those stolen by the host, and those of this process with its
    descendants."""

    total_s: float
    busy_s: float
    stolen_s: float
    own_s: float

    def shares_since(self, before: "CpuUse") -> tuple[float, float]:
        """The shares of processor time since `before` that other processes used and that were
        stolen, 0 to 1."""
        total = self.total_s - before.total_s
        if total <= 0:
            return 0.0, 0.0
        others = (self.busy_s - before.busy_s) - (self.own_s - before.own_s)
        return max(0.0, others / total), max(0.0, (self.stolen_s - before.stolen_s) / total)


class CpuWatch:
    """Looks at the processors' use from `start` on."""

    def __init__(self) -> None:
        self.start()

    def start(self) -> None:
        """Begin anew."""
        self._before, self._began = cpu_use(), time.monotonic()

    def notes(self) -> list[str]:
        """`foreign_load: …` where others used more than the share that is let pass since the
        start."""
        after = cpu_use()
        if not self._before or not after or time.monotonic() - self._began < SHORTEST_S:
            return []
        return foreign_load(*after.shares_since(self._before))


def foreign_load(others: float, stolen: float) -> list[str]:
    """The note on these shares of the processors, if one is above what is let pass."""
    if others <= FOREIGN_SHARE and stolen <= STOLEN_SHARE:
        return []
    return [f"foreign_load: others used {others:.0%} of the CPU, {stolen:.0%} was stolen"]


def cpu_use() -> CpuUse | None:
    """The use up to now; None where the platform does not tell it all."""
    if not psutil.LINUX:
        return None
    try:
        processors = _times_by_number()
        usable = [processors[number] for number in os.sched_getaffinity(0) if number in processors]
        own = _process_s()
    except (OSError, psutil.Error):  # a container may hide /proc/stat
        return None
    if not usable:  # or show other processors than those that it may use
        return None
    idle = sum(p.idle + p.iowait for p in usable)
    stolen = sum(p.steal for p in usable)
    # user holds guest time
    total = idle + stolen + sum(p.user + p.nice + p.system + p.irq + p.softirq for p in usable)
    return CpuUse(total, total - idle - stolen, stolen, own)


def _times_by_number() -> dict[int, Any]:
    """The times of each processor by its number, in which those that are offline leave gaps."""
    times = psutil.cpu_times(percpu=True)
    numbers = [int(number) for number in re.findall(r"^cpu(\d+) ", STAT.read_text(), re.MULTILINE)]
    return dict(
        zip(numbers if len(numbers) == len(times) else range(len(times)), times, strict=True)
    )


def _process_s() -> float:
    """Processor seconds of this process and its descendants, living and waited for."""
    seconds = 0.0
    this = psutil.Process()
    for process in [this, *this.children(recursive=True)]:
        with suppress(psutil.NoSuchProcess, psutil.AccessDenied):
            # user, system, and both of children that have ended
            seconds += sum(process.cpu_times()[:4])
    return seconds
