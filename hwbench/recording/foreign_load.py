"""How much other processes used the processors while a window ran, from Linux's /proc/stat
(proc(5)). On other platforms nothing is known."""

import os
import re
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil

FOREIGN_SHARE = 0.05
"""A note is made if other processes use more than this share of the processors: about the most that
the services of a quiet machine need."""

STOLEN_SHARE = 0.01
"""The same for time that the host gave to other virtual machines while this one wanted to run."""

STAT = Path("/proc/stat")

SHORTEST_S = 0.5
"""In a shorter window the kernel's ticks of 10 ms are too coarse for shares."""


@dataclass(frozen=True)
class CpuUse:
    """Processor seconds so far, summed over the processors that this process may use: all, those in
    which anything ran, those stolen by the host, and those of this process and its descendants."""

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
    """Watches the use of the processors from `start` on."""

    def __init__(self) -> None:
        self.start()

    def start(self) -> None:
        """Start again from now."""
        self._before, self._began = cpu_use(), time.monotonic()

    def notes(self) -> list[str]:
        """The note `foreign_load: …` if others have used too much since the start."""
        after = cpu_use()
        if not self._before or not after or time.monotonic() - self._began < SHORTEST_S:
            return []
        return foreign_load(*after.shares_since(self._before))


def foreign_load(others: float, stolen: float) -> list[str]:
    """The note on these shares of the processors, if one of them is too large."""
    if others <= FOREIGN_SHARE and stolen <= STOLEN_SHARE:
        return []
    return [f"foreign_load: others used {others:.0%} of the CPU, {stolen:.0%} was stolen"]


def cpu_use() -> CpuUse | None:
    """The use up to now; None if the platform does not provide all of it."""
    if not psutil.LINUX:
        return None
    try:
        processors = _times_by_number()
        usable = [processors[number] for number in os.sched_getaffinity(0) if number in processors]
        own = _process_s()
    except (OSError, psutil.Error):  # a container may hide /proc/stat
        return None
    if not usable:  # or show only processors that this process may not use
        return None
    idle = sum(p.idle + p.iowait for p in usable)
    stolen = sum(p.steal for p in usable)
    # the user time includes guest time
    total = idle + stolen + sum(p.user + p.nice + p.system + p.irq + p.softirq for p in usable)
    return CpuUse(total, total - idle - stolen, stolen, own)


def _times_by_number() -> dict[int, Any]:
    """The times of each processor by its number; processors that are offline leave gaps."""
    times = psutil.cpu_times(percpu=True)
    numbers = [
        int(number)
        for number in re.findall(r"^cpu(\d+) ", STAT.read_text(encoding="utf-8"), re.MULTILINE)
    ]
    if len(numbers) != len(times):
        return dict(enumerate(times))
    return dict(zip(numbers, times, strict=True))


def _process_s() -> float:
    """Processor seconds of this process and its descendants, both living and reaped."""
    seconds = 0.0
    this = psutil.Process()
    for process in [this, *this.children(recursive=True)]:
        with suppress(psutil.NoSuchProcess, psutil.AccessDenied):
            # user and system time, its own and that of children that have ended
            seconds += sum(process.cpu_times()[:4])
    return seconds
