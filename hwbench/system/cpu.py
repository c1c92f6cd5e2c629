"""The processor of this machine: how many cores it has."""

import os


def allowed_cores() -> int:
    """How many processors this process may run on, by its affinity and its cpuset."""
    try:
        return len(os.sched_getaffinity(0))
    except AttributeError:  # macOS and Windows do not have the call
        return os.cpu_count() or 1
