"""The processor that this process runs on: its name, cores and data caches."""

import math

from hwbench.identity import UNKNOWN_CPU
from hwbench.system import cgroups, cpu, files

CPUS = "sys/devices/system/cpu"
"""Where Linux describes the processors."""


def cpu_name() -> str:
    """The processor's name with its cores, e.g. "AMD EPYC 9354 (32 cores)", "ARM Neoverse-N1 (64
    cores)", "unknown CPU (4 cores)". Of several kinds of cores it has those that this process may
    run on."""
    model, cores = cpu.identify(cpu.allowed_processors()).name, usable_cores()
    plural = "s" if cores != 1 else ""
    return f"{model or UNKNOWN_CPU} ({cores} core{plural})"


def usable_cores() -> int:
    """How many processors' time this process may use: as many as it may run on, or its quota of
    their time (rounded up) where that is less."""
    quota = cgroups.processors(cgroups.cpu_quota())
    allowed = cpu.allowed_cores()
    return allowed if quota is None else min(allowed, max(1, math.ceil(quota)))


def cache_bytes() -> dict[str, int]:
    """The bytes of all data caches of the usable cores by level, "l1" to "l3". A cache that several
    cores share counts once. Empty where Linux does not describe them."""
    cores = cpu.allowed_processors() or ()
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
