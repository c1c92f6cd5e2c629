"""Who else computes on a GPU, from the numbers of processes that its driver gives."""

import os
from collections.abc import Iterable
from contextlib import suppress

import psutil

ALL_PROCESSES = "pid:[4026531836]"
"""The namespace of processes that is not inside another: PROC_PID_INIT_INO of Linux (include/linux/proc_ns.h)."""


def others(pids: Iterable[int]) -> int:
    """How many of the processes `pids` are neither this one nor started by it, directly or through others.

    So neither a worker nor a command that is measured counts. In a container a driver may give the numbers that the
    host has for its processes, where none is found again: one of them is then taken to be ours, since only a GPU that
    is used is measured. A measured command with several processes on the GPU has all but one counted as others there.
    """
    numbers = list(pids)
    foreign = sum(not _is_ours(pid) for pid in numbers)
    nothing_found_again = foreign == len(numbers) > 0
    return foreign - 1 if nothing_found_again and _in_container() else foreign


def _is_ours(pid: int) -> bool:
    """Whether the process is this one or descends from it; upwards, since looking downwards reads every process."""
    if pid == os.getpid():
        return True
    with suppress(psutil.Error):
        return any(parent.pid == os.getpid() for parent in psutil.Process(pid).parents())
    return False


def _in_container() -> bool:
    """Whether this process sees only a part of the machine's. False where the system does not tell."""
    with suppress(OSError):
        return os.readlink("/proc/self/ns/pid") != ALL_PROCESSES
    return False
