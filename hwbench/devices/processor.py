"""The processor that this process runs on: its name, cores and data caches."""

import math
import os
import platform
from pathlib import Path

from hwbench.system import cgroups, cpu, files

CPUS = "sys/devices/system/cpu"
"""Where Linux describes the processors."""


def cpu_name() -> str:
    """The processor's marketing name with its cores, e.g. "AMD EPYC 9354 (32 cores)"."""
    cores = usable_cores()
    plural = "s" if cores != 1 else ""
    return f"{_model_name()} ({cores} core{plural})"


def _model_name() -> str:
    try:
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    except OSError:
        pass  # not Linux
    return platform.processor() or platform.machine()


def usable_cores() -> int:
    """How many processors' time this process may use: as many as it may run on, or its quota of
    their time (rounded up) where that is less."""
    quota = cgroups.processors(cgroups.cpu_quota())
    allowed = cpu.allowed_cores()
    return allowed if quota is None else min(allowed, max(1, math.ceil(quota)))


def cache_bytes() -> dict[str, int]:
    """The bytes of all data caches of the usable cores by level, "l1" to "l3". A cache that several
    cores share counts once. Empty where Linux does not describe them."""
    try:
        cores = os.sched_getaffinity(0)
    except AttributeError:
        return {}
    sizes: dict[tuple[str, str], int] = {}  # by level and the cores that share the cache
    for core in cores:
        for cache in (files.ROOT / CPUS / f"cpu{core}/cache").glob("index*"):
            level, kind, size, shared_by = (
                files.read(name, cache) or ""
                for name in ("level", "type", "size", "shared_cpu_list")
            )
            kib = size.removesuffix("K")
            if kind != "Instruction" and kib.isdecimal():  # some virtual machines tell no size
                sizes[f"l{level}", shared_by] = int(kib) * 1024
    totals: dict[str, int] = {}
    for level, shared_by in sorted(sizes):
        totals[level] = totals.get(level, 0) + sizes[level, shared_by]
    return totals
