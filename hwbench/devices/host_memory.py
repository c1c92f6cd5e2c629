"""The memory that this process may use, and the most that it has used. No torch."""

import platform
from pathlib import Path

import psutil

CGROUP_USE = {
    "/sys/fs/cgroup/memory.max": "/sys/fs/cgroup/memory.current",
    "/sys/fs/cgroup/memory/memory.limit_in_bytes": "/sys/fs/cgroup/memory/memory.usage_in_bytes",
}
"""By file of a container's memory limit, in cgroup v2 and v1, the file of its use."""


def memory_limit_bytes() -> int:
    """The most memory that this process may use: the machine's, or the container's limit where that
    is lower."""
    limits = [psutil.virtual_memory().total]
    for file in CGROUP_USE:
        try:
            limits.append(int(Path(file).read_text()))
        except (OSError, ValueError):
            continue  # no such controller, or "max"
    return int(min(limits))


def free_bytes() -> int:
    """The memory that no process uses: the machine's, or the container's where that is less."""
    free = [psutil.virtual_memory().available]
    for limit, used in CGROUP_USE.items():
        try:
            free.append(int(Path(limit).read_text()) - int(Path(used).read_text()))
        except (OSError, ValueError):
            continue  # no such controller, or "max"
    return int(max(0, min(free)))


def limit_new_memory(size: int) -> None:
    """Make allocations of this process fail once it has mapped `size` bytes more than now. Without
    effect on Windows and macOS."""
    limit = psutil.Process().memory_info().data + size
    try:
        import resource

        resource.setrlimit(resource.RLIMIT_DATA, (limit, limit))
    except (ImportError, ValueError, OSError):
        return  # Windows has no such call; macOS has it and ignores the limit


def reset_peak() -> None:
    """Restart the peak of `peak_resident_bytes` from what is resident now, where Linux can."""
    try:
        Path("/proc/self/clear_refs").write_text("5")  # resets VmHWM; see proc(5)
    except OSError:
        return  # the peak then counts from the start of the process, so it includes the imports


def peak_resident_bytes() -> int | None:
    """The peak resident memory of this process: VmHWM where Linux shows it, else the peak of
    getrusage; None where there is neither.

    VmHWM comes first because getrusage's peak survives exec and so includes the parent process.
    """
    try:
        for line in Path("/proc/self/status").read_text().splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) * 1024
    except OSError:
        pass  # not Linux
    try:
        import resource
    except ImportError:  # Windows
        return None
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if platform.system() == "Darwin" else peak * 1024  # bytes on macOS, KiB elsewhere
