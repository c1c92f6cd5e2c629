"""The memory that this process may use, and the most that it has used. No torch."""

import platform
from pathlib import Path

import psutil

from hwbench.system import cgroups, files, memory


def memory_limit_bytes() -> int | None:
    """The most memory that this process may use: the machine's, or the least limit of its control
    groups where that is lower. None if nothing tells either."""
    return _least(memory.total_bytes(), cgroups.memory_limit_bytes())


def free_bytes() -> int | None:
    """The memory that this process can still have: the machine's, or what its control groups leave
    where that is less. None if nothing tells either."""
    return _least(memory.available_bytes(), cgroups.memory_free_bytes())


def _least(*sizes: int | None) -> int | None:
    return min((size for size in sizes if size is not None), default=None)


def limit_new_memory(size: int) -> None:
    """Make allocations of this process fail once it has mapped `size` bytes more than now. Without
    effect on Windows and macOS, and where /proc is not mounted."""
    try:
        import resource

        limit = psutil.Process().memory_info().data + size
        resource.setrlimit(resource.RLIMIT_DATA, (limit, limit))
    except (ImportError, ValueError, OSError, psutil.Error, AttributeError):
        return  # Windows has no such call; macOS has it and ignores the limit


def reset_peak() -> None:
    """Restart the peak of `peak_resident_bytes` from what is resident now, where Linux can."""
    try:
        Path("/proc/self/clear_refs").write_text("5", encoding="utf-8")  # resets VmHWM; see proc(5)
    except OSError:
        return  # the peak then counts from the start of the process, so it includes the imports


def peak_resident_bytes() -> int | None:
    """The peak resident memory of this process: VmHWM where Linux shows it, else the peak of
    getrusage; None where there is neither.

    VmHWM comes first because getrusage's peak survives exec and so includes the parent process.
    """
    for line in (files.read("proc/self/status") or "").splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) * 1024
    try:
        import resource
    except ImportError:  # Windows
        return None
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if platform.system() == "Darwin" else peak * 1024  # bytes on macOS, KiB elsewhere
