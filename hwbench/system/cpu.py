"""The processor of this machine: how many cores it has."""

import os

import psutil

FAILURES = (OSError, psutil.Error, ValueError, KeyError, RuntimeError)
"""What psutil raises where /proc is not mounted, or shows other things than it knows."""


def allowed_cores() -> int:
    """How many processors this process may run on, by its affinity and its cpuset."""
    try:
        return len(os.sched_getaffinity(0))
    except AttributeError:  # macOS and Windows do not have the call
        return os.cpu_count() or 1


def physical_cores() -> int | None:
    """The cores of the machine, each counted once however many threads it runs; None if nothing
    tells."""
    try:
        cores: int | None = psutil.cpu_count(logical=False)
    except FAILURES:
        return None
    return cores
